"""The work of one extraction while it lasts: the jobs that are left, what has become of them, how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fixgrid.cache.view import View

from .job import BadRow, Receipt, ShardJob
from .outcome import Outcome
from .plan import Goal
from .watcher import Watcher


@dataclass
class Pass:
    """What is missing of an extraction, and what has become of it.

    Attributes
    ----------
    outcome : Outcome
    goals : list of Goal
    jobs : list of ShardJob
        Each image in one job.
    began : float
        When that was looked for, monotonic s.
    reasons : dict of (split, row) to BadRow
        Of the images that this run found bad.
    """

    outcome: Outcome
    goals: list[Goal]
    jobs: list[ShardJob]
    began: float
    reasons: dict[tuple[str, int], BadRow] = field(default_factory=dict)

    @property
    def views(self) -> list[View]:
        """The views that some image still lacks."""
        return [goal.view for goal in self.goals if goal.missing.any()]

    @property
    def done(self) -> int:
        """Images that lacked nothing when it was prepared."""
        return self.outcome.images - sum(job.stop - job.start for job in self.jobs)

    def hand_out(self, *, backwards: bool = False) -> Iterator[ShardJob]:
        """The jobs, each when it is asked for, without those that another run has committed by then.

        Whoever is not the first to work on a pass goes backwards, so that the two meet in the middle.
        """
        for job in reversed(self.jobs) if backwards else self.jobs:
            if any(goal.lacks(job) for goal in self.goals):
                yield job
            else:
                self.outcome.shared += job.stop - job.start

    def note(self, receipt: Receipt) -> None:
        """Count what a job did."""
        self.outcome.decoded += receipt.decoded
        self.outcome.forwards += receipt.forwards
        self.outcome.stages.update(receipt.seconds)
        self.reasons.update(((row.split, row.row), row) for row in receipt.bad)


class Progress:
    """Adds the rows under way to the rows reported, and passes on each line of the workers once."""

    def __init__(self, watcher: Watcher, work: Pass) -> None:
        self.watcher, self.work = watcher, work
        self._reported = work.done
        self._said: set[str] = set()
        watcher.start(work.outcome.images, work.done)

    def show(self, under_way: int) -> None:
        """Rows were begun."""
        self.watcher.advance(self._reported + self.work.outcome.shared + under_way)

    def pass_on(self, receipt: Receipt) -> None:
        """A job is done."""
        self._reported += receipt.stop - receipt.start
        for line in receipt.notices:
            if line not in self._said:
                self._said.add(line)
                self.watcher.notice(line)
