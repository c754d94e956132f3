"""Cut the objects out of pictures: `python run.py --dataset_path=PATH`, or `--images=PATH` for any pictures.

The flags become one RunConfig, with --refine a RefineConfig too, and one call.
"""

import time

_STARTED = time.perf_counter()

import contextlib
import dataclasses
import os
import re
import sys
from typing import Any

import jax
from absl import flags

from iem_jax.app.pipeline import run_pipeline
from iem_jax.app.stages import run_stages
from iem_jax.config import (
    FEATURES,
    FITS,
    PLATFORMS,
    POLARITIES,
    PRECISIONS,
    PRESETS,
    RESOLUTIONS,
    IEMConfig,
    RunConfig,
    UsageError,
    check_run_config,
)
from iem_jax.refine.config import RefineConfig, check_refine_config

_DEFAULT = IEMConfig()
_RUN = RunConfig()
_REFINE = dataclasses.fields(RefineConfig)

flags.DEFINE_string("dataset_path", None, "Folder of the data set; without it the demo runs.")
flags.DEFINE_string("dataset", _RUN.dataset, "Layout of the data set: flowers.")
flags.DEFINE_enum("split", _RUN.split, ["train", "val", "test"], "Split of the data set, as ReDO assigns them.")
flags.DEFINE_string("images", _RUN.images, "Instead of a data set: folder, picture, glob, or text file of paths.")
flags.DEFINE_string("masks", _RUN.masks, "Folder of ground truths for the images, by the same relative names.")
flags.DEFINE_enum("fit", _RUN.fit, FITS, "How pictures become squares; default: crop, for images pad.")
flags.DEFINE_enum("resolution", _RUN.resolution, RESOLUTIONS, "Of the masks; default: model, for images original.")
flags.DEFINE_enum("polarity", _RUN.polarity, POLARITIES, "Which side is the object; default: start, for images border.")
flags.DEFINE_integer("size", _DEFAULT.size, "Side in pixels to which pictures are brought.")
flags.DEFINE_integer("batch_size", _RUN.batch_size, "Pictures whose means are printed together.")
flags.DEFINE_integer("iters", _DEFAULT.iters, "Iterations.")
flags.DEFINE_float("sigma", _DEFAULT.sigma, "Standard deviation of the Gaussian kernel, in pixels.")
flags.DEFINE_integer("kernel_size", _DEFAULT.kernel_size, "Taps of the Gaussian kernel, odd.")
flags.DEFINE_integer("reps", _DEFAULT.reps, "How often the kernel is applied.")
flags.DEFINE_float("lmbda", _DEFAULT.lmbda, "Weight of the diversity term.")
flags.DEFINE_integer("scale_factor", _DEFAULT.scale_factor, "Down-sampling of the inpainter.")
flags.DEFINE_enum("precision", _DEFAULT.precision, PRECISIONS, "Precision of the filters' products.")
flags.DEFINE_integer("smooth_threshold", _DEFAULT.smooth_threshold, "Pixels of 3 x 3 that keep one foreground, 1 to 9.")
flags.DEFINE_enum("features", _DEFAULT.features, FEATURES, "Channels to inpaint: the picture's or CIELAB.")
flags.DEFINE_enum("preset", _RUN.preset, PRESETS, "Settings as a whole; best and fast fix all of the above but size.")
flags.DEFINE_string("output_dir", _RUN.output_dir, "Folder for masks and tables; none: only print.")
flags.DEFINE_string("profile_dir", _RUN.profile_dir, "Folder for a jax profiler trace.")
flags.DEFINE_enum("platform", _RUN.platform, PLATFORMS, "Where to compute; default: jax's first choice.")
flags.DEFINE_integer("devices", _RUN.devices, "How many devices share the work; default: all, and all CPU cores.")
flags.DEFINE_bool("early_finish", _RUN.early_finish, "Stop working on pictures whose mask repeats itself.")
flags.DEFINE_string("cache_dir", _RUN.cache_dir, "Folder to keep decoded pictures for the next run.")
flags.DEFINE_string("compilation_cache_dir", _RUN.compilation_cache_dir, "Folder to keep compiled programs.")
flags.DEFINE_bool("strict", _RUN.strict, "Stop at the first picture that cannot be read.")
flags.DEFINE_bool("overwrite", _RUN.overwrite, "Remove what an earlier run wrote, instead of going on with it.")
flags.DEFINE_bool("cutouts", _RUN.cutouts, "Write the objects on a transparent background.")
flags.DEFINE_bool("overlays", _RUN.overlays, "Write the pictures with a tint and an outline.")
flags.DEFINE_bool("panels", _RUN.panels, "Write pictures beside ground truth, mask and inpainted sides.")
flags.DEFINE_bool("figures", _RUN.figures, "Write plots over iterations and a contact sheet.")
flags.DEFINE_bool("report", _RUN.report, "Write report.html, a gallery of all pictures.")
flags.DEFINE_bool("quiet", _RUN.quiet, "Print errors only.")
flags.DEFINE_bool("refine", False, "Train a SegNet on IEM's masks of the train split and segment with it.")
flags.DEFINE_string("refine_checkpoint", _RUN.refine_checkpoint, "Folder of a trained SegNet that segments instead.")
_DEFINE = {int: flags.DEFINE_integer, float: flags.DEFINE_float, str: flags.DEFINE_string, bool: flags.DEFINE_bool}


