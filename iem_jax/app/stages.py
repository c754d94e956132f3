"""`--refine`: IEM on the pictures to learn from, training, then IEM and the network on the chosen pictures.

Each stage is a run of its own with its own folder, and goes on by itself; what is finished is not done again.

    OUTPUT/refine/train/   IEM's masks of the pictures to learn from
    OUTPUT/refine/         checkpoints, history.csv and curves.png of the training
    OUTPUT/iem/            IEM's masks of the chosen pictures
    OUTPUT/                the network's, and comparison.csv
"""

import contextlib
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from iem_jax.app.config import PRODUCTS, RunConfig, change
from iem_jax.app.interrupt import StoppedBySignal, exit_status
from iem_jax.app.pipeline import (
    DEMO_NETWORK_OUTPUT,
    Outcome,
    prepare,
    run_samples,
    say,
    say_unwritten,
)
from iem_jax.app.progress import settings_of
from iem_jax.app.source import list_samples, load_pictures
from iem_jax.config import IEMConfig, UsageError
from iem_jax.core.solver import OK, STATUSES
from iem_jax.data import Sample
from iem_jax.evaluation.compare import comparison_lines, comparison_rows, mean_scores
from iem_jax.output.opening import check_settings, lock_folder
from iem_jax.output.results import metrics_rows
from iem_jax.output.writer import FILES, FOLDERS, OutputError, Writer
from iem_jax.refine.config import RefineConfig, check_refine_config, check_size
from iem_jax.refine.network import check_installed
from iem_jax.segmenter.devices import choose_devices

TRAINING, TRAIN, IEM = "refine", "refine/train", "iem"
WRITTEN = (
    *(f"{place}/{name}" for place in (".", TRAINING, TRAIN, IEM) for name in (*FOLDERS, *FILES)),
    f"{TRAINING}/curves.png",
)


class Plan(NamedTuple):
    """The settings of the three runs around the training."""

    train: RunConfig
    iem: RunConfig
    net: RunConfig


class StoppedError(Exception):
    """A stage ended so that no other is to follow; holds the exit status."""


def run_stages(config: RunConfig, refine: RefineConfig, started: float | None = None) -> int:
    """Train a network on IEM's masks and segment the chosen pictures with it.

    Args:
      config: settings of the run; those of IEM are for the masks to learn from, too.
      refine: settings of the training.
      started: as for `run_pipeline`.

    Returns:
      The exit status, as of `run_pipeline`; 1 also if there is nothing to learn from or the loss is not finite.

    Raises:
      UsageError: something cannot work.
    """
    started = time.perf_counter() if started is None else started
    check_refine_config(refine)
    polarity = config.fitting.polarity
    if config.source.is_demo:
        config = change(config, output_dir=config.output.output_dir or DEMO_NETWORK_OUTPUT)
    config = prepare(config)
    size = config.algorithm.iem.size
    check_size("size", size, size, refine.shrink)
    check_installed("refine")
    choose_devices(config.computing.platform, config.computing.devices)
    chosen = list_samples(config.source, config.output.output_dir, WRITTEN)
    train = chosen
    if config.source.dataset_path is not None:
        others = dataclasses.replace(config.source, split="train")
        train = list_samples(others, config.output.output_dir, WRITTEN)
    if len(train) < 2:
        raise UsageError(f"`refine` needs at least 2 pictures to learn from, got {len(train)}.")
    with _open_folder(config) as folder:
        plan = _plan(config, folder, polarity)
        if not config.output.overwrite:
            check_settings(folder, {key: value for key, value in settings_of(plan.net, "").items() if key != "network"})
        with lock_folder(Writer(folder / TRAINING).folder):
            return _run_stages(plan, refine, folder, train, chosen, started)


@contextlib.contextmanager
def _open_folder(config: RunConfig) -> Iterator[Path]:
    """Give the output folder, or one that is removed after the block."""
    if config.output.output_dir is not None:
        yield Path(config.output.output_dir)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _plan(config: RunConfig, folder: Path, polarity: str | None) -> Plan:
    """Return the settings of each run; `polarity` is what was asked for, if anything."""
    products = dict.fromkeys(PRODUCTS, False)
    train = change(
        config,
        split="train",
        output_dir=str(folder / TRAIN),
        resolution="model",
        polarity=polarity or "border",  # all masks must show the same side, and no label may say which
        **products,
    )
    kept = None if config.output.output_dir is None else str(folder / IEM)
    iem = change(config, output_dir=kept, **products)
    alone = IEMConfig(size=config.algorithm.iem.size)
    net = change(config, iem=alone, preset="paper", polarity=polarity or "start")
    return Plan(train, iem, net)


