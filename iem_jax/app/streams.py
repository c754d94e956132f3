"""Standard output and error may be closed, full, or end early: the run goes on and writes its files all the same."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any


def open_standard_streams() -> None:
    """Open what is closed of standard input, output and error, so that no file of the run gets its number.

    Libraries write messages to number 2, whatever that is.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one


class Lenient(io.TextIOBase):
    """A text stream that swallows what cannot be written; `problem` says why, "" as long as all is well.

    What reads a pipe may end early, as `head` does: that is no problem.
    """

    def __init__(self, stream: Any):
        """Write to a stream; None swallows everything."""
        self._stream, self._is_broken = stream, stream is None
        self.problem: str = ""

    def write(self, text: str) -> int:
        """Write, if that can be done."""
        with self._swallowing():
            if not self._is_broken:
                try:
                    self._stream.write(text)
                except UnicodeEncodeError:  # a name that this terminal does not know
                    self._stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        """Flush, if that can be done."""
        with self._swallowing():
            if not self._is_broken:
                self._stream.flush()

    def isatty(self) -> bool:
        """Return whether a person watches."""
        return not self._is_broken and self._stream.isatty()

    def fileno(self) -> int:
        """Return the number of the file below."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the stream below."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @contextlib.contextmanager
    def _swallowing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            self._is_broken = True
            if not (isinstance(error, BrokenPipeError) or getattr(error, "errno", None) == errno.EPIPE):
                self.problem = getattr(error, "strerror", None) or str(error)
            self._drop()

    def _drop(self) -> None:
        """Lead the file below to nowhere, or Python would complain at its end of what it could not write."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def lenient_streams() -> Iterator[Lenient]:
    """Make standard output and error lenient during the block; gives standard output."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = streams = Lenient(before[0]), Lenient(before[1])
    try:
        yield streams[0]
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = before
