"""Text files with a path a line, also through a pipe, with what editors, shells and spreadsheets leave in them."""

import codecs
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from iem_jax.config import UsageError

STANDARD_INPUT = "-"
ENCODINGS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def read_list(source: str) -> tuple[str, list[str]]:
    """Read a list: the folder to which its paths are relative, and each as it is written, without what is around it.

    A line may have blanks behind it and quotes around it; empty lines and what follows "#" at the beginning of a line
    or after a blank are left out; a backslash counts as "/" where no file is called so. A line that is the name of a
    file as it stands is taken as it stands. Paths are relative to the list's folder, in a pipe to the current one.

    Args:
      source: the list's path, or "-" for standard input.

    Raises:
      UsageError: it cannot be read, or is no text.
    """
    path = Path(source)
    is_pipe = source == STANDARD_INPUT or not path.is_file() or path.is_relative_to("/dev")
    root = Path() if is_pipe else path.parent
    try:
        data = sys.stdin.buffer.read() if source == STANDARD_INPUT else path.read_bytes()
    except OSError as error:
        raise UsageError(f"`images` must be a list that can be read, got {source}: {error.strerror}.") from error
    found: dict[str, None] = {}
    for line in re.split("\r?\n", _decode(data)):
        if "\0" in line:
            what = "standard input" if source == STANDARD_INPUT else source
            raise UsageError(f"`images` must be pictures or a text file with a path a line, {what} is neither.")
        written = next((text for text in _readings(line) if text and (root / text).exists()), None)
        if written is None:
            *_, written = _readings(line)
        if written:
            found[os.path.normpath(written)] = None
    return os.fspath(root), list(found)


def _decode(data: bytes) -> str:
    for mark, encoding in ENCODINGS.items():
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    return os.fsdecode(data)  # so that the bytes of a name are the file's, whatever their encoding


def _readings(line: str) -> Iterator[str]:
    """Yield what a line may mean; the last is what it means where no such file exists."""
    yield line
    line = re.sub(r"(^|\s)#.*", "", line).strip()
    yield line
    if len(line) > 1 and line[0] == line[-1] and line[0] in "\"'":
        line = line[1:-1]
    yield line.replace("\\", "/")
    yield line
