"""Archives from the network: resumed after a cut, checked before use, unpacked without trust."""

from __future__ import annotations

import http.client
import os
import posixpath
import shutil
import tarfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fixgrid.cache.disk import hash_file, name_temp, sync_folder
from fixgrid.cache.errors import DataError, DiskError
from fixgrid.cache.text import show_path

Progress = Callable[[str, int, int], None]
_BLOCK = 1 << 20


class Archive(NamedTuple):
    """One file to download: its name below the base address, exact size and hex sha256."""

    name: str
    size_bytes: int
    sha256: str


STANFORD_URL = "http://vision.stanford.edu/aditya86/ImageNetDogs/"
# As TensorFlow Datasets records them (url_checksums/stanford_dogs.txt).
STANFORD_IMAGES = Archive(
    "images.tar", 793_579_520, "a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58"
)
STANFORD_LISTS = Archive("lists.tar", 481_280, "34b47cacd9a98b5d150e084f24d29391c084c55272295ec65c85651bc35f4d6c")


def download_stanford_dogs(
    folder: Path,
    *,
    base_url: str = STANFORD_URL,
    images: Archive = STANFORD_IMAGES,
    lists: Archive = STANFORD_LISTS,
    progress: Progress | None = None,
) -> Path:
    """`folder` in the published layout, ``Images/`` and ``lists/``; downloads what is missing of it.

    ``images.tar`` holds ``Images/``, ``lists.tar`` its three files without a folder. Each part appears whole or
    not at all, and its archive is removed once it is unpacked.

    Parameters
    ----------
    progress : callable, optional
        Called with (archive name, bytes done, bytes in all).

    Raises
    ------
    DataError
        If the server cannot be reached, a checksum is wrong or an archive is hostile.
    DiskError
        If there is no room.
    """
    for archive, part, inside in ((lists, "lists", ""), (images, "Images", "Images")):
        if not (folder / part).is_dir():
            tar = fetch_archive(base_url + archive.name, folder / archive.name, archive, progress=progress)
            unpack_tar(tar, folder / part, inside=inside, max_bytes=archive.size_bytes)
            tar.unlink()
    return folder


def fetch_archive(
    url: str,
    file: Path,
    archive: Archive,
    *,
    progress: Progress | None = None,
    tries: int = 5,
    pause_s: float = 2.0,
) -> Path:
    """`file` with exactly the archive's bytes, continued from ``<file>.part`` if a download was cut.

    Raises
    ------
    DataError
        If every try was cut, or the bytes are not the archive's; then the part is removed.
    DiskError
        If there is no room for the archive and its contents, or a write fails.
    """
    if not url.startswith(("http://", "https://")):
        raise DataError(f"cannot download {url}; expected an address that starts with http:// or https://.")
    part = file.with_name(file.name + ".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _check_room(file.parent, 2 * archive.size_bytes)
        reason = ""
        for attempt in range(tries):
            if _size(part) >= archive.size_bytes:
                break
            time.sleep(pause_s if attempt else 0)
            reason = _fetch_rest(url, part, archive, progress)
    except OSError as error:
        raise DiskError(f"could not write {part}: {error.strerror}.") from error
    if _size(part) < archive.size_bytes:
        raise DataError(
            f"download of {url} stopped at {_size(part)} of {archive.size_bytes} bytes ({reason}); "
            "run the same command again to continue."
        )
    return _accept(part, file, archive, url)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskError(f"{folder} has {free >> 20} MiB free; the download needs {needed >> 20} MiB.")


def _fetch_rest(url: str, part: Path, archive: Archive, progress: Progress | None) -> str:
    """Append what the server sends, up to the archive's size; returns why it stopped.

    Errors of the network are returned, those of the disk raised.
    """
    done = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    with answer:
        if answer.status != 206:  # a server that ignores Range sends everything again
            done = 0
        elif not str(answer.headers["Content-Range"]).startswith(f"bytes {done}-"):
            return f"the server sent {answer.headers['Content-Range']}, not what follows byte {done}"
        with open(part, "ab" if done else "wb") as file:
            while done < archive.size_bytes:
                try:
                    block = answer.read(min(_BLOCK, archive.size_bytes - done))
                except (OSError, http.client.HTTPException) as error:
                    return str(error)
                if not block:
                    return "the connection was closed"
                file.write(block)
                done += len(block)
                if progress is not None:
                    progress(archive.name, done, archive.size_bytes)
    return ""


def _accept(part: Path, file: Path, archive: Archive, url: str) -> Path:
    """Give a complete part its final name if its sha256 is right; remove it otherwise."""
    found = hash_file(part)
    if found != archive.sha256:
        part.unlink()
        raise DataError(
            f"{url} has sha256 {found}, expected {archive.sha256}; the download was removed. "
            "Run the same command again; if it stays so, the server's file has changed."
        )
    os.replace(part, file)
    return file


def unpack_tar(tar: Path, target: Path, *, inside: str = "", max_bytes: int, max_files: int = 100_000) -> None:
    """Unpack a tar's regular files as the folder `target`, whole or not at all.

    Parameters
    ----------
    inside : str
        The folder of the archive that becomes `target`; empty for all of it.
    max_bytes, max_files : int
        Limits over all members.

    Raises
    ------
    DataError
        If the archive is damaged, or a member is a link or device, leaves the folder, comes twice or is over a
        limit.
    DiskError
        If a write fails.
    """
    temp = name_temp(target.parent)
    try:
        temp.mkdir(parents=True)
        with tarfile.open(tar, "r:") as archive:
            for number, member in enumerate(archive):
                max_bytes -= member.size
                if max_bytes < 0 or number >= max_files:
                    raise DataError(f"{tar.name} holds more than it should; it was not unpacked.")
                _unpack_member(archive, member, temp)
        if not (temp / inside).is_dir():
            raise DataError(f"{tar.name} holds no folder {inside}/; it was not unpacked.")
        os.sync()  # one call for 20,580 files
        (temp / inside).rename(target)
        sync_folder(target.parent)
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{tar.name} is damaged ({error}); it was not unpacked.") from error
    except OSError as error:
        raise DiskError(f"could not unpack {tar.name} to {target}: {error.strerror}.") from error
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Write one regular file or make one folder under `folder`; owner, mode and times are not restored."""
    name = posixpath.normpath(member.name)
    path = folder / name
    shown = show_path(os.fsencode(member.name))
    if name.startswith("/") or name.split("/")[0] == "..":
        raise DataError(f"the archive's {shown} leads out of its folder; it was not unpacked.")
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    data = archive.extractfile(member) if member.isreg() and not member.issparse() else None
    if data is None:
        raise DataError(f"the archive's {shown} is not a regular file; it was not unpacked.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with data, open(path, "xb") as file:
            shutil.copyfileobj(data, file, _BLOCK)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(f"the archive holds {shown} twice; it was not unpacked.") from error
