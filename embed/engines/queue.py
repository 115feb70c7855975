"""Jobs that wait for somebody who is free."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ..job import ShardJob


class JobQueue:
    """Jobs that came back, then those still to come, each taken when a worker is free for it."""

    def __init__(self, jobs: Iterable[ShardJob]) -> None:
        self._ahead: deque[ShardJob] = deque()
        self._jobs = iter(jobs)

    def __bool__(self) -> bool:
        return self.count(1) > 0

    def count(self, most: int) -> int:
        """How many there are, if fewer than ``most``."""
        while len(self._ahead) < most and (job := next(self._jobs, None)) is not None:
            self._ahead.append(job)
        return min(most, len(self._ahead))

    def take(self) -> ShardJob:
        """The next one; there must be one."""
        return self._ahead.popleft()

    def put_back(self, job: ShardJob) -> None:
        """Make it the next one."""
        self._ahead.appendleft(job)

    def clear(self) -> None:
        """No more jobs."""
        self._ahead.clear()
        self._jobs = iter(())
