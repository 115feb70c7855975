"""Sizes as they are typed, and limits that the machine does not show."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixgrid import memory
from fixgrid.cache.errors import UsageError
from fixgrid.memory import find_memory, read_memory


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("4GB", 4e9), ("4 gb", 4e9), ("1.5GiB", 1.5 * 2**30), ("500MB", 5e8), (123456, 123456), ("64kB", 64e3)],
)
def test_sizes_are_read_as_they_are_typed(asked, expected):
    assert read_memory(asked) == expected


def test_shares_are_of_what_is_free(monkeypatch):
    monkeypatch.setattr(memory, "find_memory", lambda: 1000)
    assert (read_memory("50%"), read_memory("100%"), read_memory(None)) == (500, 1000, 500)


@pytest.mark.parametrize("asked", ["4", "", "GB", "-1GB", "4XB", "0GB", "120%", "0%", 0, "nan", "1e3GB"])
def test_what_is_no_size_is_refused(asked):
    with pytest.raises(UsageError, match=r"^found --memory .*as in 50%"):
        read_memory(asked)


def test_a_container_has_no_more_than_its_limit(tmp_path: Path) -> None:
    mine = tmp_path / "cgroup"
    mine.write_text("4:memory:/jobs/7\n0::/here/deep\n")
    for place, text in (("here/memory.max", "max"), ("here/deep/memory.max", "5000000")):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    assert find_memory(tmp_path, mine) == 5_000_000
    old = tmp_path / "memory/jobs/7/memory.limit_in_bytes"
    old.parent.mkdir(parents=True)
    old.write_text("4000000\n")
    assert find_memory(tmp_path, mine) == 4_000_000
    assert find_memory(tmp_path / "none", tmp_path / "none") > 5_000_000
