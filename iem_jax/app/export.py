"""`--export`: what programs for labelling and training read, from the masks of a finished run; `--apply_review`."""

import collections
import importlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from iem_jax.app.config import RunConfig, SourceConfig, fill_in, flatten
from iem_jax.app.pipeline import say
from iem_jax.app.progress import stamp
from iem_jax.app.source import list_samples, source_of
from iem_jax.config import UsageError
from iem_jax.data.lists import STANDARD_INPUT
from iem_jax.data.names import printable
from iem_jax.data.sample import Sample
from iem_jax.data.samples import Samples
from iem_jax.output.finished import is_run, read_settings
from iem_jax.output.formats.ledger import Ledger
from iem_jax.output.formats.rows import FOLDER, Options, Row, Rows
from iem_jax.output.manifest import Manifest
from iem_jax.output.opening import open_manifest
from iem_jax.output.writer import PATTERNS, OutputError, Writer
from iem_jax.segmenter.found import FAILED, VALID

FORMATS = ("coco", "yolo")
CATEGORY = "object"
FREE = ("output_dir", "quiet")  # flags that an export of a finished run may have, too


class Request(NamedTuple):
    """What is to be exported."""

    formats: tuple[str, ...]
    category: str
    polygons: bool
    statuses: tuple[str, ...]
    min_confidence: float
    folder: Path
    quiet: bool


def read_request(values: Mapping[str, Any], config: RunConfig, is_training: bool) -> Request:
    """Return what the flags ask for.

    Args:
      values: of the flags.
      config: of the run.
      is_training: whether the run trains a network.

    Raises:
      UsageError: a flag breaks its rule, or the run cannot be exported.
    """
    if config.output.output_dir is None:
        raise UsageError("`export` needs an `output_dir`, that of the run whose masks it exports.")
    formats = tuple(name.strip() for name in values["export"].split(","))
    if len(set(formats)) < len(formats) or not set(formats) <= set(FORMATS):
        raise UsageError(f"`export` must be some of {','.join(FORMATS)}, each once, got {values['export']!r}.")
    least = values["min_confidence"] or 0.0
    if not 0 <= least <= 1:
        raise UsageError(f"`min_confidence` must be from 0 to 1, got {least}.")
    category = CATEGORY if values["category"] is None else values["category"]
    if not category.strip() or not category.isprintable() or set(category) & set(":#") or category == "background":
        raise UsageError(f"`category` must be a printable name without : and #, not background, got {category!r}.")
    _check_run(config, is_training)
    statuses = VALID if values["only"] is None else (values["only"],)
    folder = Path(config.output.output_dir)
    return Request(formats, category, values["polygons"], statuses, least, folder, config.output.quiet)


def _check_run(config: RunConfig, is_training: bool) -> None:
    """Check, before anything is computed, that the run can be exported."""
    source = config.source
    if source.is_demo:
        usual = flatten(RunConfig())
        for name, value in {"refine": is_training, **flatten(config)}.items():
            if value != usual.get(name, False) and name not in FREE:
                raise UsageError(f"`export` of a finished run segments nothing: leave `{name}` out, or give `images`.")
        return
    _check_resolution(str(fill_in(config).fitting.resolution))
    if source.images == STANDARD_INPUT:
        raise UsageError("`export` needs pictures that can be listed again, got - for `images`: give a file of paths.")


def _check_resolution(resolution: str) -> None:
    if resolution != "original":
        raise UsageError(
            f"`export` needs masks of the pictures' own size, got `resolution` {resolution}: segment with "
            "`--images`, or with `--fit=pad --resolution=original`."
        )


