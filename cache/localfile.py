"""Files of this machine's disk: names for what is not whole yet, and reading that waits for nothing."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import stat
import uuid
from pathlib import Path
from typing import BinaryIO

TEMP_PREFIX = ".tmp-"


def name_temp(folder: Path) -> Path:
    """A new name in `folder` for what is not whole yet; it tells `is_abandoned` who is at it."""
    return folder / f"{TEMP_PREFIX}{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"


def is_abandoned(temp: Path) -> bool:
    """Whether the process that was writing a temporary file was one of this host and lives no more."""
    mine = f"{TEMP_PREFIX}{socket.gethostname()}-"
    pid = temp.name[len(mine) :].split("-")[0]
    return temp.name.startswith(mine) and not Path(f"/proc/{pid}").exists()


def open_here(path: Path) -> BinaryIO:
    """A regular file, to be read: nothing waits for a FIFO, which a stranger's cache may hold.

    Raises
    ------
    OSError
        If it cannot be opened, or is no regular file.
    """
    return open(path, "rb", opener=_open_regular)


def read_here(path: Path) -> bytes:
    """A regular file's bytes; `OSError` as `open_here`."""
    with open_here(path) as file:
        return file.read()


def _open_regular(path: str, flags: int) -> int:
    handle = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return handle


def hash_here(path: Path) -> str:
    """Hex sha256 of a regular file's bytes, read in blocks of 1 MiB."""
    total = hashlib.sha256()
    with open_here(path) as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()
