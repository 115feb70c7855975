"""Why a write failed, by injection, and the advice that fits."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from fixgrid.cache import disk
from fixgrid.cache.causes import say_cure
from fixgrid.cache.errors import DiskError

REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)
SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write(path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> DiskError:
    """The error of a write that the system refuses at its last step."""

    def refuse(*args: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DiskError) as caught:
        disk.commit_bytes(path, b"")
    assert list(path.parent.iterdir()) == []
    return caught.value


@pytest.mark.parametrize(
    ("number", "cause", "advice"),
    [
        (errno.ENOSPC, "the disk is full", "free some space"),
        (errno.EDQUOT, "your share of the disk is full", "free some space"),
        (errno.EFBIG, "files may not be as large", "ulimit -f"),
        (errno.EROFS, "Read-only file system", "get leave to write there"),
        (errno.EACCES, "Permission denied", "get leave to write there"),
        (errno.EPERM, "Operation not permitted", "get leave to write there"),
        (errno.ENAMETOOLONG, "File name too long", "name a shorter place with --out or --cache"),
        (errno.EMFILE, "too many files open", "raise ulimit -n"),
        (errno.ENFILE, "the system has too many files open", "end what holds them"),
        (errno.EIO, "Input/output error", "see dmesg"),
        (errno.ESTALE, "stale file handle", "mount it again"),
        (errno.ENOTCONN, "not connected", "mount it again"),
        (errno.ENOENT, "its folder was taken away", "see that its disk is mounted"),
        (errno.ENOTDIR, "a part of this path is a file", "name another --cache or --out"),
        (errno.EISDIR, "it is a folder", "name another --cache or --out"),
        (errno.EXDEV, "cross-device link", "mend it"),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else "",
)
def test_the_advice_fits_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, cause: str, advice: str
) -> None:
    error = write(tmp_path / "file", number, monkeypatch)
    said = str(error)
    assert cause in said
    assert advice in said
    assert disk.is_refused(error) == (number in REFUSED)
    assert ("space" in said) == (number in SPACE)


def test_a_disk_without_room_for_files_is_not_called_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_files=9, f_favail=0))
    said = str(write(tmp_path / "file", errno.ENOSPC, monkeypatch))
    assert "no more files" in said
    assert "remove some files" in said


def test_what_may_have_been_read_is_not_called_written() -> None:
    assert say_cure(PermissionError(errno.EACCES, "no")) == "get leave to use it"
    assert say_cure(OSError(errno.EMFILE, "many")) == "raise ulimit -n"
    assert say_cure(OSError("unknown")) == "mend it"