def run_export(request: Request, source: SourceConfig | None = None) -> int:
    """Export the masks that are in the output folder.

    Args:
      request: of `read_request`.
      source: where the pictures of the run came from; None takes what the run says.

    Returns:
      The exit status: 0; 1 if a file could not be written, or stays since it was changed.

    Raises:
      UsageError: there is no run in the folder, or its pictures can no longer be listed.
    """
    if not is_run(request.folder):
        raise UsageError(f"`export` needs the folder of a run, {request.folder} holds none: give `images`, too.")
    settings = read_settings(request.folder)
    _check_resolution(settings["resolution"])
    source = source_of(settings) if source is None else source
    samples = list_samples(source, str(request.folder))
    names = samples.names if isinstance(samples, Samples) else [sample.name for sample in samples]
    writer = Writer(request.folder)
    with warnings.catch_warnings(), open_manifest(writer, settings, names) as manifest:
        warnings.filterwarnings("ignore", module="PIL")  # of large masks, which were ours to write
        found = Export(request, samples, manifest, _root_of(source, samples))
        model = f"iem_jax {settings['iem_jax']} {settings['preset']}"
        try:
            return found.write(writer, model, (lambda text: None) if request.quiet else say)
        except OutputError as error:
            say(f"{error}; the files written so far are whole.")
            return 1


class Export:
    """The rows of one export, and why other pictures have none."""

    def __init__(self, request: Request, samples: Sequence[Sample], manifest: Manifest, root: Path):
        """Take what is wanted, and what there is; names of pictures are relative to `root`."""
        self._request, self._samples, self._manifest, self._root = request, samples, manifest, root

    def write(self, writer: Writer, model: str, tell: Callable[[str], object]) -> int:
        """Write all formats and say what was left out; returns the exit status."""
        request = self._request
        options = Options(request.category, request.polygons, model, self._root)
        reasons = collections.Counter(found for found in self._all() if isinstance(found, str))
        number, status = len(self._samples) - reasons.total(), 0
        for name in request.formats:
            module = importlib.import_module(f"iem_jax.output.formats.{name}")
            with Ledger(writer, name) as ledger:
                module.export(ledger, Rows(self._rows), options)
            if ledger.kept:
                status = 1
                first = printable(ledger.first_kept)
                say(f"{name}: {ledger.kept} files stay, since no export wrote them or they were changed: {first}, ...")
        left_out = "; left out: " + ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        tell(
            f"exported {number} of {len(self._samples)} pictures as {', '.join(request.formats)} to "
            f"{writer.folder / FOLDER}{left_out if reasons else ''}"
        )
        return status

    def _rows(self) -> Iterator[Row]:
        return (found for found in self._all() if isinstance(found, Row))

    def _all(self) -> Iterator[Row | str]:
        return (self._find(number, sample) for number, sample in enumerate(self._samples))

    def _find(self, number: int, sample: Sample) -> Row | str:
        """Return the row of a picture, or why it has none."""
        record = self._manifest.record(number)
        if record is None or "pending" in record:
            return "not segmented yet"
        if record["status"] == FAILED:
            return "failed"
        if record.get("source") != stamp(sample):
            return "changed since"
        mask = self._request.folder / PATTERNS["masks"].format(sample.name)
        if not mask.is_file():
            return "without their masks"
        if record["status"] not in self._request.statuses:
            return str(record["status"])
        if record["confidence"] < self._request.min_confidence:
            return f"under confidence {self._request.min_confidence:g}"
        picture = Path(os.path.abspath(sample.image_path))
        file_name = os.path.relpath(picture, self._root).replace(os.sep, "/")
        return Row(sample.name, file_name, picture, mask, record["confidence"], record["status"])


def _root_of(source: SourceConfig, samples: Sequence[Sample]) -> Path:
    """Return the folder of the pictures: the one that was given, or the deepest that holds them all.

    Raises:
      UsageError: the pictures are no files.
    """
    if not isinstance(samples[0].image_path, str | os.PathLike):
        raise UsageError(f"`export` needs pictures that are files, those of `dataset` {source.dataset} are none.")
    given = source.dataset_path or source.images
    if given is not None and os.path.isdir(given):
        return Path(os.path.abspath(given))
    common = os.path.dirname(os.path.abspath(samples[0].image_path))
    for sample in samples:
        common = os.path.commonpath([common, os.path.dirname(os.path.abspath(sample.image_path))])
    return Path(common)
