"""Files are written in threads, a bounded number of pictures ahead, and reported in the order they were given."""

import collections
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any


class WriteQueue:
    """Runs jobs in threads; `done` is called in the caller's thread, in order, for each job that came to its end.

    What a job raises is raised by `submit` or at the end of the block; jobs not yet begun are dropped then.
    """

    def __init__(self, done: Callable[[Any], None], ahead: int = 32):
        """Let at most `ahead` jobs wait.

        Args:
          done: takes what a job returned.
          ahead: jobs between those given and those done.
        """
        self._done, self._ahead = done, ahead
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count())
        self._jobs: collections.deque[Future[Any]] = collections.deque()

    def submit(self, job: Callable[..., Any], *arguments: Any) -> None:
        """Add a job; waits for the oldest if there are too many."""
        self._jobs.append(self._pool.submit(job, *arguments))
        while self._jobs and (len(self._jobs) > self._ahead or self._jobs[0].done()):
            self._done(self._jobs.popleft().result())

    def __enter__(self) -> "WriteQueue":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        try:
            while kind is None and self._jobs:
                self._done(self._jobs.popleft().result())
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)
