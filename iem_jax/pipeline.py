"""The main job: samples -> chunks -> segment -> printed lines, masks and tables."""

import contextlib
import dataclasses
import importlib.metadata
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from iem_jax.config import RunConfig, UsageError, check_run_config
from iem_jax.data import DATASETS, Sample
from iem_jax.data.demo import list_demo
from iem_jax.data.loader import load_samples
from iem_jax.output.figures import contact_sheet
from iem_jax.output.writer import Writer
from iem_jax.results import FAILED, Result, count_statuses, history_line, history_rows, make_result, metrics_rows
from iem_jax.stream import Clock, segment_stream

DEMO_OUTPUT = "output/demo"
PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "pillow")


def run_pipeline(config: RunConfig) -> int:
    """Do one run as the command line describes it.

    Returns:
      The exit status: 0, or 1 if pictures failed.

    Raises:
      UsageError: something cannot work; nothing has been computed.
    """
    check_run_config(config)
    if config.dataset_path is None:
        config = dataclasses.replace(config, dataset="demo", output_dir=config.output_dir or DEMO_OUTPUT)
    samples = list_samples(config)
    device = choose_device(config.platform)
    writer = Writer(Path(config.output_dir)) if config.output_dir is not None else None
    say(f"{len(samples)} pictures on {device.device_kind} ({device.platform})")
    clock, sheet = Clock(), []
    with clock.measure("total"), _profile(config.profile_dir):
        results = list(_work(config, samples, device, writer, clock, sheet))
    print(f"IEM finished in {clock['total']:.1f} seconds", flush=True)
    if writer is not None:
        _write_tables(writer, config, results, device, clock)
        if sheet:
            writer.write_image("contact_sheet.png", contact_sheet(*zip(*sheet, strict=True)))
        say(f"results are in {writer.folder}")
    return _report(results)


def list_samples(config: RunConfig) -> list[Sample]:
    """List the pictures of the run.

    Raises:
      UsageError: there is no such data set or no such layout.
    """
    if config.dataset_path is None:
        return list_demo()
    if config.dataset not in DATASETS:
        raise UsageError(f"`dataset` must be one of {', '.join(DATASETS)}, got {config.dataset!r}.")
    return DATASETS[config.dataset](Path(config.dataset_path), config.split)


def choose_device(name: str | None) -> jax.Device:
    """Return the first device of a platform, or of jax's own choice.

    Raises:
      UsageError: there is none; the text says which there are.
    """
    try:
        return jax.local_devices(backend=name)[0]
    except RuntimeError:
        found = ", ".join(sorted({device.platform for device in jax.devices()}))
        raise UsageError(f"`platform` must be one that exists here ({found}), got {name!r}.") from None


def say(text: str) -> None:
    """Print a line to standard error, above the progress bar if there is one."""
    tqdm.write(text, file=sys.stderr)


def _work(
    config: RunConfig,
    samples: list[Sample],
    device: jax.Device,
    writer: Writer | None,
    clock: Clock,
    sheet: list[tuple[np.ndarray, np.ndarray]],
) -> Iterator[Result]:
    """Segment all samples; print the lines of each batch as it ends, write masks as they come."""
    loaded = clock.timed("load", load_samples(samples, config.iem.size))
    stream = segment_stream(loaded, config.iem, device, clock, config.preset)
    number = -(-len(samples) // config.batch_size)
    with tqdm(total=len(samples), unit=" pictures", disable=not sys.stderr.isatty(), leave=False) as progress:
        for index in range(number):
            print(f"Batch {index + 1}/{number}", flush=True)
            batch = []
            for item, segmentation in itertools.islice(stream, config.batch_size):
                result = make_result(item, segmentation)
                batch.append(result)
                if result.problem:
                    say(f"{item.sample.image_path}: {result.problem}")
                if segmentation is not None and writer is not None:
                    with clock.measure("write"):
                        writer.write_mask(result.name, segmentation.mask)
                    if config.dataset == "demo":
                        sheet.append((item.image, segmentation.mask))
                progress.update()
                if config.strict and result.status == FAILED:
                    yield from batch
                    say("stopped at the first picture that cannot be read (`strict`)")
                    return
            for row in history_rows(batch):
                print(history_line(row), flush=True)
            yield from batch


def _profile(folder: str | None) -> contextlib.AbstractContextManager:
    return jax.profiler.trace(folder) if folder is not None else contextlib.nullcontext()


def _write_tables(writer: Writer, config: RunConfig, results: list[Result], device: jax.Device, clock: Clock) -> None:
    history = history_rows(results)
    writer.write_metrics(metrics_rows(results))
    writer.write_history(history)
    settings = dataclasses.asdict(config)
    summary = {
        "config": settings.pop("iem") | settings,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "device": f"{device.device_kind} ({device.platform})",
        "seconds": {part: round(clock[part], 3) for part in ("load", "compile", "compute", "write", "total")},
        "counts": count_statuses(results),
        "scores": {key: value for key, value in history[-1].items() if key != "iteration"} if history else {},
        "problems": {result.name: result.problem for result in results if result.problem},
    }
    writer.write_summary(summary)


def _report(results: list[Result]) -> int:
    counts = count_statuses(results)
    say(", ".join(f"{number} {name}" for name, number in counts.items() if number))
    return 1 if counts[FAILED] else 0
