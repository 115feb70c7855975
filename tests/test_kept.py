"""Tests for embed/backends/kept.py: exported graphs that the next run finds again."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from zoo import write_photos

from fixgrid.embed.backends import kept
from fixgrid.embed.backends.prepare import prepare_backend, recall_backend
from fixgrid.embed.backends.probe import make_probe, run_eager
from fixgrid.embed.backends.spec import BackendSpec, open_backend
from fixgrid.embed.trunks.identity import TrunkFacts, describe_trunk
from fixgrid.embed.trunks.trunk import Trunk, load_trunk

HOW = {"kind": "auto", "device": "cpu", "threads": 1, "precision": "fp32"}


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    return load_trunk("timm:test_resnet", random_seed=0)


@pytest.fixture
def shelf(trunk: Trunk, tmp_path: Path) -> Path:
    """With the graph of 64 px."""
    (tmp_path / "first").mkdir()
    prepare_backend(trunk, [64], folder=tmp_path / "first", shelf=tmp_path / "shelf", **HOW)
    return tmp_path / "shelf"


def recall(facts: TrunkFacts, shelf: Path, *sides: int) -> BackendSpec | None:
    folder = shelf.parent / "again"
    folder.mkdir(exist_ok=True)
    return recall_backend(facts, sides, folder=folder, shelf=shelf, **HOW)


def test_a_kept_graph_gives_the_features_of_the_trunk(trunk: Trunk, shelf: Path) -> None:
    spec = recall(describe_trunk(trunk), shelf, 64)
    assert spec is not None
    assert Path(spec.graphs[0][1]).parent == shelf.parent / "again"
    np.testing.assert_allclose(open_backend(spec, 64)(make_probe(64)), run_eager(trunk, make_probe(64)), 1e-4, 1e-6)


def test_all_that_changes_a_graph_is_asked_for(trunk: Trunk, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = describe_trunk(trunk)
    assert recall(facts, shelf, 64) is not None
    look = replace(facts.preprocess, mean=("0.1", "0.1", "0.1"))
    others = [replace(facts, weights_sha256="1" * 64), replace(facts, preprocess=look)]
    others += [replace(facts, nodes=(("gem", 32),)), replace(facts, rule="timm 2")]
    assert [recall(other, shelf, 64) for other in others] == [None] * 4
    assert recall(facts, shelf, 64, 96) is None
    monkeypatch.setattr(kept, "library_versions", lambda architecture: {"torch": "1"})
    assert recall(facts, shelf, 64) is None


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "record", "features"])
def test_what_is_damaged_is_exported_again(trunk: Trunk, shelf: Path, damage: str) -> None:
    (graph,), (record,) = shelf.glob("*.graph"), shelf.glob("*.json")
    data = bytearray(graph.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        graph.write_bytes(data)
    elif damage == "cut":
        graph.write_bytes(data[:-7])
    elif damage == "gone":
        graph.unlink()
    elif damage == "record":
        record.write_text("{}")
    else:
        said = json.loads(record.read_text())
        said["features"][0][0] += 1
        record.write_text(json.dumps(said))
    assert recall(describe_trunk(trunk), shelf, 64) is None


def test_the_graph_used_longest_ago_goes_first(
    trunk: Trunk, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = next(shelf.glob("*.graph")).stat().st_size
    monkeypatch.setattr(kept, "MAX_ALL_BYTES", 2 * size + 1000)
    for res in (32, 96):
        (tmp_path / str(res)).mkdir()
        recall(describe_trunk(trunk), shelf, 64)  # used again
        prepare_backend(trunk, [res], folder=tmp_path / str(res), shelf=shelf, **HOW)
    assert len(list(shelf.glob("*.graph"))) == len(list(shelf.glob("*.json"))) == 2
    facts = describe_trunk(trunk)
    assert [recall(facts, shelf, res) is not None for res in (32, 64, 96)] == [False, True, True]


def test_a_shelf_that_cannot_be_written_fails_nothing(trunk: Trunk, tmp_path: Path) -> None:
    (tmp_path / "shelf").write_text("a file")
    assert prepare_backend(trunk, [64], folder=tmp_path, shelf=tmp_path / "shelf", **HOW).graphs


def test_a_second_run_by_a_known_trunk_imports_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, fixgrid; fixgrid.extract(sys.argv[1], cache=sys.argv[2], res=[32], train_views=1, workers=1);"
        "print('torch' in sys.modules)"
    )
    said = []
    for name in ("first", "second"):
        for seed, split in enumerate(("train", "val", "test")):
            write_photos(tmp_path / name / split, 4, seed=10 * len(name) + seed)
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path / name, tmp_path / "cache"], capture_output=True, text=True
        )
        said.append(done.stdout.strip() or done.stderr)
    assert said == ["True", "False"]
