"""The command line: flags become one RunConfig, with --refine a RefineConfig too, and one call.

`run.py`, `python -m iem_jax` and the console script `iem-jax` are all this, by way of `iem_jax.__main__`.
"""

import contextlib
import dataclasses
import importlib.resources
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import flags

from iem_jax.app.compilation import keep_programs
from iem_jax.app.config import (
    GROUP_OF,
    PATHS,
    PLATFORMS,
    SPLITS,
    ComputingConfig,
    RunConfig,
    SourceConfig,
    check_run_config,
    flatten,
    run_config,
)
from iem_jax.app.interrupt import exit_status, listen, restore, stop
from iem_jax.app.pipeline import run_pipeline
from iem_jax.app.stages import run_stages
from iem_jax.app.streams import lenient_streams, open_standard_streams
from iem_jax.config import FEATURES, PRECISIONS, PRESETS, IEMConfig, UsageError, check_plain_path
from iem_jax.data.fit import FITS
from iem_jax.data.truths import ORIENTATIONS
from iem_jax.finishing.judging import POLARITIES
from iem_jax.refine.config import RefineConfig, check_refine_config
from iem_jax.segmenter.found import VALID
from iem_jax.segmenter.segmenter import RESOLUTIONS

ABOUT = "Cut the objects out of pictures: --dataset_path=PATH, or --images=PATH for any pictures."
_USUAL = flatten(RunConfig())
_REFINE = dataclasses.fields(RefineConfig)
_IEM = [field.name for field in dataclasses.fields(IEMConfig)]


_HELP = {
    "dataset_path": "Folder of the data set; without it the demo runs.",
    "dataset": "Layout of the data set: flowers, cub, lsun_car or pairs.",
    "split": "Split of the data set, as ReDO assigns them.",
    "images": "Instead of a data set: folder, picture, glob, text file of paths, or - for paths from a pipe.",
    "masks": "Folder of ground truths for images, lsun_car and pairs, by the same relative names.",
    "limit": "The first so many pictures alone.",
    "mask_orientation": "Of ground truths that fit a picture both turned by EXIF and as it is stored.",
    "truncated": "Take what is there of pictures whose files end too early.",
    "fit": "How pictures become squares; default: crop, for images pad.",
    "resolution": "Of the masks; default: model, for images original.",
    "polarity": "Which side is the object; default: start, for images border.",
    "size": "Side in pixels to which pictures are brought.",
    "batch_size": "Pictures whose means are printed together.",
    "iters": "Iterations.",
    "sigma": "Standard deviation of the Gaussian kernel, in pixels.",
    "kernel_size": "Taps of the Gaussian kernel, odd.",
    "reps": "How often the kernel is applied.",
    "lmbda": "Weight of the diversity term.",
    "scale_factor": "Down-sampling of the inpainter.",
    "precision": "Precision of the filters' products.",
    "smooth_threshold": "Pixels of 3 x 3 that keep one foreground, 1 to 9.",
    "features": "Channels to inpaint: the picture's or CIELAB.",
    "preset": "Settings as a whole; best and fast fix all of the above but size. Default: paper, for images fast.",
    "evaluate": "A table over finished runs, or with --masks over folders of masks; commas between.",
    "boundary": "Of --evaluate: the F-score of the boundary, too.",
    "download": "Fetch a data set to dataset_path: flowers or cub.",
    "download_host": "Of --download: address of a mirror that has the archives by their names.",
    "download_accept": "Of --download: an MD5 sum that is taken for the known one.",
    "export": "Files for labelling and training, commas between; with output_dir alone those of a finished run.",
    "apply_review": "The review.csv of report.html: turn masks inside out, remove rejected ones.",
    "category": "Of --export: what all objects are called; default: object.",
    "min_confidence": "Of --export: leave masks of less confidence out.",
    "only": "Of --export: masks of this status alone.",
    "polygons": "Of --export: polygons in coco, too, instead of run lengths.",
    "output_dir": "Folder for masks and tables; none: only print.",
    "profile_dir": "Folder for a jax profiler trace.",
    "platform": "Where to compute; default: jax's first choice.",
    "devices": "How many devices share the work; default: all, and all CPU cores.",
    "early_finish": "Stop working on pictures whose mask repeats itself.",
    "cache_dir": "Folder to keep decoded pictures for the next run.",
    "compilation_cache": "Keep compiled programs for the next run, in the user's folder for caches.",
    "compilation_cache_dir": "Folder to keep compiled programs in instead; they get a private folder inside it.",
    "strict": "Stop at the first picture that cannot be read.",
    "overwrite": "Remove what an earlier run wrote, instead of going on with it.",
    "prune": "At the end remove what earlier runs wrote of pictures that are no longer there.",
    "cutouts": "Write the objects on a transparent background.",
    "overlays": "Write the pictures with a tint and an outline.",
    "panels": "Write pictures beside ground truth, mask and inpainted sides.",
    "figures": "Write plots over iterations and a contact sheet.",
    "report": "Write report.html, a gallery of all pictures.",
    "quiet": "Print errors only.",
    "refine": "Train a SegNet on IEM's masks of the train split and segment with it.",
    "refine_checkpoint": "Folder of a trained SegNet that segments instead.",
}
_CHOICES = {
    "split": SPLITS,
    "mask_orientation": ORIENTATIONS,
    "fit": FITS,
    "resolution": RESOLUTIONS,
    "polarity": POLARITIES,
    "precision": PRECISIONS,
    "features": FEATURES,
    "preset": PRESETS,
    "platform": PLATFORMS,
    "only": VALID,
}
_NEEDS = {
    **{"boundary": "evaluate", "download_host": "download", "download_accept": "download"},
    **dict.fromkeys(("category", "min_confidence", "only", "polygons"), "export"),
}
_TEXTS = ("evaluate", "download", "download_host", "download_accept", "export", "apply_review", "category", "only")
# Of flags whose default does not say:
_KINDS: dict[str, type] = {"devices": int, "limit": int, "min_confidence": float} | dict.fromkeys(_TEXTS, str)


