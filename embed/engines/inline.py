"""Jobs done in this process, one after another: for debuggers, and where no process can be started.

An image that ends its decoder ends the run: nobody is there to quarantine it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from ..job import Receipt, ShardJob
from ..sizing import Sizing
from ..task import NO_ROW, run_shard
from .engine import Course, Opener


class InlineEngine:
    """See `fixgrid.embed.engines.engine.Engine`.

    Parameters
    ----------
    sizing : Sizing
        Only its decoding threads count.
    course : Course
    """

    def __init__(self, sizing: Sizing, course: Course) -> None:
        self._decoders, self._course = sizing.decoders, course

    def run(self, jobs: Iterable[ShardJob], opener: Opener) -> Iterator[Receipt]:
        """See `Engine`."""
        open_once = cache(opener)
        for job in jobs:
            if self._course.should_stop():
                return
            yield run_shard(job, open_once, pulse=_Pulse(self._course), decoders=self._decoders)


class _Pulse:
    """Counts the rows begun in one job."""

    def __init__(self, course: Course) -> None:
        self._course, self._begun = course, 0

    def __call__(self, row: int) -> bool:
        self._begun += row != NO_ROW
        self._course.on_progress(self._begun)
        return not self._course.should_stop()
