"""Workers on the machines of a Ray cluster, and the engine that survives them and their machines.

Only jobs and receipts travel: images and the cache lie where every machine sees them. A place for a worker is an
actor (`Slot`) that minds one local worker, so a bad image is named, counted and quarantined there, as it is on one
machine. What ends an actor says nothing of an image: its job is simply done again, elsewhere.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from fixgrid.cache.disk import name_temp, remove_file
from fixgrid.cache.errors import FixgridError
from fixgrid.cache.shard import Status

from ..job import Receipt, ShardJob
from ..sizing import Sizing
from ..task import NO_ROW
from .cluster import count_slots, join_cluster
from .deaths import Deaths, WorkerError
from .engine import Course, Opener
from .parcel import pack
from .queue import JobQueue
from .slot import Slot, Terms, list_versions

LOOK_S, COUNT_S, END_S = 2.0, 1.0, 5.0
"""How often the cluster is looked at, and rows under way are asked for; how long an actor may take to end."""

MAX_FAILED_STARTS = 20
"""Actors in a row that end before they are ready, while there is no other."""

MAX_LOST = 20
"""Times that one job goes with a machine: each of its actors may be given it before the machine is missed."""

NO_MACHINE = "its machine is gone"


@dataclass(eq=False)
class _Hand:
    """An actor, as its employer sees it."""

    actor: Any
    # What is waited for: that it is ready, then what a job gives; None if it is free.
    answers: Any
    ready: bool = False
    job: ShardJob | None = None
    begun: int = 0
    count: Any = None  # rows begun, asked for

    def call(self, method: str) -> Any:
        """Call a method beside the work."""
        return getattr(self.actor, method).options(concurrency_group="beside").remote()


class RayEngine:
    """Runs jobs in actors until all are done, whatever becomes of the actors and their machines.

    Parameters
    ----------
    sizing : Sizing
        Its `hosts` say where, and what each worker takes there.
    course : Course
        Hears which cluster it is, and when a worker or an actor is replaced.
    start_s : float
        How long the cluster may be without room for a single worker.
    """

    def __init__(self, sizing: Sizing, course: Course, *, start_s: float = 120.0) -> None:
        self.sizing, self.course, self.start_s = sizing, course, start_s
        self._hands: list[_Hand] = []
        self._ending: list[Any] = []  # what was answered once actors have ended that are no hands any more
        # Machines come and go: any number of jobs may be done again, none again and again.
        self._deaths, self._failed_starts = Deaths(inf), 0
        self._lost: Counter[tuple[str, int]] = Counter()
        self._looked = self._counted = -inf
        self._staffed, self._stopped = 0.0, False

    def run(self, jobs: Iterable[ShardJob], openers: Mapping[int, Opener]) -> Iterator[Receipt]:
        """See `Engine`.

        Raises
        ------
        FixgridError
            What an actor raised; `WorkerError` if a job ends its actors again and again, a machine lacks something,
            or there is no room for a worker; `UsageError` if there is no cluster.
        """
        queue = JobQueue(map(_locate, jobs))
        if not queue:
            return
        with ExitStack() as held:
            line = held.enter_context(join_cluster(self.sizing.hosts, self.sizing.workers))
            self.course.on_notice(line)
            self._hire = held.enter_context(self._hiring(queue, openers))
            self._staffed = time.monotonic()
            while queue or any(hand.job for hand in self._hands):
                if self.course.should_stop() and not self._stopped:
                    self._stopped = True
                    queue.clear()
                    for hand in self._hands:
                        hand.call("stop")
                self._staff(queue)
                self._hand_out(queue)
                yield from self._collect(queue)

    @contextmanager
    def _hiring(self, queue: JobQueue, openers: Mapping[int, Opener]) -> Iterator[Any]:
        """What makes a hand; all of them are gone afterwards."""
        import ray

        hosts = self.sizing.hosts
        first = queue.take()
        queue.put_back(first)
        beacon = name_temp(first.targets[0].folder)
        sample = replace(first, paths=first.paths[:1], sha256=first.sha256[:1])
        terms = ray.put(Terms(list_versions(), beacon, sample))
        parcel = ray.put(pack(openers, ray))
        one = replace(self.sizing, workers=1, environments=({},))
        make = ray.remote(concurrency_groups={"beside": 1})(Slot).options(
            num_cpus=hosts.cpus, num_gpus=hosts.gpus, memory=hosts.memory or None, scheduling_strategy="SPREAD"
        )

        def hire() -> _Hand:
            actor = make.remote(one)
            return _Hand(actor, actor.begin.remote(terms, parcel))

        try:
            beacon.touch()
            yield hire
        finally:
            self._end(ray)
            remove_file(beacon)

    def _staff(self, queue: JobQueue) -> None:
        """As many hands as there are to be and jobs for them; those that the cluster has no room for wait."""
        now = time.monotonic()
        if any(hand.ready for hand in self._hands):
            self._staffed = now
        elif now - self._staffed > self.start_s:
            raise WorkerError(
                f"the Ray cluster had no room for a worker for {self.start_s:.0f} s, expected {self.sizing.hosts} "
                "free on a machine: see ray status, or ask for less."
            )
        if now - self._looked > LOOK_S:
            self._looked = now
            hosts, wanted = self.sizing.hosts, self.sizing.workers
            wanted = max(count_slots(hosts), 1) if hosts.elastic else wanted
            if (lacking := wanted - len(self._hands)) > 0:
                self._hands += [self._hire() for _ in range(queue.count(lacking))]

    def _hand_out(self, queue: JobQueue) -> None:
        for hand in [hand for hand in self._hands if hand.job is None]:
            if not queue:  # others of the cluster may have its place; should a job come back, so does a hand
                self._dismiss(hand)
            elif hand.ready:
                hand.job, hand.begun, hand.count = queue.take(), 0, None
                hand.answers = hand.actor.work.options(num_returns="streaming").remote(hand.job)

    def _dismiss(self, hand: _Hand) -> None:
        """Let an actor end, as it does when nobody knows it; one that has no place yet would not hear a call."""
        self._hands.remove(hand)
        self._ending += [hand.call("end")] if hand.ready else []

    def _collect(self, queue: JobQueue) -> Iterator[Receipt]:
        import ray

        waiting = {hand.answers: hand for hand in self._hands if hand.answers is not None}
        if not waiting:
            return
        ray.wait(list(waiting), timeout=0.2)  # for the first of them, and then for whoever is there as well
        for answers in ray.wait(list(waiting), num_returns=len(waiting), timeout=0)[0]:
            hand = waiting[answers]
            try:
                answer = ray.get(next(answers) if hand.ready else answers)
            except StopIteration:
                hand.job = hand.answers = None
            except ray.exceptions.RayError as error:
                self._bury(hand, queue, error)
            else:
                yield from self._take(hand, answer)
        self._count()

    def _take(self, hand: _Hand, answer: Any) -> Iterator[Receipt]:
        """What a hand says: that it is ready, or a part of what its job gives."""
        if isinstance(answer, FixgridError):
            raise answer
        if not hand.ready:
            hand.ready, hand.answers, self._failed_starts = True, None, 0
        elif isinstance(answer, str):
            self.course.on_notice(answer)
        else:
            assert hand.job is not None
            rest, hand.begun, hand.count = hand.job.after(answer.stop), 0, None
            hand.job = rest if rest.paths else None
            hand.answers = hand.answers if hand.job else None
            yield answer

    def _bury(self, hand: _Hand, queue: JobQueue, error: Exception) -> None:
        """Take the job of an actor back that is gone, or cannot be reached."""
        import ray

        self._hands.remove(hand)
        self._looked = -inf
        with suppress(ray.exceptions.RayError):
            ray.kill(hand.actor)
        if self._stopped:
            return
        reason = _explain(error)
        if hand.job is None:
            self._failed_starts += 1
            line = f"could not start a worker on the Ray cluster: {reason}"
            alone = not any(hand.ready for hand in self._hands)
            if (alone and self._failed_starts > MAX_FAILED_STARTS) or "fixgrid" in reason:
                raise WorkerError(f"{line}.")
            if self._failed_starts == 1:
                self.course.on_notice(f"{line}; trying again")
            return
        rows = f"{hand.job.split} rows {hand.job.start} to {hand.job.stop - 1}"
        place, gone = (hand.job.split, hand.job.start), reason == NO_MACHINE
        self._lost[place] += gone
        again = self._deaths.judge(hand.job, NO_ROW, Status.CRASH, counts=not gone)
        if again is None or self._lost[place] > MAX_LOST:
            raise WorkerError(f"actors ended again and again at {rows}, last as {reason}; try fewer --workers.")
        self.course.on_notice(f"an actor ended at {rows} ({reason}); another does them")
        queue.put_back(again)

    def _count(self) -> None:
        """Tell how many rows are under way, as far as it is known by now."""
        import ray

        now = time.monotonic()
        busy = [hand for hand in self._hands if hand.job]
        asked = {hand.count: hand for hand in busy if hand.count is not None}
        for count in ray.wait(list(asked), num_returns=len(asked), timeout=0)[0] if asked else ():
            with suppress(ray.exceptions.RayError):  # its death is found by its job
                asked[count].begun = ray.get(count)
            asked[count].count = None
        if now - self._counted > COUNT_S:
            self._counted = now
            for hand in busy:
                hand.count = hand.call("count") if hand.count is None else hand.count
        self.course.on_progress(sum(hand.begun for hand in busy))

    def _end(self, ray: Any) -> None:
        left = list(self._hands)
        for hand in left:
            self._dismiss(hand)
        if self._ending:
            ray.wait(self._ending, num_returns=len(self._ending), timeout=END_S)
        for hand in left:
            with suppress(ray.exceptions.RayError):
                ray.kill(hand.actor)


def _locate(job: ShardJob) -> ShardJob:
    """The same job for who works in another folder."""
    targets = (replace(target, folder=target.folder.absolute()) for target in job.targets)
    return replace(job, targets=tuple(targets))


def _explain(error: Exception) -> str:
    """Why an actor is gone, in a few words of the many that Ray says."""
    said = str(error)
    signs = "No module named", "Can't get attribute"
    if missing := [line for line in said.splitlines() if any(sign in line for sign in signs)]:
        return f"{missing[-1].strip()}: expected the same fixgrid on all machines of the cluster"
    if "unavailable" in said or "node" in said.partition("Worker exit")[0].rpartition("The actor is dead")[2]:
        return NO_MACHINE
    return "its process is gone: killed, or out of memory" if "process has died" in said else said.splitlines()[0]
