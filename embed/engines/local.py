"""Processes of this machine that compute shards, and the engine that survives them.

Each worker decodes an image and runs its own single-thread trunk, with nothing handed from worker to worker:
measured faster than any producer and consumer. A worker that dies or hangs names the row it was at; the second
time, the row is quarantined and the run goes on.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import connection, parent_process
from typing import Any

from fixgrid.cache.errors import FixgridError
from fixgrid.cache.shard import Status

from ..job import Receipt, ShardJob
from ..sizing import Sizing
from ..sources.catalogue import open_content
from ..task import NO_ROW, run_shard
from .deaths import Deaths, WorkerError
from .engine import Course, Opener
from .processes import start_importing, start_process
from .queue import JobQueue

# Deaths in all that no image explains.
MAX_DEATHS = 20
# Exit code of a worker whose accelerator answers every call with the error of an earlier one.
LOST_DEVICE = 71


@contextmanager
def _name_scarcity() -> Iterator[None]:
    """The machine refuses a process, its pipe or its shared memory: one line instead of a traceback."""
    try:
        yield
    except (OSError, EOFError) as error:  # EOFError: of the server that should have forked
        reason = getattr(error, "strerror", None) or "its server ended"
        raise WorkerError(
            f"could not start a worker: {reason}; expected a page of shared memory (/dev/shm must be "
            "writable), a process and a few open files: free some, or try --workers 1."
        ) from error


@dataclass
class _Worker:
    process: Any
    pipe: connection.Connection
    # The row being worked at, when it was begun (monotonic s), rows begun in this job; written by the worker.
    pulse: Any
    place: int
    job: ShardJob | None = None
    died_of: Status = Status.CRASH

    @property
    def row(self) -> int:
        return int(self.pulse[0])


class LocalEngine:
    """Runs jobs in worker processes until all are done, whatever becomes of the workers.

    Parameters
    ----------
    sizing : Sizing
        Workers; threads of each that decode ahead of the trunk; environments, on which workers take turns.
    course : Course
        Hears when a worker is replaced.
    timeout_s : float
        A row that takes longer hangs: its worker is killed.
    commit_every_s : float
        A job that takes longer commits what it has and goes on: no crash loses more, however slow the trunk.
    """

    def __init__(
        self, sizing: Sizing, course: Course, *, timeout_s: float = 120.0, commit_every_s: float = 60.0
    ) -> None:
        self.sizing, self.course = sizing, course
        self.timeout_s, self.commit_every_s = timeout_s, commit_every_s
        self._pool: list[_Worker] = []
        self._deaths = Deaths(MAX_DEATHS)
        # When workers were last looked at, and when this process last went on after a stop (monotonic s).
        self._looked, self._woken = time.monotonic(), 0.0

    def run(self, jobs: Iterable[ShardJob], openers: Mapping[int, Opener]) -> Iterator[Receipt]:
        """See `Engine`.

        Raises
        ------
        FixgridError
            What a worker raised, or `WorkerError` if workers keep dying or none can be started.
        """
        queue = JobQueue(jobs)
        if queue:
            with self.open(openers) as serve:
                yield from serve(queue)

    @contextmanager
    def open(self, openers: Mapping[int, Opener]) -> Iterator[Callable[[JobQueue], Iterator[Receipt]]]:
        """What does the jobs of a queue, one queue after another, by workers that live on in between."""
        try:
            with _name_scarcity():
                context = start_importing()
                self._stop = context.RawValue(ctypes.c_bool, False)
            self._openers = openers
            yield partial(self._work, context)
        finally:
            self._end()

    def _work(self, context: Any, queue: JobQueue) -> Iterator[Receipt]:
        for place in range(len(self._pool), queue.count(self.sizing.workers)):
            self._start(context, place)
        while queue or any(worker.job for worker in self._pool):
            if self.course.should_stop():
                self._stop.value = True
                queue.clear()
            self._hand_out(context, queue)
            yield from self._collect(context, queue)

    def _start(self, context: Any, place: int) -> None:
        environments = self.sizing.environments
        environment = environments[place % len(environments)]
        with _name_scarcity():
            ours, theirs = context.Pipe()
            pulse = context.RawArray(ctypes.c_double, 3)
            how = (self.sizing.decoders, self.commit_every_s, environment)
            args = (theirs, self._openers, pulse, self._stop, *how)
            process = context.Process(target=_serve, args=args, daemon=True)
            start_process(process)
        theirs.close()
        self._pool.append(_Worker(process, ours, pulse, place))

    def _hand_out(self, context: Any, queue: JobQueue) -> None:
        for worker in [w for w in self._pool if w.job is None and not w.process.is_alive()]:
            self._pool.remove(worker)
            self._start(context, worker.place)
        for worker in self._pool:
            if worker.job is None and queue:
                worker.job = queue.take()
                worker.pulse[:] = [NO_ROW, time.monotonic(), 0]
                with suppress(OSError):  # a worker that died meanwhile is found by `_collect`
                    worker.pipe.send(worker.job)

    def _collect(self, context: Any, queue: JobQueue) -> Iterator[Receipt]:
        busy = [worker for worker in self._pool if worker.job]
        now = time.monotonic()
        if now - self._looked > self.timeout_s / 2:  # Ctrl-Z stops this process and its workers: no row hangs
            self._woken = now
        self._looked = now
        connection.wait([handle for w in busy for handle in (w.pipe, w.process.sentinel)], timeout=0.2)
        for worker in busy:
            answer = _receive(worker)
            if isinstance(answer, FixgridError):
                raise answer
            if answer is not None:
                if worker.job and answer.stop < worker.job.stop and not self._stop.value:
                    queue.put_back(worker.job.after(answer.stop))
                worker.job = None
                yield answer
            elif not worker.process.is_alive():
                self._bury(worker, queue)
                self._start(context, worker.place)
            elif worker.row != NO_ROW and now - max(worker.pulse[1], self._woken) > self.timeout_s:
                worker.died_of = Status.TIMEOUT
                worker.process.kill()
        self.course.on_progress(sum(int(worker.pulse[2]) for worker in self._pool if worker.job))

    def _bury(self, worker: _Worker, queue: JobQueue) -> None:
        """Take a dead worker's job back, quarantining the row it died at if that is the second time."""
        self._pool.remove(worker)
        job, row, code = worker.job, worker.row, worker.process.exitcode
        assert job is not None
        if code == 1:
            raise WorkerError("a worker ended in the error shown above; please report it.")
        # Threads that decode ahead leave it open which image it was: the job is repeated with care before any is
        # blamed.
        again = self._deaths.judge(job, row, worker.died_of, counts=job.careful or not self.sizing.decoders)
        if again is None:
            raise WorkerError(
                f"workers died {self._deaths.total} times, last with exit code {code} at {job.split} row {row}; "
                f"-9 means that memory ran out: try --workers 1; {LOST_DEVICE} that the accelerator gave the error "
                "shown above: try --device cpu."
            )
        self.course.on_notice(f"a worker ended ({code}) at {job.split} row {row}; another continues with its rows")
        queue.put_back(again)

    def _end(self) -> None:
        for worker in self._pool:
            if worker.job is None:
                with suppress(OSError):
                    worker.pipe.send(None)
            else:
                worker.process.kill()
        for worker in self._pool:
            worker.process.join(5)
            worker.pipe.close()
        self._pool.clear()


