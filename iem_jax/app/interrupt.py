"""Ctrl-C as a request: what is in flight is finished first."""

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """During the block the first Ctrl-C sets `requested`; a second one raises KeyboardInterrupt, as always."""

    def __init__(self, finishing: str = "the pictures in flight") -> None:
        """Say what is finished first."""
        self.requested = False
        self._notice = f"\nfinishing {finishing}; Ctrl-C again stops at once\n".encode()

    def __enter__(self) -> "Interrupt":
        self._main = threading.current_thread() is threading.main_thread()  # no other may set handlers
        if self._main:
            self._before = signal.signal(signal.SIGINT, self._request)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        if self._main:
            signal.signal(signal.SIGINT, self._before)

    def until(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield items until the request."""
        iterator = iter(items)
        while not self.requested and (item := next(iterator, None)) is not None:
            yield item

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        os.write(2, self._notice)  # print is not reentrant