def _help(name: str) -> str:
    """Return what the docstring of RefineConfig begins to say of a field."""
    found = re.search(rf"^ +{name}: ([^:;,.\n]+)", RefineConfig.__doc__ or "", re.MULTILINE)
    return f"Of --refine: {found[1] if found else name}."


for _field in _REFINE:
    _DEFINE[type(_field.default)](f"refine_{_field.name}", _field.default, _help(_field.name))


def parse(arguments: list[str]) -> tuple[RunConfig, RefineConfig | None]:
    """Turn the command line into settings; takes the reference's spelling too (`PATH --kernel-size 7`).

    Returns:
      The run's settings, and those of the training; None if there is to be none.

    Raises:
      UsageError: an unknown flag, a value of the wrong kind, a stray argument.
    """
    spelled = [re.sub(r"^--?[a-z-]+", lambda m: m[0][:2] + m[0][2:].replace("-", "_"), a) for a in arguments[1:]]
    flags.FLAGS.set_gnu_getopt(True)
    try:
        rest = flags.FLAGS([arguments[0], *spelled])[1:]
    except flags.Error as error:
        raise UsageError(" ".join(str(error).split())) from error
    values = flags.FLAGS.flag_values_dict()
    if len(rest) > (values["dataset_path"] is None and values["images"] is None):
        raise UsageError(f"There must be at most one data set or `images`, got also {rest[-1]!r}.")
    if rest:
        values["dataset_path"] = rest[0]
    iem = IEMConfig(**{field.name: values[field.name] for field in dataclasses.fields(IEMConfig)})
    names = [field.name for field in dataclasses.fields(RunConfig) if field.name != "iem"]
    return RunConfig(iem=iem, **{name: values[name] for name in names}), _parse_refine(values)


def _parse_refine(values: dict[str, Any]) -> RefineConfig | None:
    given = {field.name: values[f"refine_{field.name}"] for field in _REFINE}
    if not values["refine"]:
        for field in _REFINE:
            if given[field.name] != field.default:
                raise UsageError(f"`refine_{field.name}` needs `refine`, the training, got {given[field.name]!r}.")
        return None
    if values["refine_checkpoint"] is not None:
        raise UsageError("There must be `refine`, which trains, or `refine_checkpoint`, which does not; got both.")
    return RefineConfig(**given)


def _set_up_jax(config: RunConfig) -> None:
    """Set what must be set before JAX looks for devices."""
    if config.platform == "cpu":
        jax.config.update("jax_platforms", "cpu")  # leaves the accelerators to others
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        with contextlib.suppress(RuntimeError):  # the devices are known already: a program that calls `main` twice
            jax.config.update("jax_num_cpu_devices", config.devices or len(os.sched_getaffinity(0)))
    if config.compilation_cache_dir is not None:
        os.chmod(config.compilation_cache_dir, 0o700)  # programs that are run must be the user's own
        jax.config.update("jax_compilation_cache_dir", config.compilation_cache_dir)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def main(arguments: list[str]) -> int:
    """Run; a usage error becomes one sentence and exit status 2."""
    if {"-h", "--help"} & set(arguments[1:]):
        print(f"{__doc__}\n{flags.FLAGS.main_module_help()}")
        return 0
    try:
        config, refine = parse(arguments)
        check_run_config(config)
        if refine is not None:
            check_refine_config(refine)
        _set_up_jax(config)
        return run_pipeline(config, _STARTED) if refine is None else run_stages(config, refine, _STARTED)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv))
