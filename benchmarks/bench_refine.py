"""The SegNet: pictures per second of training and inference, compile time and memory, ours against eager PyTorch.

    python benchmarks/bench_refine.py [--dataset_path=PATH] [--batch_size=16] [--repeats=5]

IEM on the same pictures is measured in the same run, since the network is there to be faster per picture.
"""

import dataclasses
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
from absl import app, flags
from measuring import load_flowers, measure_interleaved, write_results
from refine_torch import TorchSegNet

import iem_jax
from iem_jax.refine import ModelState, NetConfig, RefineConfig, predict
from iem_jax.refine.network import segment_by_network
from iem_jax.refine.train import Pictures, init_training, make_mesh, place, train_steps

flags.DEFINE_string("dataset_path", "../shared/flowers17", "Flowers data set with ground truth.")
flags.DEFINE_integer("size", 128, "Side of the pictures in pixels.")
flags.DEFINE_integer("batch_size", 16, "Pictures a step, and pictures predicted side by side.")
flags.DEFINE_integer("repeats", 5, "Runs of which the median is taken.")
flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Of our activations; PyTorch computes in float32.")
flags.DEFINE_string("only", None, "Internal: run one side once and print its peak memory.")


def make_jax_sides(images: np.ndarray, masks: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Return our training step and inference; the state of the training moves on with each call.

    The training is shared among the devices, one for each core of a CPU, as run.py does it; so is "segment", the
    network as run.py uses it: picture by picture, at half the resolution and polished unless it says otherwise.
    """
    net = NetConfig(dtype=flags.FLAGS.dtype)
    same = {"batch_size": flags.FLAGS.batch_size, "dtype": flags.FLAGS.dtype}
    config = RefineConfig(**same, shrink=1, crop_scale=1.0, jitter=0.0, turns=False)
    devices, unroll = jax.local_devices(), jax.default_backend() == "cpu"
    mesh = make_mesh(config.batch_size, devices)
    pictures = Pictures(images, masks.astype(np.uint8) * 255)
    begin = init_training(jax.random.key(0), net, config)
    model = jax.device_get(ModelState(begin.parameters, net))
    state, learned = place((begin, pictures), mesh, devices[0])
    states = [state]

    def train() -> Any:
        states[0], info = train_steps(states[0], learned, net, config, 1, mesh, unroll=unroll)
        return info.loss

    def segment(**changes: int) -> Callable[[], Any]:
        changed = ModelState(model.parameters, dataclasses.replace(net, **changes))
        chunk_size = 1 if unroll else None
        return lambda: np.asarray(segment_by_network(images, changed, chunk_size=chunk_size, devices=devices).mask)

    return {
        "train": train,
        "predict": lambda: predict(model, images),
        "segment_full_unpolished": segment(),
        "segment_unpolished": segment(shrink=2),
        "segment": segment(shrink=2, polish=3),
    }


def make_torch_sides(images: np.ndarray, masks: np.ndarray, device: str) -> dict[str, Callable[[], Any]]:
    """Return the same for PyTorch: AdamW, gradients clipped, an average of the weights."""
    model = TorchSegNet().to(device)
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998))
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
    x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).contiguous()
    target = torch.from_numpy(masks).to(device).float()

    def train() -> float:
        optimiser.zero_grad()
        logits = model(x.float() / 127.5 - 1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(model)
        return loss.item()

    @torch.no_grad()
    def infer() -> np.ndarray:
        return torch.sigmoid(model(x.float() / 127.5 - 1)).cpu().numpy()

    return {"train": train, "predict": infer}


def first_call(function: Callable[[], Any]) -> float:
    """Return the seconds of the first call, which compiles."""
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def own_peak() -> float:
    """Return this process's peak resident set in MiB; unlike `ru_maxrss`, without that of the process that began it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def peak_memory(side: str, task: str) -> float:
    """Run one task of one side alone in a process of its own; returns its peak resident set in MiB."""
    settings = [f"--{name}={getattr(flags.FLAGS, name)}" for name in ("dataset_path", "size", "batch_size", "dtype")]
    command = [sys.executable, __file__, f"--only={side}-{task}", *settings]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def main(_: list[str]) -> None:
    """Measure both sides in turns."""
    options = flags.FLAGS
    device = "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"
    images, truths = load_flowers(options.dataset_path, options.batch_size, options.size)
    if options.only:
        side, task = options.only.split("-")
        sides = make_jax_sides(images, truths) if side == "jax" else make_torch_sides(images, truths, device)
        jax.block_until_ready(sides[task]())
        print(own_peak())
        return
    sides = {f"jax-{task}": call for task, call in make_jax_sides(images, truths).items()}
    sides |= {f"torch-{task}": call for task, call in make_torch_sides(images, truths, device).items()}
    for name, early_finish in (("jax-iem", True), ("jax-iem_every_iteration", False)):
        how: dict[str, Any] = {"early_finish": early_finish, "devices": jax.devices()}
        sides[name] = lambda how=how: np.asarray(iem_jax.segment(images, **how).mask)
    compiling = {name: round(first_call(call), 2) for name, call in sides.items()}
    times = measure_interleaved(sides, options.repeats)
    rows = {
        name: {
            "pictures_per_second": round(options.batch_size / row["median"], 2),
            "milliseconds_per_picture": {key: row[key] / options.batch_size * 1000 for key in ("median", "min", "max")},
            "first_call_seconds": compiling[name],
        }
        for name, row in times.items()
    }
    for name in ("jax-train", "jax-predict", "torch-train", "torch-predict"):
        rows[name]["peak_memory_mib"] = round(peak_memory(*name.split("-")))
    medians = {name: row["median"] for name, row in times.items()}
    ratios = {
        "training_times_faster_than_pytorch": medians["torch-train"] / medians["jax-train"],
        "inference_times_faster_than_pytorch": medians["torch-predict"] / medians["jax-predict"],
        **{
            f"{name.removeprefix('jax-')}_times_faster_than_{iem.removeprefix('jax-')}": medians[iem] / medians[name]
            for name in ("jax-segment_full_unpolished", "jax-segment_unpolished", "jax-segment")
            for iem in ("jax-iem", "jax-iem_every_iteration")
        },
    }
    settings = {name: getattr(options, name) for name in ("size", "batch_size", "dtype", "repeats")}
    settings |= {"torch": torch.__version__, "torch_device": device}
    write_results("refine", settings, {name: round(value, 2) for name, value in ratios.items()} | rows)


if __name__ == "__main__":
    app.run(main)
