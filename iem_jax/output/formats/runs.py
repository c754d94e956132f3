"""Masks as run lengths: COCO's compressed text, and Label Studio's packed bits."""

import numpy as np
from jaxtyping import Bool, Int64

LONGEST = 1 << 16  # of a run in Label Studio's form; a longer one is two
SIZES = (3, 4, 8, 16)  # bits that a run's length may take there
HEAD = 32 + 5 + 4 * len(SIZES)  # bits
CHANNELS = 4  # its masks are RGBA


def run_lengths(values: Bool[np.ndarray, " n"]) -> Int64[np.ndarray, " runs"]:
    """Return the lengths of runs of False, True, False, ...; the first is 0 where the first value is True."""
    ends = np.flatnonzero(np.diff(values)) + 1
    first = [0, 0] if values.size and values[0] else [0]
    return np.diff(np.concatenate([first, ends, [values.size]])).astype(np.int64)


def encode_coco(mask: Bool[np.ndarray, "h w"]) -> str:
    """Return `counts` of COCO's compressed form: lengths column by column, differences to the last but one, 5 bits."""
    counts = run_lengths(mask.ravel(order="F"))
    rest = counts.copy()
    rest[3:] -= counts[1:-2]
    letters, is_there = [], []
    going_on = np.ones(len(rest), bool)
    while going_on.any():
        low, is_there_now = rest & 31, going_on
        rest = rest >> 5
        going_on = going_on & (rest != np.where(low & 16, -1, 0))
        letters.append(low + 32 * going_on + 48)
        is_there.append(is_there_now)
    return np.stack(letters, 1)[np.stack(is_there, 1)].astype(np.uint8).tobytes().decode("ascii")


def encode_label_studio(mask: Bool[np.ndarray, "h w"]) -> list[int]:
    """Return the bytes of Label Studio's form: of all channels, row by row.

    A head of 32 bits with the number of values, 5 with their bits less 1, 4 for each of `SIZES` less 1; then of each
    run a bit 1, 2 for which size, its length less 1, 8 for the value.
    """
    lengths = run_lengths(mask.ravel()) * CHANNELS
    values = np.where(np.arange(len(lengths)) % 2, 255, 0)
    pieces = -(-lengths // LONGEST)
    values = np.repeat(values, pieces)
    last = np.cumsum(pieces)
    split = np.full(len(values), LONGEST, np.int64)
    is_there = pieces > 0
    split[last[is_there] - 1] = (lengths - (pieces - 1) * LONGEST)[is_there]
    which = np.searchsorted(1 << np.array(SIZES), split)
    sizes = np.array(SIZES)[which]
    codes = ((((4 | which) << sizes) | (split - 1)) << 8) | values
    head = mask.size * CHANNELS
    for size, value in ((5, 7), *((4, size - 1) for size in SIZES)):
        head = head << size | value
    codes, lengths = np.concatenate([[head], codes]), np.concatenate([[HEAD], sizes + 11])
    return list(_pack(codes.astype(np.int64), lengths.astype(np.int64)))


def _pack(codes: Int64[np.ndarray, " n"], lengths: Int64[np.ndarray, " n"]) -> bytes:
    """Return numbers as bits, each in its length, the highest first."""
    starts = np.cumsum(lengths) - lengths
    bits = np.zeros(lengths.sum(), np.uint8)
    for place in range(lengths.max()):
        there = lengths > place
        bits[starts[there] + place] = (codes[there] >> (lengths[there] - 1 - place)) & 1
    return np.packbits(bits).tobytes()
