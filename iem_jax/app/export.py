"""What is done with the masks of a finished run: `--apply_review`, then `--export` for labelling and training."""

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
from iem_jax.app.review import REJECT, apply_review, read_review
from iem_jax.app.source import list_samples, source_of
from iem_jax.config import UsageError, check_plain_path
from iem_jax.data.lists import STANDARD_INPUT
from iem_jax.data.names import printable
from iem_jax.data.sample import Sample
from iem_jax.data.samples import Samples
from iem_jax.output.finished import is_run, read_settings
from iem_jax.output.formats import FORMATS
from iem_jax.output.formats.ledger import Ledger
from iem_jax.output.formats.rows import FOLDER, Options, Row, Rows
from iem_jax.output.lines import Record
from iem_jax.output.manifest import Manifest
from iem_jax.output.opening import open_manifest
from iem_jax.output.writer import PATTERNS, OutputError, Writer
from iem_jax.segmenter.found import FAILED, VALID

CATEGORY = "object"
NO_FILES = ("lsun_car",)  # data sets whose pictures lie in a database
FREE = ("output_dir", "quiet")  # flags that an export of a finished run may have, too


class Request(NamedTuple):
    """What is to be done."""

    review: Path | None
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
    flag = "export" if values["export"] is not None else "apply_review"
    if config.output.output_dir is None:
        raise UsageError(f"`{flag}` needs an `output_dir`, that of the run whose masks it is about.")
    formats = () if values["export"] is None else tuple(name.strip() for name in values["export"].split(","))
    if len(set(formats)) < len(formats) or not set(formats) <= set(FORMATS):
        raise UsageError(f"`export` must be some of {','.join(FORMATS)}, each once, got {values['export']!r}.")
    least = values["min_confidence"] or 0.0
    if not 0 <= least <= 1:
        raise UsageError(f"`min_confidence` must be from 0 to 1, got {least}.")
    category = CATEGORY if values["category"] is None else values["category"]
    if not category.strip() or not category.isprintable() or set(category) & set(":#") or category == "background":
        raise UsageError(f"`category` must be a printable name without : and #, not background, got {category!r}.")
    check_plain_path("apply_review", values["apply_review"])
    review = None if values["apply_review"] is None else Path(os.path.expanduser(values["apply_review"]))
    _check_run(flag, config, is_training)
    statuses = VALID if values["only"] is None else (values["only"],)
    folder = Path(config.output.output_dir)
    return Request(review, formats, category, values["polygons"], statuses, least, folder, config.output.quiet)


def _check_run(flag: str, config: RunConfig, is_training: bool) -> None:
    """Check, before anything is computed, that the run can be exported."""
    source = config.source
    if source.is_demo:
        usual = flatten(RunConfig())
        for name, value in {"refine": is_training, **flatten(config)}.items():
            if value != usual.get(name, False) and name not in FREE:
                raise UsageError(f"`{flag}` of a finished run segments nothing: leave `{name}` out, or give `images`.")
        return
    if flag == "export":
        _check_resolution(str(fill_in(config).fitting.resolution))
        if source.dataset in NO_FILES:
            raise UsageError(f"`export` needs pictures that are files, those of `dataset` {source.dataset} are none.")
    if source.images == STANDARD_INPUT:
        raise UsageError(f"`{flag}` needs pictures that can be listed again, got - for `images`: give a file of paths.")


def _check_resolution(resolution: str) -> None:
    if resolution != "original":
        raise UsageError(
            f"`export` needs masks of the pictures' own size, got `resolution` {resolution}: segment with "
            "`--images`, or with `--fit=pad --resolution=original`."
        )


def run_request(request: Request, source: SourceConfig | None = None) -> int:
    """Apply a review to the masks that are in the output folder, and export them.

    Args:
      request: of `read_request`.
      source: where the pictures of the run came from; None takes what the run says.

    Returns:
      The exit status: 0; 1 if a file could not be written, or stays since it was changed.

    Raises:
      UsageError: there is no run in the folder, or its pictures can no longer be listed.
    """
    folder = request.folder
    if not is_run(folder):
        raise UsageError(f"`output_dir` must be the folder of a run, {folder} holds none: give `images`, too.")
    settings = read_settings(folder)
    if request.formats:
        _check_resolution(settings["resolution"])
    decisions = None if request.review is None else read_review(request.review)
    source = source_of(settings) if source is None else source
    samples = list_samples(source, str(folder))
    names = samples.names if isinstance(samples, Samples) else [sample.name for sample in samples]
    root = _root_of(source, samples) if request.formats else folder
    model = f"iem_jax {settings['iem_jax']} {settings['preset']}"
    tell = (lambda text: None) if request.quiet else say
    writer, status = Writer(folder), 0
    with warnings.catch_warnings(), open_manifest(writer, settings, names) as manifest:
        warnings.filterwarnings("ignore", module="PIL")  # of large masks, which were ours to write
        try:
            if decisions is not None:
                status = apply_review(decisions, writer, manifest, names, tell)
            if request.formats:
                status |= Export(request, samples, manifest, root).write(writer, model, tell)
        except OutputError as error:
            say(f"{error}; the files written so far are whole, and the same command goes on from there.")
            return 1
    return status


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
        if record.get("review") == REJECT:
            return "rejected"
        mask = self._request.folder / PATTERNS["masks"].format(sample.name)
        if not mask.is_file():
            return "without their masks"
        if "review" not in record:  # nobody has looked at it
            if record["status"] not in self._request.statuses:
                return str(record["status"])
            if record["confidence"] < self._request.min_confidence:
                return f"under confidence {self._request.min_confidence:g}"
        picture = Path(os.path.abspath(sample.image_path))
        file_name = os.path.relpath(picture, self._root).replace(os.sep, "/")
        row = Row(sample.name, file_name, picture, mask, record["confidence"], record["status"])
        return row if _is_readable(row, record) else "with masks that cannot be read"


def _is_readable(row: Row, record: Record) -> bool:
    """Return whether a mask can be decoded; one that is as long as the run wrote it is taken for whole."""
    if row.mask_path.stat().st_size == record["files"].get("masks", [None])[0]:
        return True
    try:
        row.mask()
    except OutputError:
        return False
    return True


def _root_of(source: SourceConfig, samples: Sequence[Sample]) -> Path:
    """Return the folder of the pictures: the one that was given, or the deepest that holds them all."""
    given = source.dataset_path or source.images
    if given is not None and os.path.isdir(given):
        return Path(os.path.abspath(given))
    common = os.path.dirname(os.path.abspath(samples[0].image_path))
    for sample in samples:
        common = os.path.commonpath([common, os.path.dirname(os.path.abspath(sample.image_path))])
    return Path(common)
