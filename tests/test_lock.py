from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixgrid.cache.lock import hold_lock, share_lock, try_lock

HOLDER = """
import sys, time
from pathlib import Path
from fixgrid.cache.lock import hold_lock
with hold_lock(Path(sys.argv[1]), lambda: None, lambda: False):
    print("held", flush=True)
    time.sleep(60)
"""


def never() -> bool:
    return False


def fail_to_wait() -> None:
    raise AssertionError("waited for a lock that is free")


def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "a.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waits: list[float] = []

    def kill() -> None:
        holder.kill()
        waits.append(time.monotonic())

    with hold_lock(path, kill, never):
        assert time.monotonic() - waits[0] < 1
    holder.wait()
    holder.stdout.close()
    with hold_lock(path, fail_to_wait, never):
        pass


def test_who_is_told_to_stop_stops_waiting(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    waits: list[str] = []
    with hold_lock(path, fail_to_wait, never), hold_lock(path, lambda: waits.append("wait"), lambda: True):
        assert waits == ["wait"]


def test_two_locks_do_not_meet(tmp_path: Path) -> None:
    with hold_lock(tmp_path / "a", fail_to_wait, never), hold_lock(tmp_path / "b", fail_to_wait, never):
        pass


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_does_not_stop_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with hold_lock(tmp_path / "a", fail_to_wait, never):
        pass


def test_a_folder_that_cannot_be_written_does_not_stop_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with hold_lock(tmp_path / "file" / "a", fail_to_wait, never):
        pass


def test_a_shared_lock_is_shared_and_keeps_others_out(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with share_lock(path) as first, share_lock(path) as second:
        assert (first, second) == (True, False)
        with try_lock(path) as alone:
            assert not alone
    with try_lock(path) as alone:
        assert alone
