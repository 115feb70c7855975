"""The files that openers need, sent once to each machine of a cluster."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any, Protocol, runtime_checkable

import numpy as np

from fixgrid.cache.lock import share_lock, try_lock

from .engine import Opener

_PREFIX = "fixgrid-parcel-"
_LOCK = ".lock"
_STALE_S = 3600.0


@runtime_checkable
class FiledOpener(Protocol):
    """An opener whose files lie in a folder of this machine.

    Attributes
    ----------
    folder : Path
    """

    folder: Path

    def move(self, folder: Path) -> Opener:
        """The same with its files in another folder, under the same names."""
        ...


@dataclass(frozen=True)
class Parcel:
    """Openers, and their files in the object store of a cluster.

    Attributes
    ----------
    name : str
        Of the folder it is unpacked to, like no other's.
    home : str
        The machine where the files lie as they are, as Ray names it.
    openers : mapping of int to Opener
    files : mapping of str to object reference
        By their path in that folder.
    """

    name: str
    home: str
    openers: Mapping[int, Opener]
    files: Mapping[str, Any]


def pack(openers: Mapping[int, Opener], ray: Any) -> Parcel:
    """Put the files of openers into the object store: a machine takes each of them once."""
    files = {
        f"{trunk}/{path.relative_to(folder)}": ray.put(np.fromfile(path, np.uint8))
        for trunk, opener in openers.items()
        for folder in _list_folders(opener)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return Parcel(f"{_PREFIX}{uuid.uuid4().hex}", ray.get_runtime_context().get_node_id(), openers, files)


@contextmanager
def unpack(parcel: Parcel, ray: Any) -> Iterator[Mapping[int, Opener]]:
    """The openers, with their files on this machine for as long as this lasts; the last to leave removes them."""
    here = ray.get_runtime_context().get_node_id()
    if here == parcel.home or not parcel.files:
        yield parcel.openers
        return
    _sweep()
    folder = Path(tempfile.gettempdir(), f"{parcel.name}-{here[:12]}")
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        with share_lock(folder / _LOCK):
            for name, content in parcel.files.items():
                _write(folder / name, content, ray)
            yield {trunk: _move(opener, folder / str(trunk)) for trunk, opener in parcel.openers.items()}
    finally:
        _remove(folder)


def _list_folders(opener: object) -> list[Path]:
    return [opener.folder] if isinstance(opener, FiledOpener) else []


def _move(opener: Any, folder: Path) -> Opener:
    moved: Opener = opener.move(folder) if isinstance(opener, FiledOpener) else opener
    return moved


def _write(path: Path, content: Any, ray: Any) -> None:
    """Write a file whole, unless another worker of this machine did."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        ray.get(content).tofile(file)
    Path(file.name).rename(path)


def _sweep() -> None:
    """Remove what workers that were killed left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if time.time() - folder.stat().st_mtime > _STALE_S:
            _remove(folder)


def _remove(folder: Path) -> None:
    with try_lock(folder / _LOCK) as free:
        if free:
            rmtree(folder, ignore_errors=True)
