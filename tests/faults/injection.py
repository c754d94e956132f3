"""Faults of the file system, made in this process: every change of a file below a folder is an event with a number.

What is changed goes through functions of `os`, which are replaced during the block. A fault may
- kill the run: the event, and every one after it, raises `Killed`, so that nothing is tidied up either;
- write short: half of the bytes are written, and the number says so;
- fill the disk: from the event on nothing more can be written, half of the bytes of the first one apart;
- break: the event fails with EIO, once;
- call a function, for instance one that changes a picture.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

EVENTS = ("open", "write", "fsync", "replace", "rename", "mkdir", "unlink", "remove", "rmdir", "ftruncate", "truncate")
KINDS = ("kill", "short", "full", "break")


class Killed(BaseException):
    """The process is gone."""


class Faults:
    """Counts the events below a folder and does one fault.

    Attributes:
      number: of events so far.
      synced: what a file held when it was last brought to the disk, by its inode.
      listed: the names in a folder when it was last brought to the disk.
    """

    def __init__(self, folder: Path, kind: str = "", at: int = -1, call: Callable[[], None] | None = None):
        """Do a fault of a kind at the event `at`, the first being 0."""
        self.folder, self.kind, self.at, self.call = os.path.realpath(folder), kind, at, call
        self.number = 0
        self.synced: dict[int, bytes] = {}
        self.listed: dict[str, set[str]] = {}
        self._real = {name: getattr(os, name) for name in EVENTS}

    @contextmanager
    def injected(self) -> Iterator["Faults"]:
        """Replace the functions during the block."""
        with pytest.MonkeyPatch.context() as patch:
            for name in EVENTS:
                patch.setattr(os, name, self._replacement(name))
            yield self

    def _replacement(self, name: str) -> Callable[..., Any]:
        def event(target: Any, *arguments: Any, **options: Any) -> Any:
            if not self._concerns(name, target, arguments):
                return self._real[name](target, *arguments, **options)
            number, self.number = self.number, self.number + 1
            return self._do(name, number, target, *arguments, **options)

        return event

    def _concerns(self, name: str, target: Any, arguments: tuple[Any, ...]) -> bool:
        if name == "open" and not arguments[:1][0] & os.O_CREAT:
            return False
        try:
            path = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else os.fspath(target)
        except OSError:
            return False
        path = os.path.abspath(os.fsdecode(path))
        return path == self.folder or path.startswith(self.folder + os.sep)

    def _do(self, name: str, number: int, target: Any, *arguments: Any, **options: Any) -> Any:
        if self.kind == "kill" and number >= self.at >= 0:
            raise Killed
        if number == self.at and self.call is not None:
            self.call()
        if self.kind == "short" and name == "write" and number >= self.at >= 0:
            return self._write_half(target, arguments[0], once=True)
        if self.kind == "full" and number >= self.at >= 0 and name in ("open", "write", "mkdir", "fsync"):
            if name == "write" and number == self.at:
                return self._write_half(target, arguments[0])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.kind == "break" and number == self.at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if name == "fsync":
            self._note(target)
        return self._real[name](target, *arguments, **options)

    def _write_half(self, target: int, data: Any, once: bool = False) -> int:
        if once:
            self.at = -1
        return self._real["write"](target, memoryview(data)[: max(len(data) // 2, 1)])

    def _note(self, descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if os.path.isdir(path):
            self.listed[path] = set(os.listdir(path))
        else:
            self.synced[os.fstat(descriptor).st_ino] = Path(path).read_bytes()

    def cut_power(self, names_too: bool) -> None:
        """Leave of the folder what is on the disk for sure; the manifest as if all of it were.

        Args:
          names_too: lose the names of files in folders that were not brought to the disk since, not only contents.
        """
        for path in sorted(Path(self.folder).rglob("*"), reverse=True):
            if path.name == "manifest.jsonl":
                continue
            if path.is_dir():
                continue
            if names_too and path.name not in self.listed.get(str(path.parent), ()):
                path.unlink()
            else:
                path.write_bytes(self.synced.get(path.stat().st_ino, b""))
