"""The bytes of images behind a URL, fetched ahead of whoever reads them in turn."""

from __future__ import annotations

import errno
import io
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from threading import Lock
from typing import BinaryIO

from fixgrid.cache.errors import DataError
from fixgrid.cache.objectstore import IN_FLIGHT

from ..content import Content, Stamp
from .address import read_address
from .store import Store, expect_reader

AHEAD = 16
"""Images that are fetched before they are asked for, at most."""
_AHEAD_BYTES = 64 << 20  # nothing more is fetched while so much waits


class Remote(Content):
    """Objects below a URL.

    Parameters
    ----------
    url : str
        Without credentials, such as ``s3://bucket/dogs``; `UsageError` if it is none that can be read.
    """

    in_flight = IN_FLIGHT

    def __init__(self, url: str) -> None:
        self.address = read_address(url)
        self._store, self._stamps = Store(self.address), dict[bytes, Stamp]()
        self._lock, self._coming = Lock(), deque[bytes]()
        self._fetched: dict[bytes, Future[bytes]] = {}

    def list(self) -> list[bytes]:
        """Paths of all objects below the URL, whose stamps are remembered.

        Raises
        ------
        UsageError
            If what reads the scheme is not installed.
        DataError
            If it cannot be listed.
        """
        expect_reader(self.address)
        try:
            self._stamps = self._store.list()
        except OSError as error:
            raise DataError(f"could not list {self.address}: {error.strerror}.") from error
        return [*self._stamps]

    def stamp(self, path: bytes) -> Stamp:
        """Size, time, 0 and a number made of the ETag, as it was listed; `OSError` if it is not there."""
        if path not in self._stamps:
            self._stamps[path] = self._store.stamp(path)
        return self._stamps[path]

    def open(self, path: bytes) -> BinaryIO:
        """All of it, in memory."""
        return io.BytesIO(self.read(path))

    def read(self, path: bytes) -> bytes:
        """All bytes of an object, perhaps fetched already."""
        with self._lock:
            fetched = self._fetched.pop(path, None)
        self._fetch_ahead()
        return self._fetch(path) if fetched is None else fetched.result()

    def announce(self, paths: Sequence[bytes]) -> None:
        """Fetch the first of these now, and the others while these are read."""
        with self._lock:
            for fetched in self._fetched.values():
                fetched.cancel()
            self._fetched.clear()
            self._coming = deque(paths)
        self._fetch_ahead()

    def _fetch_ahead(self) -> None:
        with self._lock:
            waiting = sum(len(one.result()) for one in self._fetched.values() if _is_there(one))
            while self._coming and len(self._fetched) < AHEAD and waiting < _AHEAD_BYTES:
                path = self._coming.popleft()
                self._fetched[path] = self._pool.submit(self._fetch, path)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(AHEAD)

    def _fetch(self, path: bytes) -> bytes:
        """All of an object, of the size that it was listed with or has by now."""

        def whole() -> bytes:
            data, known = self._store.read(path), self._stamps.get(path)
            if known and known[0] not in (-1, len(data)):
                self._stamps[path] = known = self._store.stamp(path)
                if known[0] != len(data):
                    raise OSError(errno.EIO, f"{len(data)} of {known[0]} bytes came")
            return data

        return self._store.ask(whole) if path in self._stamps else whole()


def _is_there(fetched: Future[bytes]) -> bool:
    return fetched.done() and not fetched.cancelled() and fetched.exception() is None
