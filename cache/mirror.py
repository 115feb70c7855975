"""A cache in a bucket, seen through a folder of this machine: what is read is fetched once, what is committed put.

A file is put before it gets its name here, so what is here under its name is, or was, in the bucket. Outside of
mirrors every function does nothing, or what the disk does.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from . import bucket
from .address import Place, drop_content, find_folder, find_place, is_large, is_shared, name_content
from .bucket import Found
from .localfile import hash_here, name_temp, read_here

FRESH_S = 2.0
"""A listing is believed for as long."""
_BY_CONTENT, _SEAL = "features.h5", "sealed.json"
_THREADS = 16


class _Known(NamedTuple):
    """What this process has seen of a bucket: objects, and when each prefix was listed (monotonic s)."""

    objects: dict[str, Found]
    looked: dict[str, float]


_known: dict[tuple[int, str], _Known] = {}


def open_folder(cache: str | Path) -> Path:
    """The folder of a cache on this machine, see `find_folder`; a mirror shows what is in the bucket now.

    Raises
    ------
    UsageError, DiskError
        If there is no such bucket, or it cannot be reached.
    """
    folder = find_folder(cache)
    refresh_folder(folder)
    return folder


def publish_file(temp: Path, path: Path) -> None:
    """Put what is about to be committed as `path`: one object, whole or not at all.

    Raises
    ------
    DiskError
        If the bucket does not take it.
    """
    place = _find_shared(path)
    if place:
        if path.name == _BY_CONTENT:
            place = place._replace(name=name_content(place.name, hash_here(temp)))
        bucket.put_object(place, temp)
        _recall(place.url).objects[place.name] = Found(temp.stat().st_size, "")


def withdraw_files(paths: Iterable[Path]) -> None:
    """Delete the objects of files, many at a time, before the files.

    Raises
    ------
    DiskError
        If the bucket refuses.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(_withdraw, (path for path in paths if _find_shared(path))))


def _withdraw(path: Path) -> None:
    place = find_place(path)
    if place:
        for name in _list_names(place) if path.name == _BY_CONTENT else [place.name]:
            bucket.delete_object(place._replace(name=name))
            _recall(place.url).objects.pop(name, None)


def fetch_file(path: Path) -> None:
    """Have a file here whose object is in the bucket; nothing if it is here already, or nowhere.

    Raises
    ------
    DiskError
        If the bucket does not give it.
    """
    place = _find_shared(path)
    if place and not path.exists():
        name = _name_object(path, place)
        if name in _look(place.url, _above(place.name)):
            _fetch(place._replace(name=name), path)


def fetch_files(paths: Iterable[Path]) -> None:
    """Have files here, many at a time; see `fetch_file`."""
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(fetch_file, (path for path in paths if _find_shared(path))))


def drop_copy(path: Path) -> bool:
    """Remove a file that is not what it should be, if the bucket has it, too; whether it will be fetched anew."""
    place = _find_shared(path)
    if place and path.exists() and _name_object(path, place) in _look(place.url, _above(place.name)):
        path.unlink(missing_ok=True)
        return True
    return False


def has_file(path: Path) -> bool:
    """Whether a file is here or in the bucket."""
    place = _find_shared(path)
    if place is None or path.exists():
        return path.exists()
    return _name_object(path, place) in _look(place.url, _above(place.name)) or bool(
        path.name == _BY_CONTENT and _list_names(place)
    )


def measure_file(path: Path) -> int:
    """Bytes of a file that is here or in the bucket.

    Raises
    ------
    OSError
        If it is in neither.
    """
    place = _find_shared(path)
    if place and not path.exists():
        found = _look(place.url, _above(place.name)).get(_name_object(path, place))
        if found:
            return found.bytes
    return path.stat().st_size


def measure_folder(folder: Path) -> int:
    """Bytes of all files below a folder that are here or in the bucket."""
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    place = find_place(folder)
    for name, found in dict(_look(place.url, place.name) if place else {}).items():
        if place and name.startswith(place.name + "/"):
            sizes.setdefault(folder / drop_content(name[len(place.name) + 1 :]), found.bytes)
    return sum(sizes.values())


