"""IEM's scores and the network's, side by side."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

COMPARED = {"accuracy": "accuracy", "iou": "IoU", "iou_fixed": "IoU, fixed", "dice": "DICE"}
Row = Mapping[str, Any]
SIDES = {"iem": "IEM", "net": "SegNet"}


def comparison_rows(iem: Iterable[Row], net: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Yield the final scores of each picture under both, as far as there are any, from two metrics tables."""
    others = {row["name"]: row for row in iem}
    for row in net:
        sides = {"iem": others.get(row["name"], {}), "net": row}
        yield {"name": row["name"]} | {
            f"{side}_{key}": found[key] for key in COMPARED for side, found in sides.items() if key in found
        }


def mean_scores(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the means of each side over the pictures that both have scores of, and their number; {} without any.

    A picture counts whatever its status: a network that sees nothing in it does not gain by that.
    """
    keys = [f"{side}_{key}" for side in SIDES for key in COMPARED]
    scored = [row for row in rows if all(math.isfinite(row.get(key, math.nan)) for key in keys)]
    if not scored:
        return {}
    means = {key: math.fsum(row[key] for row in scored) / len(scored) for key in keys}
    return {"pictures": len(scored)} | {side: {key: means[f"{side}_{key}"] for key in COMPARED} for side in SIDES}


def comparison_lines(means: Row) -> list[str]:
    """Return a small table of `mean_scores`."""
    heading = f"{'mean of ' + str(means['pictures']):<16}" + "".join(f"{label:>8}" for label in SIDES.values())
    return [heading] + [
        f"{label:<16}" + "".join(f"{means[side][key]:>8.3f}" for side in SIDES) for key, label in COMPARED.items()
    ]
