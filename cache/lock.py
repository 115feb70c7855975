"""A lock that only saves double work: without it two writers commit equal bytes, so nothing is lost."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def hold_lock(path: Path, on_wait: Callable[[], None], should_stop: Callable[[], bool]) -> Iterator[None]:
    """Hold `path` against other processes; the kernel frees it however this process ends.

    Where the file system has no locks (some network disks), or lets nothing be written, the work goes on without.

    Parameters
    ----------
    path : Path
    on_wait : callable
        Called once if another process holds the lock.
    should_stop : callable
        Polled while waiting; true gives the wait up.
    """
    handle = _open(path)
    if handle is None:
        yield
        return
    try:
        if not _try_lock(handle):
            on_wait()
            while not should_stop() and not _try_lock(handle):
                time.sleep(0.2)
        yield
    finally:
        os.close(handle)


@contextmanager
def share_lock(path: Path) -> Iterator[bool]:
    """Hold `path` together with whoever shares it; whether nobody did before. It waits for `try_lock` alone."""
    handle = _open(path)
    if handle is None:
        yield True
        return
    try:
        first = _try_lock(handle)
        with suppress(OSError):  # no locks here
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield first
    finally:
        os.close(handle)


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold `path` for as long as this lasts, if nobody else does; whether it is held. Nobody waits for it."""
    handle = _open(path)
    if handle is None:
        yield True
        return
    try:
        yield _try_lock(handle)
    finally:
        os.close(handle)


def _open(path: Path) -> int | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:
        return None


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EINTR)
    return True
