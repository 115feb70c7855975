"""The cached images most alike to a file, or to an image of the data set, with and without labels."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from entries import fill_entry, make_rows
from zoo import draw_photo, encode, write_splits

import fixgrid
from fixgrid.cache.errors import CacheError, DataError, UsageError
from fixgrid.cache.features import FeatureTable
from fixgrid.cache.rows import Manifest
from fixgrid.cache.rowsfile import write_manifest
from fixgrid.cache.store import FeatureStore
from fixgrid.cli import main

MODULE = """
import torch
class Mean(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 16, 5, stride=3)
    def forward(self, x):
        return self.conv(x).relu().mean((2, 3))
def build():
    return Mean()
"""
ROW = "a/0000.png"
TRUNK = "mean.py:build"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set extracted by a trunk of one's own."""
    folder = tmp_path_factory.mktemp("work")
    write_splits(folder / "data")
    (folder / "mean.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        fixgrid.extract("data", trunk=TRUNK, res=[16], train_views=0, engine="inline")
    return folder


@pytest.fixture
def here(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(work)
    return work


def load_all() -> dict[str, FeatureTable]:
    return {split: fixgrid.open("features").load(split, 16) for split in ("train", "val", "test")}


def rank(x: np.ndarray) -> list[tuple[str, str]]:
    """Split and path of all cached images, the most alike first, by numpy alone."""
    scored = []
    for split, table in load_all().items():
        Y = table.X.astype(float)
        values = Y @ x / np.linalg.norm(Y, axis=1) / np.linalg.norm(x)
        scored += [(-value, split, path) for value, path in zip(values, table.paths, strict=True)]
    return [(split, path) for _, split, path in sorted(scored)]


def list_found(found: fixgrid.comparing.Nearest, k: int = 0) -> list[tuple[str, str]]:
    return [(near.split, near.path.decode()) for near in found.found[k].neighbours]


def test_an_image_of_the_data_set_needs_no_trunk_and_is_not_its_own_neighbour(here: Path) -> None:
    found = fixgrid.nearest("data/val/" + ROW, top=40)
    own = load_all()["val"].X[0].astype(float)
    assert list_found(found) == rank(own)[1:]
    assert (found.outcome.decoded, len(list_found(found))) == (0, 35)


def test_features_outlive_their_images(here: Path) -> None:
    by_file = fixgrid.nearest("data/val/" + ROW)
    (here / "data" / "val" / ROW).rename(here / "away.png")
    try:
        for name in ("val/" + ROW, here / "data" / "val" / ROW):
            assert list_found(fixgrid.nearest(name)) == list_found(by_file)
        copy = fixgrid.nearest("away.png", top=1)
        assert list_found(copy) == [("val", "val/" + ROW)]  # by its content, and no longer that very file
        assert (copy.found[0].neighbours[0].similarity, copy.outcome.decoded) == (1.0, 0)
    finally:
        (here / "away.png").rename(here / "data" / "val" / ROW)


def test_an_image_that_was_edited_is_compared_as_it_is_now(here: Path) -> None:
    file = here / "data" / "val" / ROW
    before = file.read_bytes()
    file.write_bytes(encode(draw_photo(24, 20, 555)))
    try:
        found = fixgrid.nearest(file, trunk=TRUNK, engine="inline")
        assert found.outcome.decoded == 1
        assert max(near.similarity for near in found.found[0].neighbours) < 1
    finally:
        file.write_bytes(before)


def test_a_new_image_is_seen_as_the_data_set_was_and_only_once(here: Path) -> None:
    shutil.copytree(here / "data" / "test", here / "new", dirs_exist_ok=True)
    (here / "new" / "bad.png").write_bytes(b"no image")
    (here / "new" / "new.png").write_bytes(encode(draw_photo(30, 30, 77)))
    runs = [fixgrid.nearest("new", trunk=TRUNK, engine="inline", top=36, split="train,test") for _ in range(2)]
    assert [found.outcome.decoded for found in runs] == [1, 0]
    status = {one.path.decode(): one.status for one in runs[1].found}
    assert (status["new/bad.png"], set(status.values())) == ("decode", {"ok", "decode"})
    (k,) = (k for k, one in enumerate(runs[1].found) if one.path == b"new/new.png")
    assert len(list_found(runs[0], k)) == 24
    assert list_found(runs[0], k) == list_found(runs[1], k)
    assert {split for split, _ in list_found(runs[0], k)} == {"train", "test"}
    first = runs[0].found[0]  # the same bytes as in the data set, in another place
    assert (first.neighbours[0].similarity, first.neighbours[0].path) == (1.0, b"test/" + first.path[4:])


def test_a_trunk_of_ones_own_runs_only_where_it_is_typed(here: Path) -> None:
    (here / "other.png").write_bytes(encode(draw_photo(30, 30, 78)))
    with pytest.raises(UsageError, match="a module of one's own"):
        fixgrid.nearest("other.png", engine="inline")
    (here / "fixgrid.toml").write_text(f'trunk = "{TRUNK}"\n')
    try:
        done = CliRunner().invoke(main, ["nearest", "other.png"])
        assert (done.exit_code, "no reason to run code" in done.stderr) == (2, True)
    finally:
        (here / "fixgrid.toml").unlink()


@pytest.mark.parametrize(("name", "given"), [("stub", None), ("f.py:build", "f.py:build"), (None, None)])
def test_only_a_trunk_that_is_a_file_is_taken_for_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None, given: str | None
) -> None:
    def see(described: object, views: object, own: object, *others: object) -> None:
        raise DataError(f"own is {own}")

    store, rows = FeatureStore(tmp_path / "cache"), make_rows(3)
    write_manifest(store.folder / "data", Manifest("new", "/new", ("a", "b"), {"test": rows}))
    fill_entry(store, rows, seal=False).seal({"trunk": name or "stub"})
    (tmp_path / "new.png").write_bytes(encode(draw_photo(9, 9, 1)))
    monkeypatch.setattr("fixgrid.comparing.Replica", see)
    with pytest.raises(DataError, match=f"own is {given}"):
        fixgrid.nearest(tmp_path / "new.png", cache=store.root, trunk=name)


REFUSED = {
    "a name of nothing": (["gone.png"], {}, DataError, r"'gone.png' is not there; expected image files"),
    "an empty path": ([""], {}, UsageError, r"found an empty path; expected image files"),
    "a resolution not extracted": (["data/test"], {"res": 24}, CacheError, r"no center features .* --res 24"),
    "a split that is not there": (["data/test"], {"split": "tset"}, UsageError, r"found --split 'tset'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_compared_is_one_line(here: Path, case: str) -> None:
    images, asked, kind, said = REFUSED[case]
    with pytest.raises(kind, match=said):
        fixgrid.nearest(images, **asked)


def test_images_without_labels_or_classes_are_compared_as_any(tmp_path: Path) -> None:
    rows = replace(make_rows(9), labels=np.full(9, -1, np.int64))
    store = FeatureStore(tmp_path / "cache")
    write_manifest(store.folder / "data", Manifest("new", "/new", (), {"test": rows}))
    fill_entry(store, rows)
    found = fixgrid.nearest("0/00003.png", cache=store.root, top=2)
    assert [near.label for near in found.found[0].neighbours] == [None, None]
    assert "similarity  split  class  path\n" in found.format()


def test_the_command_prints_neighbours_and_ends_with_6_if_an_image_was_skipped(here: Path) -> None:
    (here / "bad.png").write_bytes(b"no image")
    words = ["nearest", "val/" + ROW, "bad.png", "--top", "2", "--trunk", TRUNK, "--engine", "inline"]
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert done.exit_code == 6, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["image", "similarity", "split", "class", "path"]
    assert [line.split()[0] for line in lines[2:]] == ["bad.png", "val/" + ROW, "val/" + ROW]
    assert "skipped bad.png: decode" in done.stderr
    assert done.stderr.endswith(" s, 1 from the cache, 1 skipped\n")
