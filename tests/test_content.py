"""The bytes of a data set's images have one opener, which knows where they lie by the root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixgrid.cache.errors import DataError
from fixgrid.embed.sources.catalogue import SOURCES, find_opener, open_content
from fixgrid.embed.sources.content import Files


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    os.symlink("file", tmp_path / "link")
    os.mkfifo(tmp_path / "fifo")
    files = Files(str(tmp_path))
    assert files.read(b"link") == files.read(b"file") == b"data"
    for path in (b"fifo", b"/dev/zero"):
        with pytest.raises(OSError, match="not a regular file"):
            files.read(path)
    for path in (b"nothing", b"."):
        with pytest.raises(OSError):
            files.read(path)


def test_what_is_refused_leaves_no_file_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        with pytest.raises(OSError):
            Files(str(tmp_path)).open(b".")
    assert os.listdir("/proc/self/fd") == before


def test_a_stamp_is_size_times_and_inode(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    status = (tmp_path / "file").stat()
    expected = (4, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    assert Files(str(tmp_path)).stamp(b"file") == expected
    (tmp_path / "file").write_bytes(b"DATA")
    os.utime(tmp_path / "file", ns=(0, 0))
    assert Files(str(tmp_path)).stamp(b"file") != expected


def test_an_absolute_root_is_a_folder_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "csv:x").mkdir()
    (tmp_path / "csv:x" / "file").write_bytes(b"data")
    assert open_content(str(tmp_path / "csv:x")).read(b"file") == b"data"


def test_names_that_are_not_utf8_are_opened(tmp_path: Path) -> None:
    folder = os.path.join(os.fsencode(tmp_path), b"\xff")
    os.mkdir(folder)
    with open(os.path.join(folder, b"\xfe"), "wb") as file:
        file.write(b"data")
    assert open_content(os.fsdecode(folder)).read(b"\xfe") == b"data"


@pytest.mark.parametrize("root", ["", "data", "data/csv", "nothing:/data", "csv"])
def test_a_root_that_no_source_opens_is_refused(root: str) -> None:
    with pytest.raises(DataError, match=r"expected an absolute folder, or NAME:PLACE by one of .*table"):
        open_content(root)


def test_a_root_is_opened_by_the_source_of_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    line = "fixgrid.embed.sources.folder:Folder"  # opens files below the rest
    monkeypatch.setitem(SOURCES, "mine", line)
    root = f"mine:{tmp_path}"
    assert open_content(root).read(b"file") == b"data"
    opener = find_opener(root)
    monkeypatch.delitem(SOURCES, "mine")
    assert open_content(root, opener).read(b"file") == b"data"
