from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from fixgrid.cache import disk
from fixgrid.cache.disk import (
    commit_bytes,
    commit_stream,
    expect_space,
    expect_writable,
    hash_file,
    make_folder,
    read_file,
    rename_file,
    sweep_temps,
)
from fixgrid.cache.errors import DiskError


def fail(*args: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_commit_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    commit_bytes(tmp_path / "a" / "b" / "file", b"new")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["file"]
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"new"


@pytest.mark.parametrize("step", ["fsync", "replace", "write"])
def test_a_commit_that_fails_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    if step == "write":
        monkeypatch.setattr(disk, "_fill", fail)
    else:
        monkeypatch.setattr(os, step, fail)
    with pytest.raises(DiskError, match="Input/output error") as caught:
        commit_bytes(path, b"new")
    assert caught.value.exit_code == 5
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_renamed_before_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, real=real: (calls.append(name), real(*args))[1])
    commit_bytes(tmp_path / "file", b"new")
    assert calls == ["fsync", "replace", "fsync"]


def test_new_folders_are_synced_in_their_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(disk, "sync_folder", synced.append)
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]
    make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2


def test_a_folder_that_cannot_be_made_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError, match=r"Not a directory|is no folder"):
        commit_bytes(tmp_path / "file" / "below", b"")


WRITE_HDF5_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
import h5py, numpy as np
from fixgrid.cache.disk import commit_stream
from fixgrid.cache.errors import DiskError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
def write(file):
    with h5py.File(file, "w") as out:
        for name in "abcdef":
            out.create_dataset(name, (40, 1000), "f4", chunks=(8, 1000), fletcher32=True)[...] = np.ones((40, 1000))
try:
    commit_stream(Path(sys.argv[1]), write)
except DiskError as error:
    print(error)
"""


def test_hdf5_on_a_full_disk_ends_in_one_clear_line(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_HDF5_ON_A_FULL_DISK, str(tmp_path / "file.h5")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the disk is full" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_for_a_reason_of_its_own_tells_it(tmp_path: Path) -> None:
    def write(file: object) -> None:
        raise RuntimeError("not the disk")

    with pytest.raises(RuntimeError, match="not the disk"):
        commit_stream(tmp_path / "file", write)
    assert list(tmp_path.iterdir()) == []


def test_only_temps_of_dead_processes_of_this_host_are_swept(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = socket.gethostname()
    left = tmp_path / f"{disk.TEMP_PREFIX}{host}-{dead.pid}-x"
    mine = tmp_path / f"{disk.TEMP_PREFIX}{host}-{os.getpid()}-x"
    other = tmp_path / f"{disk.TEMP_PREFIX}elsewhere-{dead.pid}-x"
    for path in (left, mine, other):
        path.write_bytes(b"")
    sweep_temps(tmp_path)
    assert set(tmp_path.iterdir()) == {mine, other}


def test_a_file_that_another_process_took_away_is_no_error(tmp_path: Path) -> None:
    rename_file(tmp_path / "gone", tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_too_little_space_is_told_before_the_work(tmp_path: Path) -> None:
    expect_space(tmp_path, 1)
    with pytest.raises(DiskError, match=r"GB free, expected 1050000\.00 GB"):
        expect_space(tmp_path, 10**15)


def test_a_hash_covers_every_block(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * (1 << 20) + b"b")
    before = hash_file(path)
    path.write_bytes(b"a" * (1 << 20) + b"c")
    assert hash_file(path) != before


SPY = """
import os, sys
class Spy:
    def find_spec(name, *rest):
        if name == "h5py":
            print(os.environ.get("HDF5_PLUGIN_PRELOAD"))
sys.meta_path.insert(0, Spy)
import fixgrid.cache.shard
"""


def test_hdf5_is_told_to_load_no_plugin_before_it_is_loaded() -> None:
    env = {name: value for name, value in os.environ.items() if name != "HDF5_PLUGIN_PRELOAD"}
    done = subprocess.run([sys.executable, "-c", SPY], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split() == ["::"]


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "fifo")
    for name in ("fifo", "link"):
        for read in (read_file, hash_file):
            with pytest.raises(OSError, match="not a regular file"):
                read(tmp_path / name)


def test_two_writers_of_one_file_leave_one_of_them_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def write(file: BinaryIO) -> None:
        file.write(b"first " * 1000)
        commit_bytes(path, b"second")
        file.write(b"first " * 1000)

    commit_stream(path, write)
    assert path.read_bytes() == b"first " * 2000
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_place_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_writable(tmp_path / "new" / "page.html")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(Path, "touch", fail)
    with pytest.raises(DiskError, match=r"could not write .*/new/page\.html: the disk reports a fault"):
        expect_writable(tmp_path / "new" / "page.html")
