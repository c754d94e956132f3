"""Settings of one run of the command line, grouped by subject, and their checks.

Each field is a flag of the same name. `app/` takes the groups apart; what lies below gets the few values that it needs.
"""

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iem_jax.config import (
    IEMConfig,
    UsageError,
    check_choice,
    check_config,
    check_divisible,
    check_plain_path,
    check_positive_integer,
    check_preset,
)
from iem_jax.data import DATASETS
from iem_jax.data.fit import FITS
from iem_jax.data.truths import ORIENTATIONS
from iem_jax.finishing.judging import POLARITIES
from iem_jax.segmenter.segmenter import RESOLUTIONS

PLATFORMS = ("cpu", "gpu", "tpu")
SPLITS = ("train", "val", "test")
WITH_MASKS = ("lsun_car", "pairs")  # data sets that take `masks`
PATHS = (
    *("dataset_path", "images", "masks", "output_dir"),
    *("cache_dir", "compilation_cache_dir", "profile_dir", "refine_checkpoint"),
)
PRODUCTS = ("cutouts", "overlays", "panels", "figures", "report")


@dataclasses.dataclass(frozen=True)
class SourceConfig:
    """Where pictures come from.

    Attributes:
      dataset: layout of the data set, one of `iem_jax.data.DATASETS`, or "demo".
      dataset_path: root folder of the data set; None runs the demo, unless there are `images`.
      split: "train", "val" or "test".
      images: pictures instead of a data set: a folder, a picture, a glob, a text file with a path a line, or "-" for
        such lines from standard input.
      masks: folder of ground truths for `images` and the data sets of `WITH_MASKS`, by the same relative names.
      mask_orientation: of ground truths that fit their picture both as it is stored and as it is turned by EXIF:
        "upright" or "stored"; None takes them as upright and says how many there are.
      truncated: take what is there of a picture whose file ends too early, instead of failing.
      limit: the first so many pictures alone; None takes all.
    """

    dataset: str = "flowers"
    dataset_path: str | None = None
    split: str = "test"
    images: str | None = None
    masks: str | None = None
    mask_orientation: str | None = None
    truncated: bool = False
    limit: int | None = None

    @property
    def is_own(self) -> bool:
        """Whether the pictures are the user's own, not a data set's or the demo's."""
        return self.images is not None

    @property
    def is_demo(self) -> bool:
        """Whether there is nothing but the demo's pictures."""
        return self.images is None and self.dataset_path is None


@dataclasses.dataclass(frozen=True)
class FittingConfig:
    """How pictures become squares, and masks the pictures' again; None is filled in by `fill_in`.

    Attributes:
      fit: how a picture becomes a square: "crop", "pad" or "stretch"; None crops data sets and pads `images`.
      resolution: of the written masks: "model", that of the square, or "original", that of the picture; None takes
        "model" for data sets and "original" for `images`.
      polarity: which side is the object: "start", that of the first mask (or of the network), or "border",
        `polarity.orient`'s; None takes "border" for IEM on `images`, else "start".
    """

    fit: str | None = None
    resolution: str | None = None
    polarity: str | None = None


@dataclasses.dataclass(frozen=True)
class AlgorithmConfig:
    """What segments.

    Attributes:
      iem: settings of the paper's algorithm.
      preset: "paper" runs the algorithm as `iem` says; "best" and "fast" fix its settings themselves; None takes
        "fast" for `images` unless `iem` was changed, else "paper".
      refine_checkpoint: folder of a trained network that segments the pictures instead of IEM; None for IEM.
    """

    iem: IEMConfig = dataclasses.field(default_factory=IEMConfig)
    preset: str | None = None
    refine_checkpoint: str | None = None


@dataclasses.dataclass(frozen=True)
class ProductsConfig:
    """What is written besides masks and tables.

    Attributes:
      cutouts: each object on a transparent background.
      overlays: each picture with a tint and an outline.
      panels: each picture beside its ground truth, its mask and its sides inpainted from each other.
      figures: plots over iterations and a contact sheet.
      report: report.html, a gallery.
    """

    cutouts: bool = False
    overlays: bool = False
    panels: bool = False
    figures: bool = False
    report: bool = False


