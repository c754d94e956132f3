"""The main job: samples -> chunks -> segment -> printed lines, masks and tables."""

import contextlib
import dataclasses
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image
from tqdm import tqdm

from iem_jax.app.devices import choose_devices, describe
from iem_jax.app.interrupt import Interrupt
from iem_jax.app.progress import Output, open_output
from iem_jax.app.tables import say_outcome, write_tables
from iem_jax.config import RunConfig, UsageError, check_run_config, fill_in
from iem_jax.data import DATASETS, Sample
from iem_jax.data.cache import DecodedCache
from iem_jax.data.demo import list_demo
from iem_jax.data.folder import list_images
from iem_jax.data.images import read_image
from iem_jax.data.loader import Loaded, load_samples
from iem_jax.data.names import printable
from iem_jax.output.figures import contact_sheet
from iem_jax.output.plots import check_plots
from iem_jax.output.results import FAILED, Result, history_line, history_rows, make_result
from iem_jax.output.writer import FILES, FOLDERS, OutputError, Writer
from iem_jax.refine.network import identify, load_network
from iem_jax.segmenter.stream import Clock, Computing, segment_stream

DEMO_OUTPUT, DEMO_NETWORK_OUTPUT = "output/demo", "output/demo_network"


class Outcome(NamedTuple):
    """What a run came to."""

    status: int  # the exit status: 0; 1 if pictures failed or were not all written; 130 after Ctrl-C
    results: list[Result]  # of the pictures that are done, in order
    interrupted: bool = False  # by Ctrl-C, be it after the last picture


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
    model = None
    if config.refine_checkpoint is not None:
        model = load_network(config.refine_checkpoint, config.iem.size)
    samples = list_samples(config)
    try:
        return run_samples(config, samples, model, started).status
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
    if config.figures:
        check_plots()
    if config.dataset_path is None and config.images is None:
        usual = DEMO_OUTPUT if config.refine_checkpoint is None else DEMO_NETWORK_OUTPUT
        config = dataclasses.replace(config, dataset="demo", output_dir=config.output_dir or usual)
    return config


def run_samples(config: RunConfig, samples: list[Sample], model: Any, started: float) -> Outcome:
    """Do one run on pictures, from their files to the tables.

    Args:
      config: of `prepare`.
      samples: the pictures.
      model: a trained network, a `refine.ModelState`, or None for IEM.
      started: see `run_pipeline`.

    Raises:
      UsageError: something cannot work; nothing has been computed.
      OutputError: a file cannot be written.
    """
    computing = Computing(
        config.iem,
        choose_devices(config.platform, config.devices),
        config.early_finish,
        config.preset,
        str(config.polarity),
        config.fit == "pad",
        jax.device_get(model),
    )
    network = None if model is None else identify(model)
    writer = Writer(Path(config.output_dir)) if config.output_dir is not None else None
    with warnings.catch_warnings(), open_output(writer, config, samples, computing.devices[0], network) as output:
        warnings.filterwarnings("ignore", module="PIL")  # it warns of files that it reads all the same
        return _run(config, samples, computing, output, started)


def list_samples(config: RunConfig, written: Sequence[str] = (*FOLDERS, *FILES)) -> list[Sample]:
    """List the pictures of the run.

    Args:
      config: says where they are.
      written: what may be written to `output_dir` and is therefore left out.

    Raises:
      UsageError: there are no such pictures, no such data set or no such layout.
    """
    if config.images is not None:
        own = [Path(config.output_dir or ".", name) for name in written]
        return list_images(config.images, config.masks, own)
    if config.dataset_path is None:
        return list_demo()
    if config.dataset not in DATASETS:
        raise UsageError(f"`dataset` must be one of {', '.join(DATASETS)}, got {config.dataset!r}.")
    return DATASETS[config.dataset](Path(config.dataset_path), config.split)


def load_pictures(config: RunConfig, samples: list[Sample]) -> Iterator[Loaded]:
    """Read pictures as the run sees them, in threads, in their order."""
    # Data sets that are cropped are read as the reference reads them.
    fit = None if config.images is None and config.fit == "crop" else config.fit
    cache = DecodedCache(Path(config.cache_dir), config.iem.size, fit) if config.cache_dir is not None else None
    return load_samples(samples, config.iem.size, fit, cache)


