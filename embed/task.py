"""The only code that computes features: consecutive rows of one split, every wanted view, from one decode.

Local workers, several hosts or a scheduler all call `run_shard`; they differ in who hands out the row ranges.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cache.errors import DataError
from cache.rowsfile import show_path
from cache.shard import Shard, Status, commit_shard

from .decode import BadImage, decode_rgb, read_file
from .job import BadRow, Receipt, ShardJob, Target
from .views import View, render_view

MAX_FLOAT16 = 6e4
NO_ROW = -1


class Backend(Protocol):
    """Pixels to pooled features; see `embed.backends`."""

    batch: int

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (B, H, W, 3) -> float32 (B, D)."""
        ...


class _Clock:
    """Seconds per stage."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(("read", "decode", "view", "trunk", "write"), 0.0)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - began


def run_shard(
    job: ShardJob,
    open_backend: Callable[[View], Backend],
    *,
    pulse: Callable[[int], bool] = lambda row: True,
    decoders: int = 0,
) -> Receipt:
    """Compute and commit one shard for every target of a job.

    Every backend's batches end at multiples of its own batch, so neither a resume, nor the split into jobs, nor
    what else is computed on the way changes a bit.

    Parameters
    ----------
    job : ShardJob
    open_backend : callable
        The backend for a view's resolution.
    pulse : callable
        Called with every row id before it is read, and with `NO_ROW` when images give way to the trunk; false means
        stop at the next batch edge, keeping what is done.
    decoders : int
        Threads that decode ahead of the trunk (for accelerators); 0 decodes in this thread.

    Returns
    -------
    Receipt

    Raises
    ------
    DataError
        If a file cannot be read or is no longer what the manifest saw, or the trunk gives no finite feature for a
        whole batch.
    DiskError
        If a shard cannot be written; the shards committed before stay.
    """
    clock = _Clock()
    decoders = 0 if job.careful else decoders
    backends = {target.view: open_backend(target.view) for target in job.targets}
    batch = math.lcm(*(backend.batch for backend in backends.values()))
    work = _Work(job, clock, pulse)
    done = job.start
    for rows, images in _read_batches(work, batch, decoders):
        work.decoded += sum(image is not None for image in images)
        if not decoders:
            pulse(NO_ROW)  # decoding threads go on meanwhile, and the pulse stays theirs
        for target in job.targets:
            work.fill(target, rows, images, backends[target.view])
        done = rows[-1] + 1
        if work.stopped:
            break
    with clock.time("write"):
        for target in job.targets if done > job.start else ():
            commit_shard(target.folder, target.key, work.shard(target, done))
    bad = tuple(row for row in work.bad if row.row < done)
    notices = _take_notices(backends.values())
    return Receipt(job.split, job.start, done, bad, work.decoded, work.forwards, clock.seconds, notices)


def _take_notices(backends: Iterable[Backend]) -> tuple[str, ...]:
    """What backends have to say since the last shard; each line is taken once."""
    lines: dict[str, None] = {}
    for backend in backends:
        waiting: list[str] = getattr(backend, "notices", [])
        lines.update(dict.fromkeys(waiting))
        waiting.clear()
    return tuple(lines)


Batch = tuple[list[int], list["Image.Image | None"]]


def _read_batches(work: _Work, batch: int, decoders: int) -> Iterator[Batch]:
    """(row ids, images) per batch; with `decoders` threads, the next two batches decode meanwhile."""
    rows = range(work.job.start, work.job.stop)
    batches = [list(group) for _, group in groupby(rows, key=lambda row: row // batch)]
    if not decoders:
        yield from ((part, [work.read(row) for row in part]) for part in batches)
        return
    with ThreadPoolExecutor(decoders) as pool:
        ahead: deque[tuple[list[int], list[Future[Image.Image | None]]]] = deque()
        for part in batches:
            ahead.append((part, [pool.submit(work.read, row) for row in part]))
            if len(ahead) > 2:
                yield _collect(*ahead.popleft())
        while ahead:
            yield _collect(*ahead.popleft())


def _collect(rows: list[int], images: list[Future[Image.Image | None]]) -> Batch:
    return rows, [image.result() for image in images]


class _Work:
    """A job's arrays while they are filled, row by row at their place."""

    def __init__(self, job: ShardJob, clock: _Clock, pulse: Callable[[int], bool]) -> None:
        self.job, self.clock, self._pulse = job, clock, pulse
        self.stopped = False
        self.decoded = self.forwards = 0
        self.bad: list[BadRow] = []
        n = len(job.paths)
        self.status = {target: np.full(n, Status.OK, np.uint8) for target in job.targets}
        self._features = {
            target: np.full((n, target.view.count, target.dim), np.nan, target.dtype) for target in job.targets
        }

    def read(self, row: int) -> Image.Image | None:
        """The row's image, or None if it is bad. Bytes are read once, hashed and decoded from one buffer."""
        if not self._pulse(row):
            self.stopped = True
        i = row - self.job.start
        try:
            if row in self.job.quarantine:
                status = self.job.quarantine[row]
                raise BadImage(status, f"its decoder ended in a {status.name.lower()}")
            with self.clock.time("read"):
                data = self._read_bytes(i)
            with self.clock.time("decode"):
                image = decode_rgb(data)
            return image
        except BadImage as bad:
            self._quarantine(row, bad.status, bad.reason, self.job.targets)
            return None

    def fill(self, target: Target, rows: list[int], images: list[Image.Image | None], backend: Backend) -> None:
        """Run rows through one view and the trunk, in batches of the backend, into the target's array."""
        good = [(row, image) for row, image in zip(rows, images, strict=True) if image is not None]
        for _, batch in groupby(good, key=lambda pair: pair[0] // backend.batch):
            self._fill_batch(target, list(batch), backend)

    def _fill_batch(self, target: Target, good: list[tuple[int, Image.Image]], backend: Backend) -> None:
        with self.clock.time("view"):
            content = self.job.sha256
            crops = [render_view(image, target.view, content[row - self.job.start]) for row, image in good]
            pixels = np.concatenate(crops)
        with self.clock.time("trunk"):
            features = backend(pixels).reshape(len(good), target.view.count, -1)
        self.forwards += len(pixels)
        self._store(target, [row for row, _ in good], features)

    def _store(self, target: Target, rows: list[int], features: NDArray[np.float32]) -> None:
        finite = np.asarray(np.isfinite(features).all(axis=(1, 2)))
        if target.dtype == "float16":
            finite &= (np.abs(features) < MAX_FLOAT16).all(axis=(1, 2))
        if not finite.any() and len(rows) > 1:
            raise DataError(
                f"the trunk gave no finite feature for rows {rows[0]} to {rows[-1]} at {target.view.res} px: "
                "expected finite numbers; try --precision fp32 or other weights."
            )
        for row, feature, ok in zip(rows, features, finite.tolist(), strict=True):
            if ok:
                self._features[target][row - self.job.start] = feature
            else:
                self._quarantine(row, Status.NONFINITE, f"not finite at {target.view.res} px", (target,))

    def shard(self, target: Target, stop: int) -> Shard:
        """What is to be committed for a target: rows before `stop`."""
        n = stop - self.job.start
        return Shard(self.job.start, self._features[target][:n], self.status[target][:n])

    def _quarantine(self, row: int, status: Status, reason: str, targets: Sequence[Target]) -> None:
        i = row - self.job.start
        self.bad.append(BadRow(self.job.split, row, self.job.paths[i], status, reason))
        for target in targets:
            self.status[target][i] = status

    def _read_bytes(self, i: int) -> bytes:
        try:
            data = read_file(os.path.join(os.fsencode(self.job.root), self.job.paths[i]))
        except OSError as error:
            # It could be read when it was listed: the disk or this machine is to blame, so its row is not sealed
            # as a bad image.
            raise DataError(
                f"could not read {show_path(self.job.paths[i])}: {error.strerror}; mend it and run the same "
                "command again: nothing is computed twice."
            ) from error
        if hashlib.sha256(data).digest() != self.job.sha256[i]:
            raise DataError(
                f"{show_path(self.job.paths[i])} changed while it was being extracted; "
                "run the same command again: only what changed is recomputed."
            )
        return data
