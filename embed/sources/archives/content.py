"""The bytes of images that lie in containers; of those behind a URL, the next are fetched while one is read."""

from __future__ import annotations

import io
import os
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import groupby, pairwise
from threading import Lock
from typing import BinaryIO

from fixgrid.cache.datasets import CONTAINERS

from ..content import Content, Stamp
from ..remote.address import is_address, read_address
from ..remote.store import Store
from .blob import Blob, FarBlob, NearBlob
from .container import Container
from .kept import KeptTar
from .parquet import Parquet
from .zipped import Zip

KINDS: dict[str, Callable[[Blob, str], Container]] = dict(zip(CONTAINERS, (KeptTar, Zip, Parquet), strict=True))
"""By the suffix: what is made of a container's bytes, and of its place."""
AHEAD = 3
"""Runs of images that are fetched before they are asked for, at most."""
_MOST_OPEN = 16
_MOMENT_S = 0.05
_NO_STAMP: Stamp = (-1, 0, 0, 0)
_MOST_ANNOUNCED = 16
_SUFFIX = b"|".join(re.escape(suffix.encode()) for suffix in KINDS)
_CONTAINER = re.compile(rb"((?:[^/]+/)*?[^/]+(?:%s))/(.+)" % _SUFFIX, re.DOTALL | re.IGNORECASE)


def cut_path(path: bytes) -> tuple[bytes, bytes]:
    """An image's container, and its name in there: ``train/0.tar/a/1.jpg`` is ``a/1.jpg`` of ``train/0.tar``.

    Raises
    ------
    FileNotFoundError
        If it is in no container.
    """
    found = _CONTAINER.fullmatch(path)
    if not found:
        raise FileNotFoundError(2, "it is in no container")
    return found[1], found[2]


def find_kind(container: bytes) -> Callable[[Blob, str], Container]:
    """What reads a container, by its suffix."""
    return KINDS[os.path.splitext(os.fsdecode(container))[1].lower()]


class _Run:
    """Images that are read at once, what comes after them, and the bytes that came, by path."""

    def __init__(self, paths: list[bytes], fetch: Callable[[list[bytes]], dict[bytes, bytes]]) -> None:
        self.paths, self._fetch = paths, fetch
        self.next: _Run | None = None
        self._lock, self._coming = Lock(), None

    _coming: Future[dict[bytes, bytes]] | None

    def start(self, pool: ThreadPoolExecutor, more: int) -> None:
        """Have it fetched, and so many more after it."""
        with self._lock:
            self._coming = self._coming or pool.submit(self._fetch, self.paths)
        if more and self.next:
            self.next.start(pool, more - 1)

    def wait(self) -> dict[bytes, bytes]:
        """What is fetched by now, or by this very thread."""
        with self._lock:
            if self._coming is None:
                self._coming = Future()
                self._coming.set_result(self._fetch(self.paths))
        return self._coming.result()


class Archives(Content):
    """Images in containers below one place.

    Parameters
    ----------
    place : str
        Absolute folder, or a URL without credentials.
    stamps : mapping, optional
        What a listing said of containers behind a URL.
    """

    def __init__(self, place: str, stamps: Mapping[bytes, Stamp] | None = None) -> None:
        self._place, self._listed = place, stamps or {}
        self._store = Store(read_address(place)) if is_address(place) else None
        self._blobs: dict[bytes, Blob] = {}
        self._opened = OrderedDict[bytes, Container]()
        self._opening: dict[bytes, Lock] = {}
        self._lock = Lock()
        self._announced = deque[list[bytes]]()
        self._runs: dict[bytes, _Run] = {}
        self._stamps: dict[bytes, tuple[float, Stamp]] = {}
        self._last = b"\0", b""  # the container that was asked for last, as paths begin and by itself

    def stamp(self, path: bytes) -> Stamp:
        """Of the container, its size left out: what is untouched has all images that it had.

        It is looked at again a moment later: of thousands of images in one, each would be a question to the disk.
        """
        container = cut_path(path)[0] if not path.startswith(self._last[0]) else self._last[1]
        looked, stamp = self._stamps.get(container, (0.0, _NO_STAMP))
        if time.monotonic() - looked > _MOMENT_S:
            stamp = (-1, *self.open_blob(container).stamp()[1:])
            self._stamps[container] = time.monotonic(), stamp
            self._last = container + b"/", container
        return stamp

    def open(self, path: bytes) -> BinaryIO:
        """All of it, in memory."""
        return io.BytesIO(self.read(path))

    def read(self, path: bytes) -> bytes:
        """All bytes of an image, perhaps fetched already."""
        with self._lock:
            run = self._runs.pop(path, None) or _Run([path], self._fetch)
        if self._store:
            run.start(self._pool, AHEAD)
        return run.wait()[path]

    def announce(self, paths: Sequence[bytes]) -> None:
        """Read what lies together at once; what is far away is fetched ahead.

        Several threads may announce what each will read; only what was announced long ago is forgotten.
        """
        runs = self._cut_runs(paths)
        with self._lock:
            self._announced.append([*paths])
            self._runs.update({path: run for run in runs for path in run.paths})
            while len(self._announced) > _MOST_ANNOUNCED:
                for path in self._announced.popleft():
                    self._runs.pop(path, None)

    def open_blob(self, container: bytes) -> Blob:
        """A container as bytes."""
        if container not in self._blobs:
            far = FarBlob(self._store, container, self._listed.get(container)) if self._store else None
            self._blobs[container] = far or NearBlob(os.path.join(os.fsencode(self._place), container))
        return self._blobs[container]

    def open_container(self, container: bytes) -> Container:
        """A container by its path; some that were opened stay open."""
        with self._lock:
            opening = self._opening.setdefault(container, Lock())
        with opening:
            with self._lock:
                if container in self._opened:
                    self._opened.move_to_end(container)
                    return self._opened[container]
            opened = self._make(container)
            with self._lock:
                self._opened[container] = opened
                while len(self._opened) > _MOST_OPEN:
                    gone, _ = self._opened.popitem(last=False)
                    self._blobs.pop(gone, None)
        return opened

    def _make(self, container: bytes) -> Container:
        return find_kind(container)(self.open_blob(container), f"{self._place}/{os.fsdecode(container)}")

    def _cut_runs(self, paths: Sequence[bytes]) -> list[_Run]:
        runs: list[_Run] = []
        try:
            parts = [(path, *cut_path(path)) for path in paths]
            for container, alike in groupby(parts, key=lambda part: part[1]):
                mine = [*alike]
                at = 0
                for n in self.open_container(container).cut([name for _, _, name in mine]):
                    runs.append(_Run([path for path, _, _ in mine[at : at + n]], self._fetch))
                    at += n
        except OSError:  # whoever reads hears of it
            return []
        for one, other in pairwise(runs):
            one.next = other
        return runs

    def _fetch(self, paths: Sequence[bytes]) -> dict[bytes, bytes]:
        parts = [cut_path(path) for path in paths]
        data = self.open_container(parts[0][0]).read([name for _, name in parts])
        return dict(zip(paths, data, strict=True))

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1 + AHEAD)
