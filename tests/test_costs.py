"""Costs of a trunk are counted once, kept, and counted again for another version or a damaged file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixgrid.embed.trunks import trunk
from fixgrid.embed.trunks.costs import recall_costs
from fixgrid.embed.trunks.trunk import Costs


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Resolutions that were really counted."""
    asked: list[int] = []

    def count(architecture: str, res: int) -> Costs:
        asked.append(res)
        return Costs(3_000_000, 0, res * res * 10)

    monkeypatch.setattr(trunk, "count_architecture", count)
    return asked


def test_costs_are_counted_once(tmp_path: Path, counted: list[int]) -> None:
    memo = tmp_path / "trunks" / "costs.json"
    first = recall_costs("trunk", [128, 224], memo)
    assert first == (3_000_000, {128: 163_840, 224: 501_760})
    assert recall_costs("trunk", [128, 224], memo) == first
    assert counted == [128, 224]
    recall_costs("other", [128], memo)
    assert recall_costs("trunk", [224], memo) == (3_000_000, {224: 501_760})
    assert counted == [128, 224, 128]


@pytest.mark.parametrize("damage", ["", "[]", "null", '{"counts": 1}', "other versions"])
def test_a_damaged_or_older_memo_counts_again(damage: str, tmp_path: Path, counted: list[int]) -> None:
    memo = tmp_path / "costs.json"
    recall_costs("trunk", [128], memo)
    kept = json.loads(memo.read_bytes())
    older = json.dumps({**kept, "versions": ["0"], "counts": dict.fromkeys(kept["counts"], 1)})
    memo.write_text(older if damage == "other versions" else damage)
    assert recall_costs("trunk", [128], memo) == (3_000_000, {128: 163_840})
    assert counted == [128, 128]


def test_a_memo_that_cannot_be_written_costs_only_time(tmp_path: Path, counted: list[int]) -> None:
    (tmp_path / "file").write_text("")
    assert recall_costs("trunk", [128], tmp_path / "file" / "costs.json")[0] == 3_000_000
    assert counted == [128]
