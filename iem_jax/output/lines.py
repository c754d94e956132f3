"""Lines of a manifest: JSON objects whose first field is the CRC-32 of the rest, so that each can be believed or not.

    {"crc":"5f3b9a01","name":"image_00001","status":"ok", ...}

The checksum is of the bytes after it with "{" in front, that is of the object without its first field.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any

Record = dict[str, Any]
LONGEST = 1 << 20  # bytes; a line that is longer is none of ours
_HEAD = b'{"crc":"%08x",'
_LENGTH = len(_HEAD % 0)
_decode = json.JSONDecoder().decode  # `json.loads` takes twice as long for short texts


def encode_line(record: Mapping[str, Any]) -> bytes:
    """Return the line of a record that is not empty."""
    body = json.dumps(record, separators=(",", ":")).encode()
    return _HEAD % zlib.crc32(body) + body[1:] + b"\n"


def decode_line(line: bytes) -> Record:
    """Return the record of a line.

    Raises:
      ValueError: the line is damaged, or of another origin.
    """
    body = b"{" + line[_LENGTH:].rstrip(b"\n")
    if line[:_LENGTH] != _HEAD % zlib.crc32(body):  # or of another form
        raise ValueError("its checksum is wrong")
    try:
        return _decode(body.decode())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def is_cut_off(data: bytes) -> bool:
    """Return whether bytes without an end of line may be the beginning of a line."""
    return b"\n" not in data and data[:8] == _HEAD[: len(data)][:8]


def read_lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines from where the file stands, each with its offset; not a last one without its end."""
    offset = file.tell()
    while line := file.readline(LONGEST):
        if line.endswith(b"\n"):
            yield offset, line
        elif len(line) < LONGEST:
            return
        offset += len(line)
