"""What an engine is, and which there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from fixgrid.cache.errors import UsageError
from fixgrid.cache.view import View

from ..job import Receipt, ShardJob
from ..sizing import Sizing
from ..task import Backend

Opener = Callable[[View], Backend]
"""Called where features are computed, for every view; picklable, since that may be another process."""

ENGINES = {
    "local": "fixgrid.embed.engines.local:LocalEngine",
    "inline": "fixgrid.embed.engines.inline:InlineEngine",
    "ray": "fixgrid.embed.engines.ray_actors:RayEngine",
}
"""One line an engine: what `open_engine` calls with a `Sizing` and a `Course`."""


@dataclass(frozen=True)
class Course:
    """How a run and its engine hear of each other.

    Attributes
    ----------
    should_stop : callable
        Polled; true ends the run at the next batch edges, keeping what is done.
    on_progress : callable
        Called with the number of rows begun but not yet reported by a receipt.
    on_notice : callable
        Called with a line for the user.
    """

    should_stop: Callable[[], bool] = lambda: False
    on_progress: Callable[[int], None] = lambda rows: None
    on_notice: Callable[[str], None] = lambda line: None


class Engine(Protocol):
    """Has jobs done by `fixgrid.embed.task.run_shard`, wherever that is."""

    def run(self, jobs: Iterable[ShardJob], openers: Mapping[int, Opener]) -> Iterator[Receipt]:
        """Receipts as shards are committed, until every job is done or the course says stop.

        ``openers`` has one for every trunk that a target names. ``jobs`` is to be asked for a job when somebody is
        free for it, not before: what others have committed meanwhile is left out. Closing the iterator ends the run
        at once; what is committed stays.

        Raises
        ------
        FixgridError
            What `run_shard` raised, or if there is nobody left to do the jobs.
        """
        ...


def open_engine(name: str, sizing: Sizing, course: Course) -> Engine:
    """The engine of that name.

    Raises
    ------
    UsageError
        If there is none.
    """
    if name not in ENGINES:
        raise UsageError(f"found --engine {name!r}; expected one of {', '.join(ENGINES)}.")
    module, _, attribute = ENGINES[name].partition(":")
    make: Callable[[Sizing, Course], Engine] = getattr(import_module(module), attribute)
    return make(sizing, course)