def _run_stages(
    plan: Plan, refine: RefineConfig, folder: Path, train: Sequence[Sample], chosen: Sequence[Sample], started: float
) -> int:
    from iem_jax.refine import TrainingError

    again = "" if plan.net.output.output_dir is None else "; the same command goes on from there"
    try:
        return _do_stages(plan, refine, folder, train, chosen, started)
    except StoppedError as error:
        return error.args[0]
    except KeyboardInterrupt as error:
        say(f"interrupted{again}.")
        return exit_status(error)
    except OutputError as error:
        say_unwritten(error)
        return 1
    except OSError as error:  # of a checkpoint, or of what an earlier stage wrote
        what = f"{error.filename or folder} cannot be used: {error.strerror or error}"
        say_unwritten(OutputError(what))
        return 1
    except TrainingError as error:
        say(str(error))
        return 1


def _do_stages(
    plan: Plan, refine: RefineConfig, folder: Path, train: Sequence[Sample], chosen: Sequence[Sample], started: float
) -> int:
    from iem_jax.app.training import collect, remove_training, train_on

    tell = (lambda text: None) if plan.net.output.quiet else say
    if plan.net.output.overwrite:
        remove_training(folder / TRAINING)
    tell(f"stage 1 of 4: IEM on {len(train)} pictures to learn from")
    first = _run_silently(plan.train, train, started)
    certain = {result.name for result in first.results if result.status == STATUSES[OK]}
    tell(f"stage 2 of 4: training on {len(certain)} of {len(train)} masks, the others are uncertain or failed")
    learned = collect(load_pictures(plan.train, train), folder / TRAIN, certain)
    devices = list(choose_devices(plan.net.computing.platform, plan.net.computing.devices))
    # The searches of the other presets end with more than that, which it would undo.
    polish = refine.polish if plan.train.algorithm.preset == "paper" else 0
    model = train_on(learned, refine, folder / TRAINING, devices, tell, polish)
    del learned
    tell(f"stage 3 of 4: IEM on {len(chosen)} pictures, to compare")
    second = _run_silently(plan.iem, chosen, time.perf_counter())
    tell(f"stage 4 of 4: the network on {len(chosen)} pictures")
    last = run_samples(plan.net, chosen, model, time.perf_counter(), keep=True, also=["comparison.csv"])
    third = _end_if_stopped(plan.net, last)
    _compare(plan.net, refine, second, third, tell)
    return max(outcome.status for outcome in (first, second, third))


def _run_silently(config: RunConfig, samples: Sequence[Sample], started: float) -> Outcome:
    """Run IEM with nothing on standard output, which is the last stage's."""
    with contextlib.redirect_stdout(None):
        outcome = _end_if_stopped(config, run_samples(config, samples, None, started, keep=True))
    if outcome.interrupted:  # too late for this stage, which is finished
        raise StoppedBySignal(outcome.interrupted)
    return outcome


def _end_if_stopped(config: RunConfig, outcome: Outcome) -> Outcome:
    if outcome.status >= 128 or (config.output.strict and outcome.status):
        raise StoppedError(outcome.status)
    return outcome


def _compare(config: RunConfig, refine: RefineConfig, iem: Outcome, net: Outcome, tell: Callable[[str], None]) -> None:
    """Write and say the scores of both sides."""
    rows = list(comparison_rows(metrics_rows(iem.results), metrics_rows(net.results)))
    means = mean_scores(rows)
    if config.output.output_dir is not None:
        writer = Writer(Path(config.output.output_dir))
        writer.write_comparison(rows)
        summary: dict[str, Any] = json.loads(writer.path_of("summary.json").read_text())
        writer.write_summary(summary | {"refine": dataclasses.asdict(refine), "comparison": means})
    for line in comparison_lines(means) if means else ():
        tell(line)