def say(text: str) -> None:
    """Print a line to standard error, above the progress bar if there is one."""
    tqdm.write(text, file=sys.stderr)


def say_unwritten(error: OutputError) -> None:
    """Say why a run ends before all is written."""
    say(f"{error}; the files written so far are whole, and the same command goes on from there.")


def _run(config: RunConfig, samples: list[Sample], computing: Computing, output: Output, started: float) -> Outcome:
    tell = (lambda text: None) if config.quiet else say
    tell(f"{len(samples)} pictures on {describe(computing.devices)}")
    if config.masks is not None:
        tell(f"{sum(sample.mask_path is not None for sample in samples)} of them with a ground truth")
    if output.restored:
        tell(
            f"{len(output.restored)} pictures were done before" + ("" if output.pending else "; there is no more to do")
        )
    clock = Clock()
    clock["import"] = time.perf_counter() - started
    with clock.measure("total"), _profile(config.profile_dir), Interrupt() as interrupt, output.queue:
        results = list(_work(config, samples, computing, output, clock, interrupt))
    if interrupt.requested and len(results) < len(samples):
        say(f"interrupted: {len(results)} of {len(samples)} pictures are done; the same command goes on from there.")
        return Outcome(130, results, True)
    _print(config, f"{'IEM' if computing.model is None else 'SegNet'} finished in {clock['total']:.1f} seconds")
    for result in output.problems.values():
        say(f"{printable(result.name)}: {result.problem}")
    results = [output.problems.get(result.name, result) for result in results]
    if output.writer is not None:
        write_tables(output, config, results, describe(computing.devices), clock)
        if config.dataset == "demo":
            _write_demo_sheet(output.writer, samples)
        tell(f"results are in {output.writer.folder}")
    say_outcome(results, tell)
    failed = any(result.status == FAILED for result in results) or output.problems
    return Outcome(1 if failed else 0, results, interrupt.requested)


def _work(
    config: RunConfig, samples: list[Sample], computing: Computing, output: Output, clock: Clock, interrupt: Interrupt
) -> Iterator[Result]:
    """Bring all samples to their results, in order; print the lines of each batch as it ends."""
    fresh = _segment(config, computing, output, clock, interrupt)
    number = -(-len(samples) // config.batch_size)
    hidden = config.quiet or not sys.stderr.isatty()
    with tqdm(total=len(samples), initial=0, unit=" pictures", disable=hidden, leave=False) as progress:
        progress.update(len(output.restored))
        progress.unpause()  # what was done before says nothing about the time left
        for index in range(number):
            _print(config, f"Batch {index + 1}/{number}")
            batch = []
            for sample in samples[index * config.batch_size : (index + 1) * config.batch_size]:
                result = output.restored.get(sample.name)
                if result is None and (result := next(fresh, None)) is not None:
                    progress.update()
                if result is None:
                    yield from batch
                    return
                batch.append(result)
                if result.problem:
                    say(f"{printable(str(sample.image_path))}: {result.problem}")
                if config.strict and result.status == FAILED:
                    yield from batch
                    say("stopped at the first picture that cannot be read (`strict`)")
                    return
            for row in history_rows(batch):
                _print(config, history_line(row))
            yield from batch


def _segment(
    config: RunConfig, computing: Computing, output: Output, clock: Clock, interrupt: Interrupt
) -> Iterator[Result]:
    """Segment the pending samples and hand them to be written."""
    if not output.pending:
        return
    loaded = clock.timed("load", load_pictures(config, output.pending))
    for item, judged in segment_stream(interrupt.until(loaded), computing, clock):
        result = make_result(item, judged)
        with clock.measure("write"):
            output.write(result, item, judged)
        yield result


def _print(config: RunConfig, text: str) -> None:
    if not config.quiet:
        print(text, flush=True)


def _write_demo_sheet(writer: Writer, samples: list[Sample]) -> None:
    images = [
        read_image(sample.image_path, Image.open(writer.path_of(f"masks/{sample.name}.png")).width)
        for sample in samples
    ]
    masks = [np.asarray(Image.open(writer.path_of(f"masks/{sample.name}.png"))) > 0 for sample in samples]
    writer.write_image("contact_sheet.png", contact_sheet(images, masks))


def _profile(folder: str | None) -> contextlib.AbstractContextManager:
    return jax.profiler.trace(folder) if folder is not None else contextlib.nullcontext()