def list_folder(folder: Path) -> list[Path]:
    """The files of a folder that are here or in the bucket, in the order of names; none if there is no folder."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    place = find_place(folder)
    if place:
        below = place.name + "/"
        found = (name[len(below) :] for name in dict(_look(place.url, place.name)) if name.startswith(below))
        names |= {name for name in found if "/" not in name}
    return [folder / name for name in sorted(names)]


def refresh_folder(folder: Path) -> None:
    """Have a mirror show what is in the bucket now: small files that changed are fetched, what was removed is gone.

    Raises
    ------
    DiskError
        If the bucket cannot be reached.
    """
    place = find_place(folder)
    if place is None or _is_fresh(_recall(place.url), place.name):
        return
    # Looked for first: what is put and named meanwhile is not in the list, and stays.
    here = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    prefix = place.name + "/" if place.name else ""
    objects = _look(place.url, place.name)
    there = {drop_content(name)[len(prefix) :] for name in objects if name.startswith(prefix)}
    for name, path in here.items():
        if is_shared(prefix + name) and name not in there:
            path.unlink(missing_ok=True)
    stale = []
    for name, found in objects.items():
        path = folder / name[len(prefix) :]
        if name.startswith(prefix) and not (name.endswith(".h5") or _is_same(path, found)):
            if is_large(name):
                path.unlink(missing_ok=True)
            else:
                stale.append((place._replace(name=name), path))
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda pair: _fetch(*pair), stale))


def _is_same(path: Path, found: Found) -> bool:
    """Whether a file is what its object is; where a provider tells no md5 that is not known."""
    try:
        return hashlib.md5(read_here(path), usedforsecurity=False).hexdigest() == found.md5
    except OSError:
        return False


def _fetch(place: Place, path: Path) -> None:
    temp = name_temp(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        bucket.get_object(place, temp)
        if path.name == _SEAL and _read_digest(path) != _read_digest(temp):
            path.with_name(_BY_CONTENT).unlink(missing_ok=True)  # that of another seal
        os.replace(temp, path)
    except FileNotFoundError:
        _recall(place.url).looked.clear()  # removed since it was listed
    finally:
        with suppress(OSError):
            temp.unlink()


def _read_digest(seal: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(read_here(seal))["sha256"])
    return ""


def _find_shared(path: Path) -> Place | None:
    place = find_place(path)
    return place if place and is_shared(place.name) else None


def _name_object(path: Path, place: Place) -> str:
    """The name of a file's object: of features that which their seal names."""
    if path.name != _BY_CONTENT:
        return place.name
    seal = path.with_name(_SEAL)
    fetch_file(seal)
    return name_content(place.name, _read_digest(seal))


def _list_names(place: Place) -> list[str]:
    return [name for name in dict(_look(place.url, _above(place.name))) if drop_content(name) == place.name]


def _above(name: str) -> str:
    return name.rpartition("/")[0]


def _recall(url: str) -> _Known:
    return _known.setdefault((os.getpid(), url), _Known({}, {}))


def _is_fresh(known: _Known, prefix: str) -> bool:
    parts = prefix.split("/") if prefix else []
    above = ["/".join(parts[:n]) for n in range(len(parts) + 1)]
    return any(time.monotonic() - known.looked.get(one, -FRESH_S) < FRESH_S for one in above)


def _look(url: str, prefix: str) -> dict[str, Found]:
    """The objects of a cache, those below a prefix as they were `FRESH_S` ago at most."""
    known = _recall(url)
    if not _is_fresh(known, prefix):
        began = time.monotonic()
        listed = bucket.list_objects(Place(url, prefix))
        found = {name: one for name, one in listed.items() if is_shared(name)}
        below = prefix + "/" if prefix else ""
        for name in [name for name in known.objects if name.startswith(below)]:
            del known.objects[name]
        known.objects.update(found)
        known.looked[prefix] = began
    return known.objects
