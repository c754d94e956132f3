"""How many decoded pixels may be in memory at one time, over all threads."""

import contextlib
import ctypes
import sys
import threading
from collections.abc import Iterator


class PixelBudget:
    """Lets threads wait until the pixels they are about to decode fit beside those of the others.

    A picture larger than the whole budget is let in when nothing else is, so that everything gets its turn. What a
    thread asks for while it holds a share is free: it could wait for ever for itself.
    """

    def __init__(self, pixels: int):
        """Allow `pixels` at a time."""
        self._pixels = pixels
        self._in_use = 0
        self._changed = threading.Condition()
        self._thread = threading.local()

    @contextlib.contextmanager
    def share(self, pixels: int) -> Iterator[None]:
        """Hold `pixels` of the budget during the block."""
        if getattr(self._thread, "holds", False):
            yield
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._in_use or self._in_use + pixels <= self._pixels)
            self._in_use += pixels
        self._thread.holds = True
        try:
            yield
        finally:
            self._thread.holds = False
            if pixels > self._pixels // 4:
                _give_back()
            with self._changed:
                self._in_use -= pixels
                self._changed.notify_all()


def _give_back() -> None:
    """Return freed memory to the system; glibc would keep it for the thread that freed it, and each has its own."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
        if trim is not None:
            trim(0)


DECODING = PixelBudget(64_000_000)  # about 0.5 GB at 8 bytes a pixel, Pillow's picture and one copy
