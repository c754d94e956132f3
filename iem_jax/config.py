"""What can be set, and the checks that run before anything is computed.

`IEMConfig` belongs to the algorithm (SPEC section 2); `RunConfig` to one run of the command line.
"""

import dataclasses
import math
import tempfile
from pathlib import Path
from typing import Any

import jax
from jax.core import Tracer

PRECISIONS = ("highest", "high", "default")
FITS = ("crop", "pad", "stretch")
RESOLUTIONS = ("model", "original")
POLARITIES = ("start", "border")
PLATFORMS = ("cpu", "gpu", "tpu")
FEATURES = ("rgb", "lab", "lab100")
PRESETS = ("paper", "best", "fast")


class UsageError(ValueError):
    """A setting or an input that cannot work; its text is one sentence that says what to do."""


def _static(default: Any) -> Any:
    return dataclasses.field(default=default, metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class IEMConfig:
    """Settings of Inpainting Error Maximization; the defaults are the paper's.

    A pytree: `sigma` and `lmbda` are data, so that sweeping them does not recompile, the others are static.

    Attributes:
      sigma: standard deviation of the Gaussian kernel, in pixels of the down-sampled image; > 0.
      lmbda: weight of the diversity term in the objective; >= 0.
      size: side in pixels to which loaders bring a picture; `segment` itself works at the shape of its input.
      iters: number of iterations; >= 1.
      kernel_size: taps of the Gaussian kernel; odd, >= 1.
      reps: how often the kernel is applied; >= 1.
      scale_factor: the inpainter works on images down-sampled by this; divides height and width.
      precision: of the filters' products, "highest", "high" or "default"; "highest" gives the reference's masks on
        every backend, the others allow TF32 or bfloat16 products where the hardware has them.
      smooth_threshold: a pixel stays foreground if so many of its 3 x 3 neighbourhood are; 1 to 9, 5 is the majority.
      features: what `segment` makes of a picture first, "rgb" (nothing), "lab" or "lab100" (see `core.features`).
    """

    sigma: Any = 5.0  # a float or a scalar array; while JAX handles the pytree, any leaf
    lmbda: Any = 0.001
    size: int = _static(128)
    iters: int = _static(150)
    kernel_size: int = _static(11)
    reps: int = _static(2)
    scale_factor: int = _static(1)
    precision: str = _static("highest")
    smooth_threshold: int = _static(4)
    features: str = _static("rgb")


def check_config(config: IEMConfig) -> None:
    """Check every field whose value is known; traced `sigma` and `lmbda` pass.

    Raises:
      UsageError: a field breaks its rule; the text names the field, the rule and the value.
    """
    for name in ("size", "iters", "kernel_size", "reps", "scale_factor"):
        check_positive_integer(name, getattr(config, name))
    if config.kernel_size % 2 == 0:
        raise UsageError(f"`kernel_size` must be a positive odd integer, got {config.kernel_size}.")
    if not isinstance(config.sigma, Tracer) and not (math.isfinite(config.sigma) and config.sigma > 0):
        raise UsageError(f"`sigma` must be a finite number > 0, got {config.sigma}.")
    if not isinstance(config.lmbda, Tracer) and not (math.isfinite(config.lmbda) and config.lmbda >= 0):
        raise UsageError(f"`lmbda` must be a finite number >= 0, got {config.lmbda}.")
    check_choice("precision", config.precision, PRECISIONS)
    check_positive_integer("smooth_threshold", config.smooth_threshold)
    if config.smooth_threshold > 9:
        raise UsageError(f"`smooth_threshold` must be an integer from 1 to 9, got {config.smooth_threshold}.")
    check_choice("features", config.features, FEATURES)


def check_divisible(name: str, length: int, scale_factor: int) -> None:
    """Check that `scale_factor` divides a side of the image, called `name` in the error."""
    if length % scale_factor:
        raise UsageError(f"`{name}` must be divisible by `scale_factor`, got {length} and {scale_factor}.")


def check_positive_integer(name: str, value: int) -> None:
    """Check that `value` is an integer >= 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"`{name}` must be an integer >= 1, got {value}.")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Check that `value` is one of `choices`."""
    if value not in choices:
        raise UsageError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}.")


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


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Settings of one run: where pictures come from, how they are worked through, what is written.

    Attributes:
      iem: settings of the algorithm.
      dataset: layout of the data set, a key of `iem_jax.data.DATASETS`, or "demo".
      dataset_path: root folder of the data set; None runs the demo, unless there are `images`.
      split: "train", "val" or "test".
      images: pictures instead of a data set: a folder, a picture, a glob, or a text file with a path a line.
      masks: folder of ground truths for `images`, by the same relative names.
      fit: how a picture becomes a square: "crop", "pad" or "stretch"; None crops data sets and pads `images`.
      resolution: of the written masks: "model", that of the square, or "original", that of the picture; None takes
        "model" for data sets and "original" for `images`.
      polarity: which side is the object: "start", that of the first mask (or of the network), or "border",
        `polarity.orient`'s; None takes "border" for IEM on `images`, else "start".
      batch_size: pictures whose means are printed together; it has no influence on the masks.
      output_dir: folder for masks and tables; None writes nothing (the demo writes to output/demo).
      profile_dir: folder for a jax profiler trace; None takes none.
      platform: "cpu", "gpu" or "tpu"; None takes jax's first choice.
      devices: how many of the platform's devices share the work; None takes all.
      early_finish: stop working on pictures whose mask repeats itself; the results are the same.
      cache_dir: folder for decoded pictures, so that a second run need not decode them; None keeps none.
      compilation_cache_dir: folder for compiled programs, so that a second run need not compile; None keeps none.
      strict: stop at the first picture that cannot be read.
      overwrite: remove what an earlier run wrote to `output_dir`, instead of going on with it.
      cutouts: write each object on a transparent background.
      overlays: write each picture with a tint and an outline.
      panels: write each picture beside its ground truth, its mask and its sides inpainted from each other.
      figures: write plots over iterations and a contact sheet.
      report: write report.html, a gallery.
      quiet: print errors only.
      preset: "paper" runs the algorithm as `iem` says; "best" and "fast" fix its settings themselves.
      refine_checkpoint: folder of a trained network that segments the pictures instead of IEM; None for IEM.
    """

    iem: IEMConfig = dataclasses.field(default_factory=IEMConfig)
    dataset: str = "flowers"
    dataset_path: str | None = None
    split: str = "test"
    images: str | None = None
    masks: str | None = None
    fit: str | None = None
    resolution: str | None = None
    polarity: str | None = None
    batch_size: int = 1020
    output_dir: str | None = None
    profile_dir: str | None = None
    platform: str | None = None
    devices: int | None = None
    early_finish: bool = True
    cache_dir: str | None = None
    compilation_cache_dir: str | None = None
    strict: bool = False
    overwrite: bool = False
    cutouts: bool = False
    overlays: bool = False
    panels: bool = False
    figures: bool = False
    report: bool = False
    quiet: bool = False
    preset: str = "paper"
    refine_checkpoint: str | None = None


def fill_in(config: RunConfig) -> RunConfig:
    """Return the settings with what depends on the source of the pictures."""
    own, is_iem = config.images is not None, config.refine_checkpoint is None
    return dataclasses.replace(
        config,
        fit=config.fit or ("pad" if own else "crop"),
        resolution=config.resolution or ("original" if own else "model"),
        polarity=config.polarity or ("border" if own and is_iem else "start"),
    )


def check_run_config(config: RunConfig) -> None:
    """Check what can be checked without touching a file.

    Raises:
      UsageError: a setting breaks its rule.
    """
    check_config(config.iem)
    check_divisible("size", config.iem.size, config.iem.scale_factor)
    check_positive_integer("batch_size", config.batch_size)
    check_choice("split", config.split, ("train", "val", "test"))
    check_preset(config.preset, config.iem)
    if config.refine_checkpoint is not None:
        _check_network_alone(config)
    if config.platform is not None:
        check_choice("platform", config.platform, PLATFORMS)
    for name, choices in (("fit", FITS), ("resolution", RESOLUTIONS), ("polarity", POLARITIES)):
        if getattr(config, name) is not None:
            check_choice(name, getattr(config, name), choices)
    if config.images is None and config.resolution == "original" and config.fit in (None, "crop"):
        raise UsageError("`resolution` original of a data set needs `fit` pad or stretch: a crop is not the picture.")
    if config.devices is not None:
        check_positive_integer("devices", config.devices)
    for name in ("profile_dir", "cache_dir", "compilation_cache_dir"):
        check_folder(name, getattr(config, name))
    _check_sources(config)


def _check_sources(config: RunConfig) -> None:
    if config.images is not None and config.dataset_path is not None:
        raise UsageError(f"There must be `images` or a data set, got {config.images} and {config.dataset_path}.")
    if config.images is not None and config.output_dir is None:
        raise UsageError("`images` needs an `output_dir`, to which masks are written.")
    if config.masks is not None and config.images is None:
        raise UsageError("`masks` needs `images`; a data set brings its own ground truth.")
    is_demo = config.images is None and config.dataset_path is None
    for name in ("cutouts", "overlays", "panels", "figures", "report", "overwrite"):
        if getattr(config, name) and config.output_dir is None and not is_demo:
            raise UsageError(f"`{name}` needs an `output_dir`, to which it writes.")


def check_preset(preset: str, config: IEMConfig) -> None:
    """Check that a preset other than "paper" meets no other setting than `size`.

    Raises:
      UsageError: there is no such preset, or it fixes a setting that was changed.
    """
    check_choice("preset", preset, PRESETS)
    for field in dataclasses.fields(IEMConfig):
        given = getattr(config, field.name)
        if preset != "paper" and field.name != "size" and given != field.default:
            raise UsageError(f"`preset` {preset} fixes `{field.name}` itself: leave it out, got {given!r}.")


def _check_network_alone(config: RunConfig) -> None:
    if config.preset != "paper":
        raise UsageError(f"`refine_checkpoint` segments without IEM: leave `preset` out, got {config.preset}.")
    for field in dataclasses.fields(IEMConfig):
        given = getattr(config.iem, field.name)
        if field.name != "size" and given != field.default:
            raise UsageError(f"`refine_checkpoint` segments without IEM: leave `{field.name}` out, got {given!r}.")
