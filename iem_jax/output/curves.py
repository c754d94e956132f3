"""curves.bin: what a run measured of each picture after each of its iterations, from which history.csv is summed.

    numpy.fromfile("curves.bin", "<i4").reshape(-1, 3, iterations)

A row a picture that did not fail, in the order of the manifest: the inpainting error (the bits of a float32), the area
of the mask, its overlap with the ground truth (-1 without one). A record of the manifest names its row by a checksum of
it, so that rows may lie in any order, and a damaged one is known.
"""

import contextlib
import hashlib
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float, Int64, Integer, UInt64

from iem_jax.output.durable import Appender
from iem_jax.output.writer import Writer

NAME = "curves.bin"
ROWS_AT_A_TIME = 1024
NONE = -1  # the overlap without a ground truth

Curve = Integer[np.ndarray, "3 t"]


def pack_curve(
    inp_error: Float[np.ndarray, " t"], area: Integer[np.ndarray, " t"], overlap: Integer[np.ndarray, " t"] | None
) -> Curve:
    """Return the row of a picture."""
    bits = np.asarray(inp_error, "<f4").view("<i4")
    return np.stack([bits, area, np.full_like(bits, NONE) if overlap is None else overlap]).astype("<i4")


def unpack_curve(
    curve: Curve,
) -> tuple[Float[np.ndarray, " t"], Integer[np.ndarray, " t"], Integer[np.ndarray, " t"] | None]:
    """Return inpainting error, area and overlap of a row."""
    return curve[0].view("<f4"), curve[1], None if curve[2, 0] == NONE else curve[2]


def identify_curve(row: bytes) -> int:
    """Return the checksum of a row, of 64 bits."""
    return int.from_bytes(hashlib.blake2b(row, digest_size=8).digest(), "big")


class Curves:
    """The rows of one output folder; a context manager."""

    def __init__(self, folder: Path, iterations: int | None):
        """Open the file.

        Args:
          folder: the output folder.
          iterations: of the rows that are there; None if there are none that count.

        Raises:
          OSError: the file cannot be read or written.
        """
        with contextlib.ExitStack() as files:
            self._appender = files.enter_context(Appender(folder / NAME))
            self._file = files.enter_context((folder / NAME).open("rb"))
            self._files = files.pop_all()
        self._iterations = iterations
        whole = self._appender.size // self._length * self._length if iterations else 0
        if whole < self._appender.size:  # a last row that was cut off
            try:
                self._appender.cut(whole)
            except OSError:
                self._files.close()
                raise

    def __enter__(self) -> "Curves":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    @property
    def _length(self) -> int:
        return 12 * (self._iterations or 1)  # bytes of a row

    def find(self, checksums: UInt64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """Return the numbers of the rows with these checksums, -1 for those that are absent or damaged."""
        there = np.fromiter(map(identify_curve, self._rows()), np.uint64)
        if not len(there):
            return np.full(len(checksums), -1, np.int64)
        order = np.argsort(there)
        place = np.minimum(np.searchsorted(there[order], checksums), len(there) - 1)
        return np.where(there[order][place] == checksums, order[place], -1)

    def _rows(self):
        self._file.seek(0)
        while block := self._file.read(self._length * ROWS_AT_A_TIME):
            yield from (block[start : start + self._length] for start in range(0, len(block), self._length))

    def read(self, row: int) -> Curve:
        """Return a row."""
        self._file.seek(row * self._length)
        return np.frombuffer(self._file.read(self._length), "<i4").reshape(3, -1)

    def append(self, curves: list[Curve]) -> int:
        """Append rows, which all have the same number of iterations; returns the number of the first.

        Raises:
          OSError: they cannot be written.
        """
        if not self._appender.size:
            self._iterations = curves[0].shape[1]
        if any(curve.shape[1] != self._iterations for curve in curves):
            raise ValueError(f"all pictures of a run have {self._iterations} iterations")
        first = self._appender.size // self._length
        self._appender.append(b"".join(curve.tobytes() for curve in curves))
        return first

    def sync(self) -> None:
        """Return when all is on the disk."""
        self._appender.sync()

    def finish(self, writer: Writer, rows: Int64[np.ndarray, " n"]) -> None:
        """Bring `rows` into this order and drop others.

        Raises:
          OutputError: the file cannot be written.
        """
        is_whole = np.array_equal(rows, np.arange(self._appender.size // self._length))
        if not is_whole or not self._appender.is_there():
            writer.write(NAME, lambda file: file.writelines(self.read(int(row)).tobytes() for row in rows))