@dataclasses.dataclass(frozen=True)
class ComputingConfig:
    """How it is computed; nothing of this has an influence on the masks.

    Attributes:
      platform: "cpu", "gpu" or "tpu"; None takes jax's first choice.
      devices: how many of the platform's devices share the work; None takes all.
      early_finish: stop working on pictures whose mask repeats itself.
      cache_dir: folder for decoded pictures, so that a second run need not decode them; None keeps none.
      compilation_cache: keep compiled programs, so that a second run need not compile.
      compilation_cache_dir: where; None takes the user's folder for caches.
      profile_dir: folder for a jax profiler trace; None takes none.
    """

    platform: str | None = None
    devices: int | None = None
    early_finish: bool = True
    cache_dir: str | None = None
    compilation_cache: bool = True
    compilation_cache_dir: str | None = None
    profile_dir: str | None = None


@dataclasses.dataclass(frozen=True)
class OutputConfig:
    """Where results go and what is said.

    Attributes:
      output_dir: folder for masks and tables; None writes nothing (the demo writes to output/demo).
      overwrite: remove what an earlier run wrote to `output_dir`, instead of going on with it.
      prune: at the end remove what earlier runs wrote of pictures that are no longer there.
      batch_size: pictures whose means are printed together; it has no influence on the masks.
      strict: stop at the first picture that cannot be read.
      quiet: print errors only.
    """

    output_dir: str | None = None
    overwrite: bool = False
    prune: bool = False
    batch_size: int = 1020
    strict: bool = False
    quiet: bool = False


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Settings of one run, by subject; see the classes of the groups."""

    source: SourceConfig = dataclasses.field(default_factory=SourceConfig)
    fitting: FittingConfig = dataclasses.field(default_factory=FittingConfig)
    algorithm: AlgorithmConfig = dataclasses.field(default_factory=AlgorithmConfig)
    products: ProductsConfig = dataclasses.field(default_factory=ProductsConfig)
    computing: ComputingConfig = dataclasses.field(default_factory=ComputingConfig)
    output: OutputConfig = dataclasses.field(default_factory=OutputConfig)


GROUP_OF = {
    field.name: group.name
    for group in dataclasses.fields(RunConfig)
    for field in dataclasses.fields(group.default_factory)  # pyright: ignore[reportArgumentType]
}


def run_config(**settings: Any) -> RunConfig:
    """Return the settings of a run from flat names, those of the groups' fields."""
    return change(RunConfig(), **settings)


def change(config: RunConfig, **settings: Any) -> RunConfig:
    """Return the settings with some fields of groups replaced, by their own names.

    Raises:
      TypeError: there is no such field.
    """
    groups: dict[str, dict[str, Any]] = {}
    for name, value in settings.items():
        if name not in GROUP_OF:
            raise TypeError(f"there is no setting {name!r}")
        groups.setdefault(GROUP_OF[name], {})[name] = value
    replaced = {group: dataclasses.replace(getattr(config, group), **values) for group, values in groups.items()}
    return dataclasses.replace(config, **replaced)


def flatten(config: RunConfig) -> dict[str, Any]:
    """Return all settings by their flags' names, those of IEM among them."""
    flat: dict[str, Any] = {}
    for group in dataclasses.asdict(config).values():
        flat |= group
    return flat.pop("iem") | flat


def fill_in(config: RunConfig) -> RunConfig:
    """Return the settings with what depends on the source of the pictures."""
    own, is_iem = config.source.is_own, config.algorithm.refine_checkpoint is None
    iem, fitting = config.algorithm.iem, config.fitting
    plain = iem == IEMConfig(size=iem.size)
    return change(
        config,
        fit=fitting.fit or ("pad" if own else "crop"),
        resolution=fitting.resolution or ("original" if own else "model"),
        polarity=fitting.polarity or ("border" if own and is_iem else "start"),
        preset=config.algorithm.preset or ("fast" if own and is_iem and plain else "paper"),
    )


