"""What an object store or a web server is asked: every question again until it is answered or given up."""

from __future__ import annotations

import errno
import hashlib
import random
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import quote

from fixgrid.cache.errors import UsageError
from fixgrid.cache.objectstore import (
    EXTRAS,
    PACKAGES,
    Unanswered,
    ask,
    find_kind,
    find_status,
    lacks_keys,
    open_system,
)
from fixgrid.cache.text import first_line

from ..content import Stamp
from .address import Address

WAITS_S = (0.25, 1.0, 4.0, 16.0)
"""Waits before a question is asked again, s, each of them times .5 to 1.5, so that not all ask at once."""
_PATIENCE_S = 30.0  # nothing is asked again after this

T = TypeVar("T")


class Store:
    """One place of an object store, asked by several threads at once.

    Nothing is opened before the first question, so that it is opened by the process that asks.

    Parameters
    ----------
    address : Address
    """

    def __init__(self, address: Address) -> None:
        self.address, self._lock = address, Lock()

    def read(self, path: bytes) -> bytes:
        """All of an object; `OSError` if it is not there or cannot be read."""
        return self.ask(lambda: bytes(self._system.cat_file(self._place(path))))

    def read_part(self, path: bytes, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of an object that has them; `OSError` as `read`, or if fewer come."""

        def part() -> bytes:
            more = {"cache_type": "none"} if self.address.scheme == "hf" else {}  # which else reads ahead
            data = bytes(self._system.cat_file(self._place(path), start=start, end=stop, **more))
            if len(data) > stop - start and self.address.is_web:  # some servers know no parts
                data = data[start:stop]
            if len(data) != stop - start:
                raise OSError(errno.EIO, f"{len(data):,} of {stop - start:,} bytes came")
            return data

        return self.ask(part)

    def stamp(self, path: bytes) -> Stamp:
        """The stamp of one object; `OSError` if it is not there."""
        return read_stamp(self.ask(lambda: dict(self._system.info(self._place(path)))))

    def list(self) -> dict[bytes, Stamp]:
        """The stamps of all objects below the place, by their paths; `OSError` if it cannot be listed."""
        found = self.ask(lambda: dict(self._system.find(self._place(b""), detail=True)))
        above = self._place(b"") + "/"
        return {
            name[len(above) :].encode(): read_stamp(info)
            for name, info in found.items()
            if name.startswith(above) and name != above and info.get("type") != "directory"
        }

    def ask(self, question: Callable[[], T]) -> T:
        """What a question is answered, asked up to five times.

        Raises
        ------
        OSError
            With what went wrong the last time, or what is not installed.
        """
        try:
            return ask(question, (wait * random.uniform(0.5, 1.5) for wait in WAITS_S), _PATIENCE_S)
        except Unanswered as unanswered:
            raise self._explain(unanswered.error, unanswered.times) from unanswered.error

    def _explain(self, error: Exception, n: int) -> OSError:
        number, said = errno.EIO, getattr(error, "strerror", None) or first_line(error) or type(error).__name__
        said = said.rstrip(".")
        server = f"{self.address.scheme}://{self.address.place.partition('/')[0]}"
        if isinstance(error, FileNotFoundError) or find_status(error) == 404:
            number, said = errno.ENOENT, f"it is not in {self.address.url}"
        elif isinstance(error, PermissionError) or find_status(error) in (401, 403):
            number, said = errno.EACCES, f"{server} denied access ({said})"
        elif lacks_keys(error):
            number, said = (
                errno.EACCES,
                f"no credentials for {server} were found ({said}): give them as to the store's own tools",
            )
        elif n > 1:
            said = f"{server} was asked {n} times and answered last: {said}"
        return OSError(number, said)

    def _place(self, path: bytes) -> str:
        """Where the package of the scheme finds an object."""
        name = path.decode()
        if self.address.is_web:
            return f"{self.address.url}/{quote(name)}"
        base: str = self._system._strip_protocol(self.address.url)
        return f"{base}/{name}" if name else base

    @cached_property
    def _opened(self) -> Any:
        expect_reader(self.address)
        scheme, of_s3 = self.address.scheme, self.address.scheme == "s3"
        # Of many small objects none is worth a question for its size first, nor s3fs' own asking again.
        system = open_system(scheme, self.address.url, **({"max_concurrency": 1} if of_s3 else {}))
        if of_s3:
            system.retries = 1
        return system

    @property
    def _system(self) -> Any:
        with self._lock:
            return self._opened


def expect_reader(address: Address) -> None:
    """Refuse a URL whose scheme nothing reads here.

    Raises
    ------
    UsageError
        If the package of the scheme is not installed.
    """
    extra = EXTRAS[address.scheme]
    try:
        find_kind(address.scheme)
    except ImportError as error:
        raise UsageError(
            f"found no {PACKAGES[extra]}, which reads {address.scheme}://: pip install 'fixgrid[{extra}]'."
        ) from error


def read_stamp(info: dict[str, Any]) -> Stamp:
    """Size, time of the last change (ns, 0 if unknown), 0, and a number made of the store's own mark of content.

    Parameters
    ----------
    info : dict
        As fsspec gives it, whose names differ from store to store.
    """
    size = info.get("size")
    mark = next(
        (
            info[name]
            for name in ("ETag", "etag", "md5Hash", "content_md5", "Content-MD5", "blob_id")
            if info.get(name)
        ),
        "",
    )
    number = int.from_bytes(hashlib.sha256(str(mark).encode()).digest()[:8], "big") >> 1 if mark else 0
    return -1 if size is None else int(size), _read_time(info), 0, number


def _read_time(info: dict[str, Any]) -> int:
    names = ("LastModified", "last_modified", "updated", "mtime", "Last-Modified")
    value = next((info[name] for name in names if info.get(name)), None)
    if isinstance(value, str):
        try:
            value = (
                datetime.fromisoformat(value.replace("Z", "+00:00"))
                if value[:4].isdigit()
                else parsedate_to_datetime(value)
            )
        except ValueError:
            return 0
    return int(value.timestamp()) * 1_000_000_000 if isinstance(value, datetime) else 0