def define_flags() -> flags.FlagValues:
    """Return all flags; they are nobody else's, so that a program that has flags of its own may import this."""
    parser = flags.FlagValues()
    for name, text in _HELP.items():
        usual = _USUAL.get(name, None if name in _KINDS else False)
        if name in _CHOICES:
            flags.DEFINE_enum(name, usual, _CHOICES[name], text, flag_values=parser)
        else:
            _define(name, usual, text, _KINDS.get(name, type(usual)), parser)
    for field in _REFINE:
        _define(f"refine_{field.name}", field.default, _help(field.name), type(field.default), parser)
    return parser


def _define(name: str, usual: Any, text: str, kind: type, parser: flags.FlagValues) -> None:
    define = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}
    define.get(kind, flags.DEFINE_string)(name, usual, text, flag_values=parser)


def _help(name: str) -> str:
    """Return what the docstring of RefineConfig begins to say of a field."""
    found = re.search(rf"^ +{name}: ([^:;,.\n]+)", RefineConfig.__doc__ or "", re.MULTILINE)
    return f"Of --refine: {found[1] if found else name}."


def parse(arguments: Sequence[str]) -> tuple[RunConfig, RefineConfig | None]:
    """Turn the command line into settings; takes the reference's spelling too (`PATH --kernel-size 7`).

    Args:
      arguments: as in `sys.argv`, the program's name first.

    Returns:
      The run's settings, and those of the training; None if there is to be none.

    Raises:
      UsageError: an unknown flag, a value of the wrong kind, a stray argument.
    """
    return _parse_run(read_flags(arguments))


def read_flags(arguments: Sequence[str]) -> dict[str, Any]:
    """Return the values of all flags, by name; arguments and errors are those of `parse`."""
    parser = define_flags()
    parser.set_gnu_getopt(True)
    try:
        rest = parser([arguments[0], *map(_spell, arguments[1:])])[1:]
    except flags.Error as error:
        raise UsageError(" ".join(str(error).split())) from error
    values = parser.flag_values_dict()
    if len(rest) > (values["dataset_path"] is None and values["images"] is None):
        raise UsageError(f"There must be at most one data set or `images`, got also {rest[-1]!r}.")
    if rest:
        values["dataset_path"] = rest[0]
    for name in PATHS:
        check_plain_path(name, values[name])
        values[name] = values[name] and os.path.expanduser(values[name])
    if values["preset"] is None and any(parser[name].present for name in _IEM if name != "size"):
        values["preset"] = "paper"  # whoever sets what the paper's algorithm does wants it, be it to the default
    return values