def check_run_config(config: RunConfig) -> None:
    """Check what can be checked before a picture is looked for.

    Raises:
      UsageError: a setting breaks its rule.
    """
    for name, value in flatten(config).items():
        if name in PATHS:
            check_plain_path(name, value)
    _check_algorithm(config.algorithm)
    _check_source(config.source)
    for name, choices in (("fit", FITS), ("resolution", RESOLUTIONS), ("polarity", POLARITIES)):
        _check_if_given(name, getattr(config.fitting, name), choices)
    if not config.source.is_own and config.fitting.resolution == "original" and config.fitting.fit in (None, "crop"):
        raise UsageError("`resolution` original of a data set needs `fit` pad or stretch: a crop is not the picture.")
    _check_computing(config.computing)
    check_positive_integer("batch_size", config.output.batch_size)
    _check_output(config)


def check_folder(name: str, path: str | None) -> None:
    """Check that a folder can be written, and make it; None passes."""
    if path is None:
        return
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (OSError, ValueError) as error:
        raise UsageError(f"`{name}` must be a folder that can be written, got {path}: {error}.") from error


def _check_if_given(name: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None:
        check_choice(name, value, choices)


def _check_algorithm(algorithm: AlgorithmConfig) -> None:
    iem = algorithm.iem
    check_config(iem)
    check_divisible("size", iem.size, iem.scale_factor)
    if algorithm.preset is not None:
        check_preset(algorithm.preset, iem)
    if algorithm.refine_checkpoint is None:
        return
    alone: Mapping[str, Any] = dataclasses.asdict(IEMConfig(size=iem.size))
    given = dataclasses.asdict(iem) | {"preset": algorithm.preset}
    for name, usual in {"preset": None, **alone}.items():
        if given[name] != usual and (name, given[name]) != ("preset", "paper"):
            raise UsageError(f"`refine_checkpoint` segments without IEM: leave `{name}` out, got {given[name]!r}.")


def _check_source(source: SourceConfig) -> None:
    check_choice("split", source.split, SPLITS)
    if source.limit is not None:
        check_positive_integer("limit", source.limit)
    if source.dataset not in ("flowers", "demo"):
        _check_layout(source)
    if source.is_own and source.dataset_path is not None:
        raise UsageError(f"There must be `images` or a data set, got {source.images} and {source.dataset_path}.")
    if source.masks is not None and not source.is_own and source.dataset not in WITH_MASKS:
        raise UsageError("`masks` needs `images`; a data set brings its own ground truth.")
    if source.mask_orientation is not None:
        check_choice("mask_orientation", source.mask_orientation, ORIENTATIONS)
        if source.masks is None or not source.is_own:
            raise UsageError("`mask_orientation` needs `images` and `masks`, the ground truths that it is about.")
    if source.truncated and not source.is_own:
        raise UsageError("`truncated` needs `images`; pictures of a data set are read whole.")


def _check_layout(source: SourceConfig) -> None:
    """Check that a data set that is not the usual one is known, and is what the run is about."""
    check_choice("dataset", source.dataset, DATASETS)
    if source.dataset_path is None:
        got = "nothing" if source.images is None else "`images`"
        raise UsageError(f"`dataset` {source.dataset} needs `dataset_path`, the folder of the data set, got {got}.")


def _check_computing(computing: ComputingConfig) -> None:
    _check_if_given("platform", computing.platform, PLATFORMS)
    if computing.devices is not None:
        check_positive_integer("devices", computing.devices)
    for name in ("profile_dir", "cache_dir", "compilation_cache_dir"):
        check_folder(name, getattr(computing, name))


def _check_output(config: RunConfig) -> None:
    if config.output.output_dir is not None or config.source.is_demo:
        return
    if config.source.is_own:
        raise UsageError("`images` needs an `output_dir`, to which masks are written.")
    wanted = {name: getattr(config.products, name) for name in PRODUCTS}
    wanted |= {name: getattr(config.output, name) for name in ("overwrite", "prune")}
    for name, is_wanted in wanted.items():
        if is_wanted:
            raise UsageError(f"`{name}` needs an `output_dir`, to which it writes.")
