"""A pass over the images while it lasts: its trunks, the jobs that are left, what has become of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fixgrid.cache.disk import expect_space
from fixgrid.cache.quarantine import BadRow
from fixgrid.cache.rowsfile import write_manifest
from fixgrid.cache.view import View

from .clock import Share
from .extraction import Extraction, expect_running
from .job import Receipt, ShardJob
from .outcome import Outcome
from .plan import Goal, count_bytes, plan_jobs
from .portion import Portion
from .speed import recall_ms
from .watcher import Watcher

_LOOK_AFTER = 20  # times what the last look took
_DECODE_MS, _MS_PER_PIXEL = 5.0, 3e-4  # of one core; only what they are to each other matters


@dataclass
class Pass:
    """What is missing of some extractions, and what has become of it: each image is decoded once for all of them.

    Attributes
    ----------
    extractions : sequence of Extraction
        One a trunk, of one cache and data set.
    outcome : Outcome
    goals : list of Goal
    jobs : list of ShardJob
        Each image in one job.
    began : float
        When that was looked for, monotonic s.
    reasons : dict of (split, row) to BadRow
        Of the images that this run found bad.
    """

    extractions: Sequence[Extraction]
    outcome: Outcome
    goals: list[Goal]
    jobs: list[ShardJob]
    began: float
    reasons: dict[tuple[str, int], BadRow] = field(default_factory=dict)

    def list_views(self, trunk: int) -> list[View]:
        """The views that some image still lacks, as a trunk sees it."""
        return [goal.view for goal in self.goals if goal.trunk == trunk and goal.missing.any()]

    @property
    def done(self) -> int:
        """Images that lacked nothing when it was prepared."""
        return self.outcome.images - sum(job.stop - job.start for job in self.jobs)

    def hand_out(self, *, backwards: bool = False) -> Iterator[ShardJob]:
        """The jobs, each when it is asked for, without those that another run has committed by then.

        Whoever is not the first to work on a pass goes backwards, so that the two meet in the middle.
        """
        looks = [_Look(goal) for goal in self.goals]
        for job in reversed(self.jobs) if backwards else self.jobs:
            if any(look.lacks(job) for look in looks):
                yield job
            else:
                self.outcome.shared += job.stop - job.start

    def note(self, receipt: Receipt) -> None:
        """Count what a job did."""
        self.outcome.decoded += receipt.decoded
        self.outcome.forwards += receipt.forwards
        self.outcome.stages.update(receipt.seconds)
        for trunk, share in receipt.shares.items():
            self.outcome.shares[trunk].add(share)
        self.reasons.update(((row.split, row.row), row) for row in receipt.bad)

    def leave(self, portion: Portion) -> Outcome:
        """End a part: why images are bad is recorded; judging and sealing are for whoever has all parts.

        Raises
        ------
        DiskError
            If that cannot be recorded.
        """
        for extraction in self.extractions:
            extraction.keep_reasons(self.reasons, str(portion))
        self.outcome.bad = [self.reasons[place] for place in sorted(self.reasons)]
        self.outcome.part, self.outcome.left = str(portion), max(one.count_left() for one in self.extractions)
        self.outcome.wall_s = time.monotonic() - self.began
        return self.outcome

    def finish(
        self,
        watcher: Watcher,
        stopped: Callable[[], bool],
        *,
        max_bad: float = 0.01,
        provenance: Sequence[Mapping[str, Any]] | None = None,
    ) -> Outcome:
        """Judge the images without features by every trunk, then seal every key; all rows are committed.

        Parameters
        ----------
        watcher, stopped
            As `prepare_pass` takes them.
        max_bad : float
            Share of images, 0 to 1, that may be without features.
        provenance : sequence of mappings
            Recorded with the seals, of each extraction.

        Raises
        ------
        DataError
            If more images are bad than `max_bad` allows; what is computed stays, and nothing is sealed.
        Interrupted
            If the user stopped it; what is committed stays.
        DiskError, CacheError
        """
        expect_running(stopped)
        with ExitStack() as held:
            # In one order, so that no two runs wait for each other; trunks of equal weights have one lock.
            owners = {extraction.lock: extraction for extraction in self.extractions}
            for lock in sorted(owners):
                held.enter_context(owners[lock].alone(watcher, stopped))
            expect_running(stopped)
            found = [extraction.judge(self.reasons, max_bad) for extraction in self.extractions]
            bad = {(row.split, row.row): row for rows in reversed(found) for row in rows}
            self.outcome.bad = [bad[place] for place in sorted(bad)]
            self.outcome.wall_s = time.monotonic() - self.began
            watcher.phase("sealing features")
            for extraction, facts in zip(self.extractions, provenance or [{}] * len(found), strict=True):
                extraction.seal(facts)
        return self.outcome


def prepare_pass(
    extractions: Sequence[Extraction],
    watcher: Watcher,
    stopped: Callable[[], bool],
    *,
    pieces: int = 1,
    portion: Portion | None = None,
) -> Pass:
    """Repair and take over what there is; what remains is the pass that an engine has to run.

    Parameters
    ----------
    extractions : sequence of Extraction
        Of one cache and data set.
    watcher : Watcher
    stopped : callable
        Whether the user wants it to end.
    pieces : int
        Workers among which the rows are cut; 1 if batches are longer than a piece (accelerators).
    portion : Portion, optional
        Its rows alone; nothing is repaired then, for others may be at work, and no lock is waited for.

    Raises
    ------
    Interrupted
        If the user stopped it.
    DiskError, CacheError
    """
    began = time.monotonic()
    expect_running(stopped)
    store, manifest = extractions[0].store, extractions[0].manifest
    splits = {split for extraction in extractions for split in extraction.views}
    mine = portion.cut({split: len(rows) for split, rows in manifest.splits.items()}) if portion else None
    sizes = {split: int(mine[split].sum()) if mine else len(manifest.splits[split]) for split in splits}
    outcome = Outcome(images=sum(sizes.values()))
    outcome.shares = [Share() for _ in extractions]
    store.create()
    write_manifest(store.folder / "data", manifest)
    goals: list[Goal] = []
    for trunk, extraction in enumerate(extractions):
        if not portion:
            extraction.repair(watcher, stopped)
        outcome.adopted += extraction.begin(mine)
        goals += extraction.list_goals(trunk, mine)
    outcome.computed = sum(int(goal.missing.sum()) for goal in goals)
    outcome.passes = sum(bool(goal.missing.any()) for goal in goals)
    expect_space(store.folder, count_bytes(goals))
    return Pass(extractions, outcome, goals, plan_jobs(goals, manifest.root, pieces), began)


class _Look:
    """What a goal still misses, as all who work on it commit their rows: looked at again when that is worth it.

    Of 14 million rows 7,000 shards are listed each time, for each of 7,000 jobs.
    """

    def __init__(self, goal: Goal) -> None:
        self._goal, self._missing, self._due = goal, goal.missing, 0.0

    def lacks(self, job: ShardJob) -> bool:
        """Whether rows of a job that its key wanted were not committed when it last looked."""
        if job.split != self._goal.split or not self._goal.missing[job.start]:
            return False
        if (began := time.monotonic()) >= self._due:
            self._missing = self._goal.entry.find_missing()
            now = time.monotonic()
            self._due = now + _LOOK_AFTER * (now - began)
        return bool(self._missing[job.start : job.stop].any())


def weigh_jobs(work: Pass) -> tuple[list[int], list[float], bool]:
    """What jobs cost in their order, summed up: rows, and ms of one worker, from 0; and whether all was measured.

    A trunk that never ran here at a resolution is taken to need as long for a pixel as a small one does.
    """
    sides = sorted({target.view.res for job in work.jobs for target in job.targets})
    known = [
        recall_ms(one.store.root / "speed", one.trunk.weights_sha256, sides, one.trunk.precision)
        for one in work.extractions
    ]
    rows, ms, measured = [0], [0.0], True
    for job in work.jobs:
        n, each = job.stop - job.start, _DECODE_MS
        for target in job.targets:
            at = known[target.trunk].get(target.view.res)
            measured &= at is not None
            each += target.view.count * (_MS_PER_PIXEL * target.view.res**2 if at is None else at)
        rows.append(rows[-1] + n)
        ms.append(ms[-1] + n * each)
    return rows, ms, measured


class Progress:
    """Adds the rows under way to the rows reported, and passes on each line of the workers once."""

    def __init__(self, watcher: Watcher, work: Pass, workers: int = 1) -> None:
        self.watcher, self.work = watcher, work
        self._reported = work.done
        self._said: set[str] = set()
        self._rows, self._ms, measured = weigh_jobs(work)
        watcher.start(work.outcome.images, work.done, self._ms[-1] / 1e3 / workers if measured else None)

    def show(self, under_way: int) -> None:
        """Rows were begun."""
        done = self._reported + self.work.outcome.shared + under_way
        share = float(np.interp(done - self.work.done, self._rows, self._ms) / self._ms[-1])
        self.watcher.advance(done, share)

    def pass_on(self, receipt: Receipt) -> None:
        """A job is done."""
        self._reported += receipt.stop - receipt.start
        for line in receipt.notices:
            if line not in self._said:
                self._said.add(line)
                self.watcher.notice(line)
