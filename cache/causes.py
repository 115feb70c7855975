"""Why the system refuses a write, in words, and what to do about it."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from .errors import DiskError

_REFUSING = (errno.EROFS, errno.EACCES, errno.EPERM)
_ELSEWHERE = "name another --cache or --out"
_ROOM = f"free some space (or {_ELSEWHERE})"
_REFUSED = "", f"get leave to write there (or {_ELSEWHERE})"
_AWAY = "see that the network disk is there, mount it again"
_ADVICE = {
    errno.ENOSPC: ("the disk is full", _ROOM),
    errno.EDQUOT: ("your share of the disk is full", _ROOM),
    errno.EFBIG: ("the disk is full, or files may not be as large", "free some space, raise ulimit -f"),
    **dict.fromkeys(_REFUSING, _REFUSED),
    errno.ENAMETOOLONG: ("", "name a shorter place with --out or --cache"),
    errno.EMFILE: ("this process has too many files open", "raise ulimit -n"),
    errno.ENFILE: ("the system has too many files open", "end what holds them"),
    errno.EIO: ("the disk reports a fault (Input/output error)", f"see dmesg, and {_ELSEWHERE} if it goes on"),
    errno.ESTALE: ("the network disk has lost this place (stale file handle)", _AWAY),
    **dict.fromkeys((errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN), ("", _AWAY)),
    errno.ENOENT: ("its folder was taken away", "see that its disk is mounted"),
    errno.ENOTDIR: ("a part of this path is a file", _ELSEWHERE),
    errno.EISDIR: ("it is a folder", _ELSEWHERE),
    errno.EILSEQ: ("", f"{_ELSEWHERE}, in plain letters"),
}
"""What an error means, where the system's own words do not say it, and what to do about it."""


def name_cause(path: Path, error: OSError) -> DiskError:
    """The error of a write to `path`, with its cause and what to do about it."""
    what, cure = _ADVICE.get(error.errno or 0, ("", f"mend it (or {_ELSEWHERE})"))
    if error.errno == errno.ENOSPC and _lacks_inodes(path):
        what, cure = "the disk has room for bytes, but for no more files", f"remove some files (or {_ELSEWHERE})"
    return DiskError(
        f"could not write {path}: {what or error.strerror}. Everything committed before is safe; "
        f"{cure} and run the same command again."
    )


def _lacks_inodes(path: Path) -> bool:
    with suppress(OSError):
        found = os.statvfs(path.parent)
        return found.f_files > 0 and found.f_favail == 0
    return False


def say_cure(error: OSError) -> str:
    """What to do about an error of which it is not known whether it came from reading or writing."""
    if error.errno in _REFUSING:
        return "get leave to use it"
    return _ADVICE.get(error.errno or 0, ("", "mend it"))[1]


def is_refused(error: DiskError) -> bool:
    """Whether nothing may be written in a place, however much room there is."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _REFUSING