def _parse_run(values: Mapping[str, Any]) -> tuple[RunConfig, RefineConfig | None]:
    for name, needed in _NEEDS.items():
        if values[name] and not values[needed]:
            raise UsageError(f"`{name}` needs `{needed}`, which it is about.")
    iem = IEMConfig(**{name: values[name] for name in _IEM})
    return run_config(iem=iem, **{name: values[name] for name in GROUP_OF if name != "iem"}), _parse_refine(values)


def _spell(argument: str) -> str:
    """Return an argument as absl knows it: underscores in names, and flag files that come with the package."""
    argument = re.sub(r"^--?[a-z-]+", lambda found: found[0][:2] + found[0][2:].replace("-", "_"), argument)
    found = re.fullmatch(r"(--?flagfile=)(?:configs/)?([\w.]+)", argument)
    if found is None or Path(argument.partition("=")[2]).exists():
        return argument
    package = Path(str(importlib.resources.files("iem_jax")))
    places = (package / "configs" / found[2], package.parent / "configs" / found[2])  # a wheel's, a checkout's
    return next((found[1] + str(path) for path in places if path.is_file()), argument)


def _parse_refine(values: Mapping[str, Any]) -> RefineConfig | None:
    given = {field.name: values[f"refine_{field.name}"] for field in _REFINE}
    if not values["refine"]:
        for field in _REFINE:
            if given[field.name] != field.default:
                raise UsageError(f"`refine_{field.name}` needs `refine`, the training, got {given[field.name]!r}.")
        return None
    if values["refine_checkpoint"] is not None:
        raise UsageError("There must be `refine`, which trains, or `refine_checkpoint`, which does not; got both.")
    return RefineConfig(**given)


def _read_export(
    values: Mapping[str, Any], config: RunConfig, refine: RefineConfig | None
) -> Callable[[SourceConfig | None], int] | None:
    """Return what exports or reviews the masks of the run when it is finished; None if nothing is to be done."""
    if values["export"] is None and values["apply_review"] is None:
        return None
    from iem_jax.app.export import read_request, run_request

    request = read_request(values, config, refine is not None)
    return lambda source: run_request(request, source)


def _set_up_jax(computing: ComputingConfig) -> None:
    """Set what must be set before JAX looks for devices."""
    if computing.platform == "cpu":
        jax.config.update("jax_platforms", "cpu")  # leaves the accelerators to others
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        with contextlib.suppress(RuntimeError):  # the devices are known already: a program that calls `main` twice
            jax.config.update("jax_num_cpu_devices", computing.devices or len(os.sched_getaffinity(0)))
    keep_programs(computing.compilation_cache_dir, computing.compilation_cache)


def main(arguments: Sequence[str] | None = None, started: float | None = None) -> int:
    """Run; a usage error becomes one sentence and exit status 2.

    Args:
      arguments: the program's name and its arguments; those of the process by default.
      started: `time.perf_counter()` before the packages were imported, to report how long that took.

    Returns:
      The exit status.
    """
    arguments = sys.argv if arguments is None else arguments
    started = time.perf_counter() if started is None else started
    open_standard_streams()
    with lenient_streams() as output:
        before = listen(stop)
        try:
            status = _main(arguments, started)
            output.flush()
        except KeyboardInterrupt as error:
            print("stopped; the same command goes on from there.", file=sys.stderr)
            status = exit_status(error)
        finally:
            restore(before)
        if output.problem:
            print(f"standard output cannot be written: {output.problem}.", file=sys.stderr)
    return status or int(bool(output.problem))


def _main(arguments: Sequence[str], started: float) -> int:
    if {"-h", "--help"} & set(arguments[1:]):
        print(f"{ABOUT}\n{define_flags().get_help()}")
        return 0
    try:
        values = read_flags(arguments)
        if values["download"] is not None:
            from iem_jax.app.fetch import run_download

            return run_download(values)
        if values["evaluate"] is not None:
            from iem_jax.app.evaluate import run_evaluation

            return run_evaluation(values)
        config, refine = _parse_run(values)
        check_run_config(config)
        if refine is not None:
            check_refine_config(refine)
        export = _read_export(values, config, refine)
        if export is not None and config.source.is_demo:
            return export(None)
        _set_up_jax(config.computing)
        status = run_pipeline(config, started) if refine is None else run_stages(config, refine, started)
        return max(status, export(config.source)) if export is not None and status < 128 else status
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
