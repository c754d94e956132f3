"""`--download`: a data set from its official archives, with a progress bar."""

import sys
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

from iem_jax.config import UsageError
from iem_jax.data.download import ARCHIVES, DownloadError, check_download, download


def run_download(values: Mapping[str, Any]) -> int:
    """Fetch what is not there yet.

    Args:
      values: of the flags.

    Returns:
      The exit status: 0; 1 if something could not be fetched, checked or unpacked.

    Raises:
      UsageError: no such data set, or no folder to put it.
    """
    if values["images"] is not None or values["evaluate"] is not None:
        raise UsageError("`download` fetches a data set and does nothing else: leave `images` and `evaluate` out.")
    folder = check_download(values["download"], values["dataset_path"])
    for archive in ARCHIVES[values["download"]]:
        hidden = values["quiet"] or not sys.stderr.isatty()
        with tqdm(unit="B", unit_scale=True, desc=archive.name, disable=hidden, leave=False) as bar:
            try:
                was_new = download(
                    archive,
                    folder,
                    values["download_host"],
                    values["download_accept"],
                    lambda _, done, total, bar=bar: _show(bar, done, total),
                )
            except DownloadError as error:
                print(error, file=sys.stderr)
                return 1
        if not values["quiet"]:
            print(f"{folder / archive.makes}: {'fetched' if was_new else 'was there before'}", file=sys.stderr)
    return 0


def _show(bar: tqdm, done: int, total: int | None) -> None:
    bar.total = total
    bar.update(done - bar.n)