def _receive(worker: _Worker) -> Receipt | FixgridError | None:
    try:
        if worker.pipe.poll():
            answer: Receipt | FixgridError = worker.pipe.recv()
            return answer
    except (EOFError, OSError):  # it died, perhaps in the middle of its answer
        worker.process.join(5)
    return None


def _serve(
    pipe: connection.Connection,
    openers: Mapping[int, Opener],
    pulse: Any,
    stop: Any,
    decoders: int,
    commit_every_s: float,
    environment: Mapping[str, str],
) -> None:
    """A worker's life: jobs in, receipts out, until the pipe closes or the parent is gone."""
    os.environ.update(environment)  # before anything looks for an accelerator
    # Ctrl-C and a closed terminal reach the whole group; the parent alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    open_once = {trunk: cache(opener) for trunk, opener in openers.items()}
    open_images = cache(open_content)  # once a root: what changes during a run is noticed by its sha256
    began = time.monotonic()

    def beat(row: int) -> bool:
        pulse[:] = [row, time.monotonic(), pulse[2] + (row != NO_ROW)]
        return not stop.value and time.monotonic() - began < commit_every_s

    while (job := _receive_job(pipe)) is not None:
        began = time.monotonic()
        try:
            answer: Receipt | FixgridError = run_shard(
                job, open_once, open_images=open_images, pulse=beat, decoders=decoders
            )
        except FixgridError as error:
            answer = error
        except RuntimeError as error:
            # "CUDA error: device-side assert triggered" and its kin: only a new process gets a working device.
            if not str(error).startswith(("CUDA error", "HIP error")):
                raise
            sys.stderr.write(f"{str(error).splitlines()[0]}\n")
            sys.stderr.flush()
            os._exit(LOST_DEVICE)
        with suppress(ConnectionError):  # without a parent the next receive ends this
            pipe.send(answer)


def _end_with_parent() -> None:
    """End this process when its parent is gone, whatever it is doing; the server it was forked from lives on."""
    if parent := parent_process():
        parent.join()
        os._exit(0)


def _receive_job(pipe: connection.Connection) -> ShardJob | None:
    try:
        job: ShardJob | None = pipe.recv()
        return job
    except (EOFError, ConnectionError):
        return None
