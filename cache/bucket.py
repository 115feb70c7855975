"""Requests to object storage: whole objects are put, got, listed and deleted; nothing is renamed or locked.

What fails for a moment is tried again, for half a minute; what fails for good is one line.
"""

from __future__ import annotations

import base64
import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from .address import Place
from .errors import DiskError, UsageError
from .objectstore import EXTRAS, PACKAGES, Unanswered, ask, open_system

PAUSES_S = [1.0, 2.0, 4.0, 8.0, 16.0]
"""Before each of the later tries."""

Answer = TypeVar("Answer")
_opened: dict[tuple[int, str], Any] = {}


class Found(NamedTuple):
    """An object as a listing shows it: its size in bytes, and the md5 of its content where that is told."""

    bytes: int
    md5: str


def put_object(place: Place, file: Path) -> None:
    """Make a file's bytes an object, whole or not at all; replaces an older one.

    Raises
    ------
    DiskError
        If the bucket does not take it.
    """
    _try("write", place, lambda system, path: system.put_file(str(file), path))


def get_object(place: Place, file: Path) -> None:
    """Write an object's bytes into a file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    DiskError
        If the bucket does not give it.
    """
    _try("read", place, lambda system, path: system.get_file(path, str(file)))


def delete_object(place: Place) -> None:
    """Delete an object; one that is gone already is fine.

    Raises
    ------
    DiskError
        If the bucket refuses.
    """
    try:
        _try("remove", place, lambda system, path: system.rm_file(path))
    except FileNotFoundError:
        return


def list_objects(place: Place) -> dict[str, Found]:
    """Every object below a place, by its name below the cache.

    Raises
    ------
    DiskError
        If the bucket does not tell.
    """
    begin = len(_strip(place.url)) + 1

    def find(system: Any, path: str) -> dict[str, Found]:
        system.invalidate_cache()
        found = system.find(path, detail=True)
        return {name[begin:]: Found(int(one["size"] or 0), _find_md5(one)) for name, one in found.items()}

    try:
        return _try("list", place, find)
    except FileNotFoundError:
        return {}


def _find_md5(info: dict[str, Any]) -> str:
    """Hex md5 of an object as providers tell it; empty, or no md5, where they do not."""
    content = (info.get("content_settings") or {}).get("content_md5") or info.get("md5Hash")
    if content:
        return (base64.b64decode(content) if isinstance(content, str) else bytes(content)).hex()
    return str(info.get("ETag", "")).strip('"')


def _strip(url: str) -> str:
    return url.partition("://")[2]


def _try(what: str, place: Place, act: Callable[[Any, str], Answer]) -> Answer:
    system = _open(place.url)
    try:
        return ask(lambda: act(system, _strip(str(place))), PAUSES_S)
    except Unanswered as unanswered:
        error = unanswered.error
        lost = isinstance(error, FileNotFoundError) and what != "write"
        if lost and not re.search("specified bucket|NoSuchBucket", str(error)):
            raise FileNotFoundError(errno.ENOENT, "gone from the bucket", str(place)) from error
        refused = PermissionError(errno.EACCES, "refused") if isinstance(error, PermissionError) else error
        raise DiskError(
            f"could not {what} {place}: {_say(error)}. Everything committed before is safe; see that the "
            "bucket is there and that your keys may use it, and run the same command again."
        ) from refused


def _say(error: Exception) -> str:
    """A library's error in one line, without what may be a password before a host."""
    text = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"//[^/@\s]*@", "//", text).rstrip(".")[:300]


def _open(url: str) -> Any:
    """The file system of a bucket, opened by this very process: its threads and sockets survive no fork."""
    scheme = url.partition("://")[0]
    key = os.getpid(), scheme
    if key not in _opened:
        try:
            _opened[key] = open_system(scheme, url)
        except ImportError as error:
            extra = EXTRAS[scheme]
            raise UsageError(
                f"found no {PACKAGES[extra]}; expected it for --cache {url}: pip install 'fixgrid[{extra}]'"
            ) from error
    return _opened[key]
