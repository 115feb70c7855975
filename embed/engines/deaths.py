"""What follows from the death of a worker: which image is blamed, what is tried again, and when it is enough."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from fixgrid.cache.errors import FixgridError
from fixgrid.cache.shard import Status

from ..job import ShardJob
from ..task import NO_ROW

MAX_IDLE_DEATHS = 2
"""Deaths in one job that are at no image."""


class WorkerError(FixgridError):
    """Workers die again and again, and not because of one image; or there is nowhere for one to be."""


class Deaths:
    """Counts deaths by the row they were at; the second at a row puts it into quarantine.

    Parameters
    ----------
    most : float
        Deaths in all that no image explains.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._counts: Counter[tuple[str, int, int]] = Counter()

    @property
    def total(self) -> int:
        """Those that no image explains."""
        return self._counts.total()

    def judge(self, job: ShardJob, row: int, died_of: Status, *, counts: bool = True) -> ShardJob | None:
        """The job as it is to be tried again, with care; None if it is enough.

        Parameters
        ----------
        job : ShardJob
            What its worker was doing.
        row : int
            Where, or `NO_ROW`: nobody knows, or at no image.
        died_of : Status
            What the row is quarantined for.
        counts : bool
            False where it may have been another row: the job is repeated before any is blamed.
        """
        place = job.split, row, job.start if row == NO_ROW else 0
        self._counts[place] += counts
        if self.total > self._most or (row == NO_ROW and self._counts[place] > MAX_IDLE_DEATHS):
            return None
        if row != NO_ROW and self._counts[place] > 1:
            del self._counts[place]
            job = replace(job, quarantine={**job.quarantine, row: died_of})
        return replace(job, careful=True)
