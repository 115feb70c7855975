"""The only code that computes features: consecutive rows of one split, every wanted view, from one decode.

Local workers, several hosts or a scheduler all call `run_shard`; they differ in who hands out the row ranges.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import DataError
from fixgrid.cache.quarantine import BadRow
from fixgrid.cache.remarks import WIDTH
from fixgrid.cache.shard import Shard, Status, commit_shard
from fixgrid.cache.text import show_path
from fixgrid.cache.view import View

from .clock import Clock
from .decode import BadImage, decode_image
from .groups import Crops, cut_rows, see_ahead, see_in_turn, size_group
from .job import Receipt, ShardJob, Target
from .sources.catalogue import open_content
from .sources.content import Content
from .views import render_view

NO_ROW = -1


class Backend(Protocol):
    """Pixels to pooled features; see `embed.backends`."""

    batch: int

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (B, H, W, 3) -> float32 (B, D)."""
        ...


Answer = Callable[[], NDArray[np.float32]]


@runtime_checkable
class AheadBackend(Backend, Protocol):
    """A backend that can begin a batch while the one before it computes."""

    def start(self, pixels: NDArray[np.uint8]) -> Answer:
        """Begin uint8 (B, H, W, 3); the answer waits for float32 (B, D)."""
        ...


def run_shard(
    job: ShardJob,
    openers: Mapping[int, Callable[[View], Backend]],
    *,
    open_images: Callable[[str, str], Content] = open_content,
    pulse: Callable[[int], bool] = lambda row: True,
    decoders: int = 0,
) -> Receipt:
    """Compute and commit one shard for every target of a job.

    Every backend's batches end at multiples of its own batch, so neither a resume, nor the split into jobs, nor
    what else is computed on the way changes a bit.

    Parameters
    ----------
    job : ShardJob
    openers : mapping of int to callable
        Of every trunk of the job, what gives its backend for a view's resolution.
    open_images : callable
        `open_content`, or what remembers what it opened: a job's root is opened once a job.
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
    decoders = 0 if job.careful else decoders
    eyes = dict.fromkeys((target.trunk, target.view) for target in job.targets)
    backends = {(trunk, view): openers[trunk](view) for trunk, view in eyes}
    images = open_images(job.root, job.opener)
    images.announce([path for row, path in enumerate(job.paths, job.start) if row not in job.quarantine])
    work = _Work(job, images, pulse, backends)
    groups = cut_rows(range(job.start, job.stop), size_group(job.targets, work.batch))
    done = job.start
    begun: deque[Begun] = deque()
    for rows, seen in see_ahead(work, groups, decoders) if decoders else see_in_turn(work, groups):
        done, more = work.start_trunks(rows, seen, alone=not decoders)
        begun.append(more)
        # A device computes a group while the next is begun; on a CPU it has been computed by now.
        while len(begun) > (1 if decoders else 0):
            work.finish(begun.popleft())
        if work.stopped:
            break
    while begun:
        work.finish(begun.popleft())
    for target in job.targets if done > job.start else ():
        with work.clock.time("write", [target.trunk]):
            commit_shard(target.folder, target.key, work.shard(target, done))
    bad = tuple(row for row in work.bad if row.row < done)
    shares = {trunk: work.clock.read_share(trunk, work.decoded, work.crops[trunk]) for trunk in work.trunks}
    notices = _take_notices(backends.values())
    return Receipt(job.split, job.start, done, bad, work.decoded, work.clock.read_stages(), shares, notices)


def _take_notices(backends: Iterable[Backend]) -> tuple[str, ...]:
    """What backends have to say since the last shard; each line is taken once."""
    lines: dict[str, None] = {}
    for backend in backends:
        waiting: list[str] = getattr(backend, "notices", [])
        lines.update(dict.fromkeys(waiting))
        waiting.clear()
    return tuple(lines)


Eye = tuple[int, View]  # a trunk, and what it sees
Begun = dict[Eye, list[tuple[list[int], Answer]]]  # of a group: every eye's batches, rows and features to come


class _Work:
    """A job's arrays while they are filled, row by row at their place."""

    def __init__(
        self,
        job: ShardJob,
        images: Content,
        pulse: Callable[[int], bool],
        backends: Mapping[Eye, Backend],
    ) -> None:
        self.job, self.clock, self._images, self._pulse, self._backends = job, Clock(), images, pulse, backends
        self.batch = math.lcm(*(backend.batch for backend in backends.values()))
        self.stopped = False
        self.decoded = 0
        self.trunks = list(dict.fromkeys(trunk for trunk, _ in backends))
        self.crops: dict[int, Counter[int]] = {trunk: Counter() for trunk in self.trunks}
        # Trunks that are normalised differently may see the same crop, which is rendered once.
        self._shapes = {eye: eye[1].geometry for eye in backends}
        self._views = {shape: view for (_, view), shape in self._shapes.items()}
        self._viewers: dict[tuple[object, ...], list[int]] = {shape: [] for shape in self._views}
        for (trunk, _), shape in self._shapes.items():
            self._viewers[shape].append(trunk)
        self.bad: list[BadRow] = []
        n = len(job.paths)
        self._remarks = np.zeros((n, WIDTH))
        self.status = {target: np.full(n, Status.OK, np.uint8) for target in job.targets}
        self._features = {
            target: np.full((n, target.view.count, target.dim), np.nan, target.dtype) for target in job.targets
        }

    def beat(self, row: int) -> None:
        """Tell the supervisor what comes now, and hear whether to stop."""
        if not self._pulse(row):
            self.stopped = True

    def see(self, row: int) -> Crops | None:
        """The row's crops, or None if it is bad. Bytes are read once, hashed and decoded from one buffer."""
        self.beat(row)
        i = row - self.job.start
        try:
            if row in self.job.quarantine:
                status = self.job.quarantine[row]
                raise BadImage(status, f"its decoder ended in a {status.name.lower()}")
            with self.clock.time("read", self.trunks):
                data = self._read_bytes(i)
            with self.clock.time("decode", self.trunks):
                image, remark = decode_image(data, self.job.scale)
                self._remarks[i] = remark.to_numbers()
            crops: Crops = {}
            for shape, view in self._views.items():
                with self.clock.time("view", self._viewers[shape]):
                    crops[shape] = render_view(image, view, self.job.sha256[i])
            return crops
        except BadImage as bad:
            self._quarantine(row, bad.status, bad.reason, self.job.targets)
            return None

    def start_trunks(self, rows: Sequence[int], seen: Sequence[Crops | None], *, alone: bool) -> tuple[int, Begun]:
        """Give seen rows to every trunk, batch by batch until the run is to stop; the row after the last, too."""
        good = {row: crops for row, crops in zip(rows, seen, strict=True) if crops is not None}
        begun: Begun = {eye: [] for eye in self._backends}
        done = rows[0]
        for part in cut_rows(rows, self.batch):
            if alone:
                self.beat(NO_ROW)  # decoding threads go on meanwhile, and the pulse stays theirs
            for eye, shape in self._shapes.items():
                begun[eye] += self._start_trunk(eye, {row: good[row][shape] for row in part if row in good})
            done = part[-1] + 1
            if self.stopped:
                break
        self.decoded += sum(row < done for row in good)
        return done, begun

    def _start_trunk(self, eye: Eye, crops: dict[int, NDArray[np.uint8]]) -> list[tuple[list[int], Answer]]:
        """Rows and features (B V, D) to come, in batches of the backend."""
        (trunk, view), backend = eye, self._backends[eye]
        batch = 1 if view.kind == "whole" else backend.batch  # whole images differ in size
        begun = []
        for rows in cut_rows(list(crops), batch):
            pixels = np.concatenate([crops[row] for row in rows]) if len(rows) > 1 else crops[rows[0]]
            with self.clock.time("trunk", [trunk], view.res):
                begun.append((rows, _start(backend, pixels)))
            self.crops[trunk][view.res] += len(pixels)
        return begun

    def finish(self, begun: Begun) -> None:
        """Wait for the features of a group and keep them, each kind with its own key."""
        for (trunk, view), batches in begun.items():
            targets = [target for target in self.job.targets if (target.trunk, target.view) == (trunk, view)]
            found: dict[int, NDArray[np.float32]] = {}
            for rows, answer in batches:
                with self.clock.time("trunk", [trunk], view.res):
                    features = answer().reshape(len(rows), view.count, -1)
                for target in targets if len(rows) > 1 else ():
                    if not target.find_finite(target.cut(features)).any():
                        why = target.explain(target.cut(features))
                        cure = "--dtype float32" if target.dtype in why else "--precision fp32 or other weights"
                        raise DataError(f"rows {rows[0]} to {rows[-1]} have {why}; try {cure}.")
                found |= zip(rows, features, strict=True)
            for target in targets:
                self._store(target, found)

    def _store(self, target: Target, found: dict[int, NDArray[np.float32]]) -> None:
        """Features where they belong; rows that are not finite are bad."""
        if not found:
            return  # every image was bad
        rows = np.array(list(found), dtype=np.int64)
        features = target.cut(np.array(list(found.values())).reshape(len(rows), target.view.count, -1))
        finite = target.find_finite(features)
        self._features[target][rows[finite] - self.job.start] = features[finite]
        for row, spoilt in zip(rows[~finite].tolist(), features[~finite], strict=True):
            self._quarantine(row, Status.NONFINITE, target.explain(spoilt), (target,))

    def shard(self, target: Target, stop: int) -> Shard:
        """What is to be committed for a target: rows before `stop`."""
        n = stop - self.job.start
        return Shard(self.job.start, self._features[target][:n], self.status[target][:n], self._remarks[:n])

    def _quarantine(self, row: int, status: Status, reason: str, targets: Sequence[Target]) -> None:
        i = row - self.job.start
        self.bad.append(BadRow(self.job.split, row, self.job.paths[i], status, reason))
        for target in targets:
            self.status[target][i] = status

    def _read_bytes(self, i: int) -> bytes:
        try:
            data = self._images.read(self.job.paths[i])
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


def _start(backend: Backend, pixels: NDArray[np.uint8]) -> Answer:
    if isinstance(backend, AheadBackend):
        return backend.start(pixels)
    features = backend(pixels)
    return lambda: features
