"""A cache that an earlier version filled: its features, cells and heads are found again, equal to the bit.

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
def test_every_cell_is_recalled(frozen: Path, name: str, words: list[str]) -> None:
    before = list_files(frozen / "features" / "cells")
    found = json.loads(run("grid", "--data", "images", *words, "--format", "json", cwd=frozen).stdout)
    assert found == recorded(frozen, name)
    after = list_files(frozen / "features" / "cells")
    assert {path: after[path] for path in before} == before
    # Powers of ten differ in a last bit between processors (NumPy uses AVX-512 where there is any), and with them
    # the strengths that two families walk: elsewhere than where they were made, these are fitted again, alike.
    again = {json.loads(after[path])["record"]["family"] for path in after.keys() - before.keys()}
    assert again <= {"logistic", "ridge"}


def test_a_head_fitted_again_is_the_head_of_then(frozen: Path) -> None:
    words = ("--pairs", "48:32+48", "--gap", "standardize", "--out", "again", "--format", "json")
    found = json.loads(run("fit-head", "--data", "images", *words, cwd=frozen).stdout)
    expect_close(found, recorded(frozen, "fit-several"))
    then, now = (load_head(frozen / name) for name in ("features/heads/several", "again"))
    assert (now.keys, now.views, now.classes) == (then.keys, then.views, then.classes)
    # To the bit where it was fitted; other processors' libraries sum in another order.
    np.testing.assert_allclose(now.head.coef, then.head.coef, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "head"), [("predict", "images-efficientnet_lite0-48-48"), ("predict-several", "several")]
)
def test_a_kept_head_predicts_as_it_did(frozen: Path, name: str, head: str) -> None:
    done = run("predict", f"features/heads/{head}.json", "images/test", "--format", "json", cwd=frozen)
    for found, then in zip(json.loads(done.stdout), recorded(frozen, name), strict=True):
        expect_close(found, then)
    assert ": 0 decoded in" in done.stderr
