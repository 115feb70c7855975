"""Jobs done in this process, one after another: for debuggers, and where no process can be started.

An image that ends its decoder ends the run: nobody is there to quarantine it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from ..job import Receipt, ShardJob
from ..sizing import Sizing
from ..sources.catalogue import open_content
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

    def run(self, jobs: Iterable[ShardJob], openers: Mapping[int, Opener]) -> Iterator[Receipt]:
        """See `Engine`."""
        open_once = {trunk: cache(opener) for trunk, opener in openers.items()}
        open_images = cache(open_content)
        for job in jobs:
            if self._course.should_stop():
                return
            pulse = _Pulse(self._course)
            yield run_shard(job, open_once, open_images=open_images, pulse=pulse, decoders=self._decoders)


class _Pulse:
    """Counts the rows begun in one job."""

    def __init__(self, course: Course) -> None:
        self._course, self._begun = course, 0

    def __call__(self, row: int) -> bool:
        self._begun += row != NO_ROW
        self._course.on_progress(self._begun)
        return not self._course.should_stop()
