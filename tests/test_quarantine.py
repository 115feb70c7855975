from __future__ import annotations

from pathlib import Path

from fixgrid.cache.shard import Status
from fixgrid.embed.job import BadRow
from fixgrid.embed.quarantine import NAME, read_reasons, write_reasons


def test_reasons_are_read_back_by_row(tmp_path: Path) -> None:
    bad = [
        BadRow("train", 3, b"a/\xff\n.jpg", Status.DECODE, "truncated"),
        BadRow("train", 7, b"b", Status.CRASH, "gone"),
    ]
    write_reasons(tmp_path, bad)
    assert read_reasons(tmp_path) == {3: "truncated", 7: "gone"}
    assert len((tmp_path / NAME).read_bytes().splitlines()) == 2


def test_a_missing_or_damaged_record_says_nothing(tmp_path: Path) -> None:
    assert read_reasons(tmp_path) == {}
    (tmp_path / NAME).write_bytes(b'{"row": 1, "rea')
    assert read_reasons(tmp_path) == {}
