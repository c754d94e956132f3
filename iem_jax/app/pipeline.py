"""The main job: samples -> squares -> segmented and judged -> printed lines, masks and tables."""

import collections
import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from iem_jax.app.config import RunConfig, change, check_run_config, fill_in
from iem_jax.app.interrupt import Interrupt
from iem_jax.app.progress import Output, Stamp, open_output, stamp
from iem_jax.app.source import list_samples, load_pictures, write_demo_sheet
from iem_jax.app.tables import Tally, say_outcome, write_tables
from iem_jax.data import Sample
from iem_jax.data.names import printable
from iem_jax.data.truths import NOTES
from iem_jax.output.plots import check_plots
from iem_jax.output.results import Means, Result, history_line, make_result
from iem_jax.output.writer import OutputError, Writer
from iem_jax.refine.network import identify, load_network
from iem_jax.segmenter.devices import describe
from iem_jax.segmenter.found import FAILED
from iem_jax.segmenter.segmenter import Segmenter
from iem_jax.segmenter.stream import Clock, segment_stream

DEMO_OUTPUT, DEMO_NETWORK_OUTPUT = "output/demo", "output/demo_network"


REPEATS = 2  # for pictures that were changed while they were worked on


class Outcome(NamedTuple):
    """What a run came to."""

    status: int  # the exit status: 0; 1 if pictures failed or were not all written; 128 and more after a signal
    results: Sequence[Result] = ()  # of the pictures that are done, in order, without their curves; only if asked for
    interrupted: int = 0  # the signal that asked for an end, be it after the last picture


class Run(NamedTuple):
    """One run under way."""

    config: RunConfig  # of `prepare`
    samples: Sequence[Sample]
    segmenter: Segmenter
    output: Output
    clock: Clock
    interrupt: Interrupt
    tally: Tally
    notes: collections.Counter[str]  # of the ground truths that were read

    def print(self, text: str) -> None:
        """Print a line of the reference's text to standard output."""
        if not self.config.output.quiet:
            print(text, flush=True)

    def tell(self, text: str) -> None:
        """Print a line to standard error, unless only errors are wanted."""
        if not self.config.output.quiet:
            say(text)


def run_pipeline(config: RunConfig, started: float | None = None) -> int:
    """Do one run as the command line describes it.

    Args:
      config: the settings.
      started: `time.perf_counter()` before the packages were imported, to report how long that took.

    Returns:
      The exit status: 0; 1 if pictures failed or a file could not be written; 130 after Ctrl-C.

    Raises:
      UsageError: something cannot work; nothing has been computed.
    """
    started = time.perf_counter() if started is None else started
    config = prepare(config)
    checkpoint = config.algorithm.refine_checkpoint
    network = None if checkpoint is None else load_network(checkpoint, config.algorithm.iem.size)
    tell = (lambda text: None) if config.output.quiet else say
    samples = list_samples(config.source, config.output.output_dir, tell=tell)
    try:
        return run_samples(config, samples, network, started).status
    except OutputError as error:
        say_unwritten(error)
        return 1


def prepare(config: RunConfig) -> RunConfig:
    """Return the settings with nothing left open.

    Raises:
      UsageError: something cannot work.
    """
    check_run_config(config)
    config = fill_in(config)
    if config.products.figures:
        check_plots()
    if config.source.is_demo:
        usual = DEMO_OUTPUT if config.algorithm.refine_checkpoint is None else DEMO_NETWORK_OUTPUT
        config = change(config, dataset="demo", output_dir=config.output.output_dir or usual)
    return config


def run_samples(
    config: RunConfig,
    samples: Sequence[Sample],
    network: Any,
    started: float,
    keep: bool = False,
    also: Sequence[str] = (),
) -> Outcome:
    """Do one run on pictures, from their files to the tables.

    Args:
      config: of `prepare`.
      samples: the pictures.
      network: a trained network, a `refine.ModelState`, or None for IEM.
      started: see `run_pipeline`.
      keep: give the results of all pictures back.
      also: names of tables that the caller will write into the same folder.

    Raises:
      UsageError: something cannot work; nothing has been computed.
      OutputError: a file cannot be written.
    """
    segmenter = make_segmenter(config, network)
    device = segmenter.computing.devices[0]
    writer = Writer(Path(config.output.output_dir)) if config.output.output_dir is not None else None
    identity = None if network is None else identify(network)
    with warnings.catch_warnings(), open_output(writer, config, samples, device, identity) as output:
        warnings.filterwarnings("ignore", module="PIL")  # it warns of files that it reads all the same
        output.name_tables(also)
        run = Run(config, samples, segmenter, output, Clock(), Interrupt(), Tally(keep), collections.Counter())
        run.clock["import"] = time.perf_counter() - started
        return _do(run)


def make_segmenter(config: RunConfig, network: Any = None) -> Segmenter:
    """Return what segments the pictures of a run."""
    algorithm, fitting, computing = config.algorithm, config.fitting, config.computing
    return Segmenter(
        preset=algorithm.preset if network is None else None,
        config=algorithm.iem,
        network=network,
        fit=fitting.fit or "pad",
        resolution=fitting.resolution or "original",
        polarity=fitting.polarity,
        platform=computing.platform,
        devices=computing.devices,
        early_finish=computing.early_finish,
    )


def say(text: str) -> None:
    """Print a line to standard error, above the progress bar if there is one."""
    tqdm.write(text, file=sys.stderr)


