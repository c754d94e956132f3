"""Tables of numbers from MATLAB 5 files: a small strict reader that no damaged file can harm.

SciPy's reads all of the format in compiled code, and one flipped bit can end the process. The format: a header of 128
bytes, then elements of a type, a length and data in steps of 8 bytes; a matrix is an element of elements (flags,
dimensions, name, values), and may be compressed as a whole.
"""

import math
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Shaped

LARGEST = 1 << 26  # bytes of a matrix
HEADER = 128
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
INT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 5, 6, 14, 15
NUMERIC = range(6, 16)  # classes of matrices that hold numbers
COMPLEX = 0x0800


def read_matlab(data: bytes) -> dict[str, Shaped[np.ndarray, "..."] | None]:
    """Return the matrices of a MATLAB 5 file, real ones of numbers as arrays, others as None.

    Raises:
      ValueError: it is damaged, or no such file.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:HEADER])
    if order is None or data[124:126] != struct.pack(order + "H", 0x0100):
        raise ValueError("it has no MATLAB 5 header")
    found: dict[str, Shaped[np.ndarray, ...] | None] = {}
    for kind, content in _elements(data[HEADER:], order, padded=False):
        if kind == COMPRESSED:
            (kind, content), *_ = [*_elements(_decompress(content), order), (0, b"")]
        if kind != MATRIX:
            raise ValueError(f"there is an element of type {kind} where a matrix should be")
        name, values = _read_matrix(content, order)
        found[name] = values
    return found


def _decompress(content: bytes) -> bytes:
    machine = zlib.decompressobj()
    try:
        data = machine.decompress(content, LARGEST)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not machine.eof:
        raise ValueError("a compressed matrix is cut off, or too large")
    return data


def _elements(data: bytes, order: str, padded: bool = True) -> Iterator[tuple[int, bytes]]:
    """Yield type and data of each element; `padded` ones begin at multiples of 8 bytes."""
    place = 0
    while place < len(data):
        if len(data) - place < 8:
            raise ValueError("an element is cut off")
        kind, length = struct.unpack_from(order + "II", data, place)
        start, end = place + 8, place + 8 + length
        if kind >> 16:  # a small element has both in four bytes, and its data in the next four
            kind, length = kind & 0xFFFF, kind >> 16
            start, end = place + 4, place + 4 + length
            if length > 4:
                raise ValueError("a small element is too large")
            length = 0
        if end > len(data):
            raise ValueError("an element is cut off")
        yield kind, data[start:end]
        place = place + 8 + (-(-length // 8) * 8 if padded else length)


def _read_matrix(content: bytes, order: str) -> tuple[str, Shaped[np.ndarray, "..."] | None]:
    elements = list(_elements(content, order))
    if len(elements) < 3 or [kind for kind, _ in elements[:3]] != [UINT32, INT32, INT8] or len(elements[0][1]) != 8:
        raise ValueError("a matrix does not begin with flags, dimensions and a name")
    (flags,) = struct.unpack_from(order + "I", elements[0][1])
    name = elements[2][1].decode("latin-1")
    if (flags & 0xFF) not in NUMERIC or flags & COMPLEX:
        return name, None
    shape = np.frombuffer(elements[1][1], order + "i4").tolist()
    if len(elements) != 4 or elements[3][0] not in TYPES or min(shape, default=-1) < 0:
        raise ValueError(f"the matrix {name!r} has no values")
    values = np.frombuffer(elements[3][1], order + TYPES[elements[3][0]])
    if values.size != math.prod(shape):
        raise ValueError(f"the matrix {name!r} has {values.size} values, not {' x '.join(map(str, shape))}")
    return name, values.reshape(shape, order="F")
