"""The command that a message names works when it is typed, and then the first one does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_script import CODE, LAYERS
from zoo import write_photos, write_splits

from fixgrid.cache.errors import CacheError
from fixgrid.cache.holdings import find_holdings
from fixgrid.cache.store import FeatureStore
from fixgrid.cli import main

INLINE = ("--engine", "inline")


def type_in(*words: str, code: int = 0) -> str:
    """All that a command says, in this process."""
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images with splits, images without, and a file of trunks."""
    folder = tmp_path_factory.mktemp("images")
    write_splits(folder / "given")
    write_photos(folder / "dealt", 30)
    (folder / "script_layers.py").write_text(LAYERS)
    (folder / "nets.py").write_text(CODE)
    return folder


def follow(cache: Path, *first: str, **view: object) -> set[tuple[str, str, int]]:
    """What was added by the command that a refused one names; the refused one works after it."""
    before = set(find_holdings(FeatureStore(cache), view=view).entries)
    said = type_in(*first, "--cache", str(cache), code=4).strip().splitlines()[-1]
    named = re.search(r"run python cli\.py (extract .*?)( first\.)?$", said)
    assert named, said
    type_in(*shlex.split(named[1]), *INLINE)
    type_in(*first, "--cache", str(cache))
    return set(find_holdings(FeatureStore(cache), view=view).entries) - before


MEAN = ("--heads", "mean")
ALL = ("train", "val", "test")
LOOK = "--mean .4 --std .3,.2,.1 --crop-ratio 0.9 --interpolation bilinear --crop-mode squash --dtype float16"
NAMED = " --name mine --train-views 0"
CASES = {
    "views": ("", "grid --test-view five", {(s, "five", 24) for s in ALL}),
    "resolutions": (
        "--train-views 1",
        "grid --pairs 32:24,40:48",
        {(s, k, r) for s, k in (("train", "train"), *((s, "center") for s in ALL)) for r in (32, 40, 48)},
    ),
    "no random crops": ("--train-views 0", "grid --pairs 24:32", {(s, "center", 32) for s in ALL}),
    "a correction": (
        "--train-views 0",
        "fit-head --gap standardize --pairs 24:32 --test-view ten",
        {(s, k, 32) for s in ALL for k in ("center", "ten")},
    ),
    "a training view": (
        "--train-views 0",
        "grid --train-view train --pairs 24:24",
        {("train", "train", 24)},
    ),
    "scale": ("--scale -9:250 --train-views 0", "grid --pairs 24:32", {(s, "center", 32) for s in ALL}),
    "look": (LOOK + NAMED, "grid --pairs 24:32", {(s, "center", 32) for s in ALL}),
    "height": ("--resize height --resampler tensor --train-views 3 --jitter full", "grid --pairs 32:24", None),
    "another crop": ("--train-views 0", "grid --crop-ratio 0.8 --pairs 24:24", None),
}


@pytest.mark.parametrize("case", CASES)
def test_the_named_command_fills_exactly_what_is_missing(case: str, images: Path, tmp_path: Path) -> None:
    made, first, added = CASES[case]
    cache = tmp_path / "c"
    trunk = ("--trunk", f"{images}/nets.py:build")
    type_in(
        "extract",
        "--data",
        str(images / "given"),
        *trunk,
        "--res",
        "24",
        "--cache",
        str(cache),
        *INLINE,
        *made.split(),
    )
    view = {"crop_ratio": "0.8"} if case == "another crop" else {}
    found = follow(cache, *first.split(), *MEAN, **view)
    assert added is None or found == added


@pytest.mark.parametrize("data", ["given", "dealt"])
def test_a_seed_is_that_of_split_and_crops(data: str, images: Path, tmp_path: Path) -> None:
    cache = tmp_path / "c"
    asked = ("--data", str(images / data), "--trunk", f"{images}/nets.py:build", "--cache", str(cache))
    type_in("extract", *asked, "--res", "24", "--seed", "5", *INLINE)
    before = find_holdings(FeatureStore(cache)).manifest.splits["test"].digest
    follow(cache, "grid", "--pairs", "24:32", *MEAN)
    assert find_holdings(FeatureStore(cache)).manifest.splits["test"].digest == before
    assert find_holdings(FeatureStore(cache)).view("train", "train", 32).seed == 5
    if data == "given":
        follow(cache, "grid", "--seed", "7", "--train-view", "train", "--pairs", "24:32", *MEAN, seed=7)


def test_a_recalibrated_trunk_at_resolutions_that_are_lacking(images: Path, tmp_path: Path) -> None:
    cache = tmp_path / "c"
    asked = ("--data", str(images / "given"), "--cache", str(cache), "--train-views", "0")
    type_in("extract", *asked, "--res", "32", *INLINE)
    found = follow(cache, "grid", "--gap", "batchnorm", "--pairs", "40:32", *MEAN)
    assert ("val", "recalibrated center", 32) in found
    with pytest.raises(CacheError, match=r"extract --data .* --train-views 0 --res 32,40 --cache .* first"):
        find_holdings(FeatureStore(cache), features="gem")


def test_what_the_cache_does_not_know_is_named_with_the_cache(images: Path, tmp_path: Path) -> None:
    cache, trunk = tmp_path / "c", f"{images}/nets.py:build"
    asked = ("--data", str(images / "given"), "--trunk", trunk)
    type_in("extract", *asked, "--res", "24", "--cache", str(cache), *INLINE)
    said = type_in("grid", "--data", str(images / "dealt"), "--cache", str(cache), code=4)
    assert f"run python cli.py extract --data {images}/dealt --cache {cache} first" in said
    said = type_in("grid", "--trunk", "resnet9", "--cache", str(cache), code=4)
    assert f"run python cli.py extract --data {images}/given --trunk resnet9 --cache {cache} first" in said