def say_unwritten(error: OutputError) -> None:
    """Say why a run ends before all is written."""
    say(f"{error}; the files written so far are whole, and the same command goes on from there.")


def _do(run: Run) -> Outcome:
    """Work through the pictures, then write what is about all of them."""
    number, device = len(run.samples), describe(run.segmenter.computing.devices)
    _say_start(run, device)
    with run.clock.measure("total"), _profile(run.config.computing.profile_dir), run.interrupt, run.output.queue:
        done = 0
        for result in _work(run):
            run.tally.add(result)
            done += 1
        if done == number:
            _repeat_changed(run)
    if run.interrupt.requested and done < number:
        say(f"interrupted: {done} of {number} pictures are done; the same command goes on from there.")
        return Outcome(128 + run.interrupt.requested, run.tally.kept, run.interrupt.requested)
    run.print(f"{'IEM' if run.segmenter.network is None else 'SegNet'} finished in {run.clock['total']:.1f} seconds")
    for note, count in sorted(run.notes.items()):
        run.tell(NOTES[note].format(count))
    tally = run.tally
    if run.output.writer is not None:
        tally = write_tables(run.output, run.config, done, device, run.clock, Tally(run.tally.keep))
        if run.config.source.is_demo:
            write_demo_sheet(run.output.writer, run.samples)
    for index, problem in sorted(run.output.problems.items()):
        say(f"{printable(run.samples[index].name)}: {problem}")
    if run.output.writer is not None:
        run.tell(f"results are in {run.output.writer.folder}")
    say_outcome(tally, run.tell)
    failed = tally.counts.failed or run.output.problems
    return Outcome(1 if failed else 0, tally.kept, run.interrupt.requested)


def _say_start(run: Run, device: str) -> None:
    run.tell(f"{len(run.samples)} pictures on {device}")
    if run.config.source.masks is not None:
        run.tell(f"{sum(sample.mask_path is not None for sample in run.samples)} of them with a ground truth")
    restored = int(run.output.is_done.sum())
    if restored:
        nothing = "" if restored < len(run.samples) else "; there is no more to do"
        run.tell(f"{restored} pictures were done before{nothing}")
    if run.output.others:
        fate = "is removed at the end" if run.config.output.prune else "stays (`--prune` removes it)"
        run.tell(f"{run.output.others} pictures of earlier runs are not among these: what was written of them {fate}")


def _work(run: Run) -> Iterator[Result]:
    """Bring all samples to their results, in order; print the lines of each batch as it ends."""
    size, number = run.config.output.batch_size, len(run.samples)
    fresh = _segment(run, np.flatnonzero(~run.output.is_done))
    with tqdm(total=number, unit=" pictures", disable=not _is_watched(run.config), leave=False) as progress:
        progress.update(int(run.output.is_done.sum()))
        progress.unpause()  # what was done before says nothing about the time left
        for start in range(0, number, size):
            run.print(f"Batch {start // size + 1}/{-(-number // size)}")
            means, done, failed = Means(), 0, False
            for result in _take(run, range(start, min(start + size, number)), fresh, progress.update):
                means.add(result)
                done, failed = done + 1, result.status == FAILED
                yield result
            if done < min(size, number - start) or (run.config.output.strict and failed):
                return
            for row in means.rows():
                run.print(history_line(row))


def _take(run: Run, numbers: range, fresh: Iterator[Result], count: Callable[[], object]) -> Iterator[Result]:
    """Yield the results of samples, done before or now; ends early after a signal, and after a failure if `strict`."""
    for number in numbers:
        result = run.output.result(number) if run.output.is_done[number] else None
        if result is None:
            result = next(fresh, None)
            if result is None:
                return
            count()
        yield result
        if result.problem:
            say(f"{printable(str(run.samples[number].image_path))}: {result.problem}")
        if run.config.output.strict and result.status == FAILED:
            say("stopped at the first picture that cannot be read (`strict`)")
            return


def _segment(run: Run, numbers: Sequence[int] | np.ndarray) -> Iterator[Result]:
    """Segment some of the samples and hand them to be written."""
    if not len(numbers):
        return
    begun: collections.deque[tuple[int, Stamp]] = collections.deque()

    def begin() -> Iterator[Sample]:
        for number in map(int, numbers):
            begun.append((number, stamp(run.samples[number])))
            yield run.samples[number]

    loaded = run.clock.timed("load", load_pictures(run.config, begin()))
    loaded = run.interrupt.until(loaded)
    for item, judged in segment_stream(loaded, run.segmenter.computing, run.clock, len(numbers)):
        number, before = begun.popleft()
        result = make_result(item, judged)
        run.notes.update(item.notes)
        with run.clock.measure("write"):
            run.output.write(number, result, item, judged, before)
        yield result


def _repeat_changed(run: Run) -> None:
    """Do pictures again that were changed while they were worked on."""
    for _ in range(REPEATS):
        run.output.queue.wait()
        changed, run.output.changed = run.output.changed, []
        for _ in _segment(run, sorted(changed)):
            pass


def _is_watched(config: RunConfig) -> bool:
    return not config.output.quiet and sys.stderr.isatty()


def _profile(folder: str | None) -> contextlib.AbstractContextManager:
    return jax.profiler.trace(folder) if folder is not None else contextlib.nullcontext()
