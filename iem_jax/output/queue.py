"""Files are written in threads, a bounded number of pictures ahead, and committed together in the order they came."""

import collections
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

TOGETHER = 64  # outcomes that are committed at once, since bringing them to the disk takes one wait for all
SECONDS = 0.5  # after which fewer are


class WriteQueue:
    """Runs jobs in threads and hands their outcomes to `commit`, in another thread, some at a time, in order.

    What a job or `commit` raises is raised by `submit` or at the end of the block; jobs not yet begun are dropped then,
    and what was finished before is committed.
    """

    def __init__(self, commit: Callable[[list[Any]], None], ahead: int = 32):
        """Let at most `ahead` jobs wait or run."""
        self._commit = commit
        self._room = threading.Semaphore(ahead)
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count())
        self._jobs: collections.deque[Future[Any]] = collections.deque()
        self._changed = threading.Condition()
        self._submitted = self._committed = 0
        self._ending = self._hurried = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="commit", daemon=True)

    def submit(self, job: Callable[..., Any], *arguments: Any) -> None:
        """Add a job; waits if there are too many."""
        self._room.acquire()
        if self._error is not None:
            raise self._error
        try:
            future = self._pool.submit(job, *arguments)
        except RuntimeError as error:  # it has just been shut down
            raise self._error or error from None
        future.add_done_callback(lambda _: self._room.release())
        with self._changed:
            self._jobs.append(future)
            self._submitted += 1
            self._changed.notify_all()

    def wait(self) -> None:
        """Return when all jobs so far are committed."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._committed == self._submitted or self._error is not None)
        if self._error is not None:
            raise self._error
        self._hurried = False

    def __enter__(self) -> "WriteQueue":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if kind is None and self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            while outcomes := self._collect():
                self._commit(outcomes)
                with self._changed:
                    self._committed += len(outcomes)
                    self._changed.notify_all()
        except BaseException as error:  # raised where the jobs come from
            with self._changed:
                self._error = error
                self._changed.notify_all()
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._room.release()  # for one that waits in `submit`

    def _collect(self) -> list[Any]:
        """Wait for outcomes that are to be committed together; none at the end."""
        outcomes: list[Any] = []
        until = float("inf")
        while len(outcomes) < TOGETHER:
            future = self._next(until)
            if future is None:
                break
            if future.cancelled():
                continue
            try:
                outcomes.append(future.result())
            except BaseException:
                if outcomes:
                    self._commit(outcomes)
                raise
            until = min(until, time.monotonic() + SECONDS)
        return outcomes

    def _next(self, until: float) -> Future[Any] | None:
        """Return the oldest job when it is done; None if that takes longer, or if there will be no more."""
        with self._changed:
            while not self._jobs and not self._ending:
                if self._hurried and until < float("inf"):
                    return None
                if not self._changed.wait(None if until == float("inf") else max(until - time.monotonic(), 0)):
                    return None
            return self._jobs.popleft() if self._jobs else None
