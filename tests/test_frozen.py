"""A cache that an earlier version filled: its features and heads are found again, equal to the bit.

``tests/data/cache-0.1`` holds twenty tiny pictures, the cache made of them (two resolutions, recalibrated as well)
and what the commands printed then. It was written once, by version 0.1.0, and is never rewritten.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from test_cli import run

from fixgrid.cache.health import verify_store
from fixgrid.cache.store import FeatureStore
from fixgrid.heads.artifact import load_head

FROZEN = ROOT / "tests" / "data" / "cache-0.1" / "frozen.tar.xz"


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frozen")
    with tarfile.open(FROZEN) as archive:
        archive.extractall(folder, filter="data")
    return folder


def recorded(frozen: Path, name: str) -> object:
    return json.loads((frozen / "out" / f"{name}.json").read_text())


def flatten(value: object, name: str = "") -> dict[str, object]:
    """Every leaf of a JSON value by its path."""
    if not isinstance(value, dict | list):
        return {name: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {path: leaf for key, part in items for path, leaf in flatten(part, f"{name}/{key}").items()}


def expect_close(found: object, then: object) -> None:
    """Equal JSON values, numbers within what another processor's sums may differ by."""
    now, before = flatten(found), flatten(then)
    assert now.keys() == before.keys()
    for name, value in before.items():
        assert now[name] == (value if isinstance(value, str | None) else pytest.approx(value, rel=1e-4)), name


def list_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_key_is_found_and_the_trunk_runs_zero_times(frozen: Path) -> None:
    keys = {entry.spec.key for entry in FeatureStore(frozen / "features").entries()}
    said = run("extract", "--data", "images", "--res", "32,48", "--recalibrate", cwd=frozen).stdout
    assert said.count("the trunk ran 0 times") == 3
    assert {entry.spec.key for entry in FeatureStore(frozen / "features").entries()} == keys
    assert verify_store(FeatureStore(frozen / "features")) == []


@pytest.mark.parametrize(
    ("name", "words"), [("grid", ["--heads", "all", "--gap", "all"]), ("grid-several", ["--pairs", "32:32+48"])]
)
def test_every_cell_is_made_once_more_and_as_good_on_val(frozen: Path, name: str, words: list[str]) -> None:
    """Since strengths equal on val are told apart by likelihood, earlier cells are left aside, not touched."""
    cells = frozen / "features" / "cells"
    before = list_files(cells)
    command = "grid", "--data", "images", *words, "--format", "json"
    found = json.loads(run(*command, cwd=frozen).stdout)["cells"]
    then = recorded(frozen, name)["cells"]  # type: ignore[index]
    assert {path: list_files(cells)[path] for path in before} == before
    place = ("train_res", "test_res", "family", "correction", "n_test", "size_ratio")
    assert [[cell[field] for field in place] for cell in found] == [
        [cell[field] for field in place] for cell in then
    ]
    assert all(now["val"] >= cell["val"] for now, cell in zip(found, then, strict=True))
    after = list_files(cells)
    assert json.loads(run(*command, cwd=frozen).stdout)["cells"] == found
    assert list_files(cells) == after


def test_a_head_fitted_again_is_the_head_of_then(frozen: Path) -> None:
    then = load_head(frozen / "features/heads/several")
    strength = ("--strengths", str(then.head.strength))
    words = ("--pairs", "48:32+48", "--gap", "standardize", *strength, "--out", "again", "--format", "json")
    found = json.loads(run("fit-head", "--data", "images", *words, cwd=frozen).stdout)
    before = recorded(frozen, "fit-several")
    for calibrated in ("nll", "calibration", "temperature"):  # by a temperature that is fitted otherwise now
        del found[calibrated], before[calibrated]  # type: ignore[attr-defined]
    assert before.pop("top5")["value"] == 1  # type: ignore[attr-defined]  # as of any two classes: no figure now
    expect_close({name: found[name] for name in before}, before)  # there are more figures now
    now = load_head(frozen / "again")
    assert (now.keys, now.views, now.classes) == (then.keys, then.views, then.classes)
    # The solver stops at a gap of 1e-4, from wherever it starts: then at the end of a path, now at once.
    assert np.linalg.norm(now.head.coef - then.head.coef) < 0.02 * np.linalg.norm(then.head.coef)


@pytest.mark.parametrize(
    ("name", "head"), [("predict", "images-efficientnet_lite0-48-48"), ("predict-several", "several")]
)
def test_a_kept_head_predicts_as_it_did(frozen: Path, name: str, head: str) -> None:
    done = run("predict", f"features/heads/{head}.json", "images/test", "--format", "json", cwd=frozen)
    for found, then in zip(json.loads(done.stdout), recorded(frozen, name), strict=True):
        expect_close(found, then)
    assert ": 0 decoded in" in done.stderr
