"""The part of `gpu_program.py` that runs in its environment: compiles, counts, and prints what it counted."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from gpu_cards import CARDS, Card
from hlo import Loop, read_program
from jax.experimental import topologies

import iem_jax
from iem_jax import IEMConfig

PICTURES, ITERATIONS = 1024, 150  # 1,020 are filled up to as many
COPIED = 0.9  # of the bandwidth of a data sheet
LAUNCH = 2e-6  # seconds between two kernels that do nothing
INSTRUCTIONS = {"fma": r"\bfma\.r", "rcp": r"\brcp\.", "div": r"\bdiv\.(?:full|approx|rn)"}
PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "every iteration": lambda images: iem_jax.segment(images, early_finish=False),
    "early finish": lambda images: iem_jax.segment(images),
    "every iteration, precision high": lambda images: iem_jax.segment(
        images, IEMConfig(precision="high"), early_finish=False
    ),
}
# How often loops run whose end only the device knows.
ROUNDS = {"early finish": 15}  # blocks of ten iterations until the slowest picture of a chunk of the flowers is done


def main(folder: str) -> None:
    """Compile each program for each card."""
    results = {}
    for card_name, card in CARDS.items():
        for name, function in PROGRAMS.items():
            print(f"{card_name}, {name}", file=sys.stderr)
            called = re.sub(r"\W+", "_", f"{card_name} {name}")
            results[f"{card_name}, {name}"] = count(card, function, called, Path(folder), ROUNDS.get(name))
    print(json.dumps(results))


def count(card: Card, function: Callable, name: str, folder: Path, rounds: int | None) -> dict[str, Any]:
    """Compile a program for a card and return its row of the table."""
    described = {"target_config": card.description, "topology": "1x1x1"}
    device = topologies.get_topology_desc(platform="cuda", topology_name="", **described).devices[0]
    place = jax.sharding.SingleDeviceSharding(device)
    images = jax.ShapeDtypeStruct((PICTURES, 128, 128, 3), np.uint8, sharding=place)
    function.__name__ = name
    compiled = jax.jit(function).trace(images).lower(lowering_platforms=("cuda",)).compile()
    whole = read_program(compiled.as_text())
    loops = whole.every()
    iteration = max(loops, key=lambda loop: total_trips(whole, loop, rounds) * loop.traffic)
    together = total_trips(whole, iteration, rounds)
    ptx = "".join(path.read_text() for path in folder.glob(f"*{name}*.ptx"))
    return {
        "kernels": len(iteration.kernels),
        "kib": round(iteration.traffic * together / (PICTURES * ITERATIONS) / 1024),
        "temporary_mib": round(compiled.memory_analysis().temp_size_in_bytes / 2**20),
        "trips": " > ".join("host asks" if loop.trips is None else str(loop.trips) for loop in loops[1:]),
        **{key: len(re.findall(pattern, ptx)) for key, pattern in INSTRUCTIONS.items()},
        "estimated_seconds": round(estimate(whole, card, rounds), 2),
    }


def total_trips(around: Loop, wanted: Loop, rounds: int | None) -> int:
    """Return how often the body of a loop runs inside a run of another's; 0 if it is not there."""
    if around is wanted:
        return 1
    return sum((loop.trips or rounds or 1) * total_trips(loop, wanted, rounds) for loop in around.loops)


def estimate(loop: Loop, card: Card, rounds: int | None) -> float:
    """Return the seconds of one run of a loop's body, estimated from bytes and launches."""
    own = sum(max((x.read + x.written) / (COPIED * card.bandwidth), LAUNCH) for x in loop.kernels)
    return own + sum((inner.trips or rounds or 1) * estimate(inner, card, rounds) for inner in loop.loops)


if __name__ == "__main__":
    main(sys.argv[1])
