"""Cut the objects out of pictures: `python run.py --dataset_path=PATH`. The flags become one RunConfig and one call."""

import dataclasses
import re
import sys

import jax
from absl import flags

from iem_jax.config import FEATURES, PLATFORMS, PRECISIONS, PRESETS, IEMConfig, RunConfig, UsageError
from iem_jax.pipeline import run_pipeline

_DEFAULT = IEMConfig()
_RUN = RunConfig()

flags.DEFINE_string("dataset_path", None, "Folder of the data set; without it the demo runs.")
flags.DEFINE_string("dataset", _RUN.dataset, "Layout of the data set: flowers.")
flags.DEFINE_enum("split", _RUN.split, ["train", "val", "test"], "Split of the data set, as ReDO assigns them.")
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
flags.DEFINE_bool("strict", _RUN.strict, "Stop at the first picture that cannot be read.")


def parse(arguments: list[str]) -> RunConfig:
    """Turn the command line into a `RunConfig`; takes the reference's spelling too (`PATH --kernel-size 7`).

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
    if len(rest) > (values["dataset_path"] is None):
        raise UsageError(f"There must be at most one data set folder, got also {rest[-1]!r}.")
    if rest:
        values["dataset_path"] = rest[0]
    iem = IEMConfig(**{field.name: values[field.name] for field in dataclasses.fields(IEMConfig)})
    names = [field.name for field in dataclasses.fields(RunConfig) if field.name != "iem"]
    return RunConfig(iem=iem, **{name: values[name] for name in names})


def main(arguments: list[str]) -> int:
    """Run; a usage error becomes one sentence and exit status 2."""
    if {"-h", "--help"} & set(arguments[1:]):
        print(f"{__doc__}\n{flags.FLAGS.main_module_help()}")
        return 0
    try:
        config = parse(arguments)
        if config.platform == "cpu":
            jax.config.update("jax_platforms", "cpu")  # leaves the accelerators to others
        return run_pipeline(config)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv))
