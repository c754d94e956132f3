"""What a finished run left in its folder, read without changing anything there."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from iem_jax.config import UsageError
from iem_jax.output.curves import NAME as CURVES
from iem_jax.output.curves import Curve, identify_curve
from iem_jax.output.lines import LONGEST, Record, decode_line, read_lines
from iem_jax.output.manifest import FORMAT, NAME
from iem_jax.output.results import Result, from_record

SUMMARY = "summary.json"  # is written at the end
LEARNED = ("refine", "train")  # of a run with --refine: what the network learned from


class Finished(NamedTuple):
    """A finished run: its settings, and its results, without what was before the last iteration."""

    folder: Path
    settings: Mapping[str, Any]
    results: list[Result]


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a run, finished or not."""
    return (folder / NAME).is_file()


def find_finished(root: Path) -> list[Path]:
    """Return the folders of finished runs below a folder, sorted; the folder itself if it is one."""
    if is_run(root):
        return [root]
    found = [Path(folder) for folder, _, files in os.walk(root) if NAME in files and SUMMARY in files]
    return sorted(folder for folder in found if folder.parts[-2:] != LEARNED)


def read_settings(folder: Path) -> Mapping[str, Any]:
    """Return the settings of a run, finished or not.

    Raises:
      UsageError: there is none, or its manifest is damaged.
    """
    try:
        with (folder / NAME).open("rb") as file:
            return _read_head(file)
    except FileNotFoundError as error:
        raise UsageError(f"`output_dir` must be the folder of a run, {folder} holds none.") from error
    except (OSError, ValueError) as error:
        raise UsageError(
            f"`output_dir` holds a run that cannot be read, {folder} ({error}): start it again."
        ) from error


def read_finished(folder: Path) -> Finished:
    """Read a finished run.

    Raises:
      UsageError: there is none, it is not finished, or it is damaged.
    """
    if not (folder / SUMMARY).is_file():
        raise UsageError(f"`evaluate` needs finished runs, {folder} is none: start its command again, it goes on.")
    try:
        json.loads((folder / SUMMARY).read_text("utf-8"))
        with (folder / NAME).open("rb") as file:
            head, records = _read_manifest(file)
        iterations = next((record["iterations"] for record in records.values() if "curve" in record), 0)
        curves = dict(_last_columns(folder / CURVES, iterations)) if iterations else {}
        results = [_read_result(record, curves) for record in records.values()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"`evaluate` cannot read the run in {folder} ({error}): start its command again.") from error
    return Finished(folder, head, results)


def _read_manifest(file: Any) -> tuple[Record, dict[str, Record]]:
    head = _read_head(file)
    records: dict[str, Record] = {}
    for _, line in read_lines(file):
        with contextlib.suppress(ValueError):  # a damaged line costs its own picture
            record = decode_line(line)
            if isinstance(record.get("name"), str):
                records[record["name"]] = record
    return head, records


def _read_head(file: Any) -> Record:
    head = decode_line(file.readline(LONGEST))
    if head.pop("format", None) != FORMAT:
        raise ValueError("its manifest is of another version")
    return head


def _last_columns(path: Path, iterations: int) -> Iterator[tuple[str, Curve]]:
    with path.open("rb") as file:
        while len(row := file.read(12 * iterations)) == 12 * iterations:
            yield f"{identify_curve(row):016x}", np.frombuffer(row, "<i4").reshape(3, -1)[:, -1:].copy()


def _read_result(record: Record, curves: Mapping[str, Curve]) -> Result:
    curve = curves.get(record["curve"]) if "curve" in record else None
    if curve is None and "curve" in record:
        raise ValueError(f"what was measured of {record['name']} is damaged")
    return from_record(record, curve)
