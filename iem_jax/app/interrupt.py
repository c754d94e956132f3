"""Signals as a request: what is in flight is finished first."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class StoppedBySignal(KeyboardInterrupt):
    """A signal that ends the program at once."""

    def __init__(self, number: int):
        """Take the signal's number."""
        super().__init__(number)
        self.number = number


def listen(handler: Any) -> dict[signal.Signals, Any]:
    """Give the signals that ask for an end to `handler`, but for those that are ignored, as `nohup` does.

    Returns:
      The handlers before, for `restore`; none in a thread that may set none.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: found for number, found in before.items() if found not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
    return before


def restore(before: dict[signal.Signals, Any]) -> None:
    """Set the handlers that `listen` returned."""
    for number, handler in before.items():
        signal.signal(number, handler)


def stop(number: int, frame: FrameType | None) -> None:
    """End the program from wherever it is."""
    raise StoppedBySignal(number)


def exit_status(error: KeyboardInterrupt) -> int:
    """Return the exit status that says which signal ended the program."""
    return 128 + (error.number if isinstance(error, StoppedBySignal) else signal.SIGINT)


class Interrupt:
    """During the block the first signal (Ctrl-C, SIGTERM, SIGHUP) sets `requested`; a second one ends it at once.

    Attributes:
      requested: the signal's number, 0 before there is one.
    """

    def __init__(self, finishing: str = "the pictures in flight") -> None:
        """Say what is finished first."""
        self.requested: int = 0
        self._notice = f"\nfinishing {finishing}; Ctrl-C again stops at once\n".encode()

    def __enter__(self) -> "Interrupt":
        self._before = listen(self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        restore(self._before)

    def until(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield items until the request."""
        iterator = iter(items)
        while not self.requested and (item := next(iterator, None)) is not None:
            yield item

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise StoppedBySignal(number)
        self.requested = number
        with contextlib.suppress(OSError):  # closed, or full
            os.write(2, self._notice)  # print is not reentrant
