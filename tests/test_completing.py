"""What a shell is told that can be typed next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from click.shell_completion import ShellComplete
from conftest import ROOT
from entries import fill_entry, make_rows
from test_layout import TORCH

from fixgrid import cli
from fixgrid.cache.rows import Manifest
from fixgrid.cache.rowsfile import write_manifest
from fixgrid.cache.store import FeatureStore
from fixgrid.commands.completion import HEADS
from fixgrid.completing import complete_data, complete_head, complete_trunk
from fixgrid.heads.families import FAMILIES


def complete(*words: str) -> list[tuple[str, str]]:
    """What is offered for the last word, and of which kind."""
    *before, begun = words
    found = ShellComplete(cli.main, {}, "fixgrid", "_FIXGRID_COMPLETE").get_completions(before, begun)
    return [(item.type, item.value) for item in found]


def test_a_trunk_is_completed_by_any_published_name(tmp_path: Path) -> None:
    assert "timm:resnet50.a1_in1k" in complete_trunk("timm:resnet50.a", tmp_path)
    assert "vit_tiny_patch16_224" in complete_trunk("vit_tiny", tmp_path)
    assert complete_trunk("", tmp_path)[0] == "efficientnet_lite0"
    assert complete_trunk("resnet18,efficientnet_lite1", tmp_path) == ["resnet18,efficientnet_lite1"]
    assert complete_trunk("no-such", tmp_path) == []


def test_data_sets_and_words_are_completed(tmp_path: Path) -> None:
    assert complete_data("stan", tmp_path) == ["stanford-dogs", "stanford-dogs:2020"]
    assert "torchvision:Food101" in complete_data("torchvision:F", tmp_path / "none")


def test_kept_heads_are_completed_without_suffix(tmp_path: Path) -> None:
    (tmp_path / "heads").mkdir()
    for name in ("dogs-a.safetensors", "dogs-a.json", "cats-b.safetensors"):
        (tmp_path / "heads" / name).touch()
    assert complete_head(f"{tmp_path}/heads/d", tmp_path) == [f"{tmp_path}/heads/dogs-a"]
    assert complete_head("d", tmp_path) == ["dogs-a"]
    said = complete("predict", "--cache", str(tmp_path), f"{tmp_path}/heads/c")
    assert said == [("plain", f"{tmp_path}/heads/cats-b"), ("file", f"{tmp_path}/heads/c")]


def test_what_a_cache_holds_is_completed(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    rows = make_rows(6)
    fill_entry(store, rows)
    write_manifest(store.folder / "data", Manifest("pets.csv", str(tmp_path), ("a", "b"), {"train": rows}))
    assert complete_data("pe", tmp_path) == ["pets.csv"]
    assert complete_trunk("stu", tmp_path) == ["stub"]


def test_kinds_of_head_are_completed_and_are_all_there_are() -> None:
    assert ("all", *FAMILIES) == HEADS
    assert complete("grid", "--heads", "ridge,l") == [("plain", "ridge,logistic"), ("plain", "ridge,lda")]


def test_options_and_files_are_completed() -> None:
    assert ("plain", "--train-views") in complete("extract", "--tr")
    assert ("file", "ph") in complete("extract", "--data", "ph")
    assert complete("extract", "--split") == [("plain", "--split-col")]


def test_completion_imports_nothing_slow() -> None:
    code = "import sys; from fixgrid.completing import *; complete_trunk('timm:', '.'); complete_data('', '.');"
    code += "print(*sorted(set(sys.argv[1:]) & set(sys.modules)))"
    words = [sys.executable, "-c", code, *TORCH]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
