"""Bytes that outlive a power cut, and files that grow by whole pieces only."""

import contextlib
import errno
import io
import os
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

THREADS = 8  # file systems bring what several threads wait for to the disk in one go
BINARY = getattr(os, "O_BINARY", 0)  # Windows


def sync(paths: Iterable[str | Path]) -> None:
    """Return when files and folders are on the disk, not only in the system's memory.

    Raises:
      OSError: one of them is gone or cannot be brought there.
    """
    paths = list(paths)
    if len(paths) < 3:
        for path in paths:
            _sync_one(path)
        return
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(_sync_one, paths))


def _sync_one(path: str | Path) -> None:
    if os.name == "nt" and os.path.isdir(path):  # it knows no such thing
        return
    descriptor = os.open(path, (os.O_RDWR if os.name == "nt" else os.O_RDONLY) | BINARY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that sync no folders
            raise
    finally:
        os.close(descriptor)


class Appender:
    """A file to which bytes are appended whole or not at all."""

    def __init__(self, path: Path):
        """Open a file that may be absent.

        Raises:
          OSError: it cannot be written.
        """
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | BINARY, 0o666)
        self.size: int = os.fstat(self._descriptor).st_size

    def __enter__(self) -> "Appender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def append(self, data: bytes) -> int:
        """Append all of `data`, or take back what was written.

        Returns:
          Where it begins.

        Raises:
          OSError: it cannot be written, for instance because the disk is full.
        """
        start = self.size
        try:
            write_all(self._descriptor, data)
        except BaseException:
            with contextlib.suppress(OSError):  # the next run drops a piece that is cut off
                os.ftruncate(self._descriptor, start)
            raise
        self.size += len(data)
        return start

    def cut(self, size: int) -> None:
        """Drop what follows the first `size` bytes."""
        os.ftruncate(self._descriptor, size)
        self.size = size

    def sync(self) -> None:
        """Return when all is on the disk.

        Raises:
          OSError: it cannot be brought there, or the file has gone.
        """
        os.fsync(self._descriptor)
        if not self.is_there():
            raise FileNotFoundError(errno.ENOENT, "it was moved or removed during the run", self._path)

    def is_there(self) -> bool:
        """Return whether the file still has its name."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except OSError:
            return False


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`: a disk that is nearly full takes a part, and says so only the next time."""
    view = memoryview(data)
    while view:
        view = view[_write_some(descriptor, view) :]


def _write_some(descriptor: int, data: Any) -> int:
    written = os.write(descriptor, data)
    if not written and len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return written


class Sink(io.RawIOBase):
    """The file under a buffer: counts what is written and takes its CRC-32.

    It has no `fileno`, since Pillow would write to that by itself and lose what a short write leaves over.
    """

    def __init__(self, descriptor: int):
        """Write to an open file, which is closed with this one."""
        self._descriptor = descriptor
        self.size: int = 0
        self.crc: int = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Write what the system takes."""
        written = _write_some(self._descriptor, data)
        self.crc = zlib.crc32(memoryview(data)[:written], self.crc)
        self.size += written
        return written

    def sync(self) -> None:
        """Return when all is on the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            super().close()
            os.close(self._descriptor)
