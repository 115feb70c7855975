"""A colleague's cache that may not be written: complete, it serves as any other does."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stub import SilentWatcher
from test_hints import type_in
from test_script import CODE, LAYERS
from zoo import draw_photo, encode, write_photos

import fixgrid
from fixgrid.cache.errors import DiskError


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose split was dealt, a cache complete for it, and a head kept elsewhere."""
    folder = tmp_path_factory.mktemp("work")
    write_photos(folder / "data", 30)
    (folder / "script_layers.py").write_text(LAYERS)
    (folder / "nets.py").write_text(CODE)
    type_in("extract", *asked(folder), "--cache", str(folder / "c"))
    fixgrid.fit_head(cache=folder / "c", heads="mean", out=folder / "head")
    return folder


def asked(folder: Path) -> list[str]:
    trunk = f"{folder}/nets.py:build"
    return ["--data", str(folder / "data"), "--trunk", trunk, "--res", "24", "--engine", "inline"]


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder in which nothing can be written, by root either; skips where nothing can be mounted."""
    mount = ["mount", "--bind", str(folder), str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs leave to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True, capture_output=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def locked(work: Path) -> Iterator[Path]:
    with read_only(work / "c"):
        yield work


def test_extract_says_that_all_is_cached(locked: Path) -> None:
    assert "the trunk ran 0 times" in type_in("extract", *asked(locked), "--cache", str(locked / "c"))


def test_extract_of_a_copy_of_the_folder_finds_its_split(locked: Path, tmp_path: Path) -> None:
    shutil.copytree(locked / "data", tmp_path / "copy")
    words = ["--data", str(tmp_path / "copy"), *asked(locked)[2:], "--cache", str(locked / "c")]
    assert "the trunk ran 0 times" in type_in("extract", *words)


def test_what_would_have_to_be_computed_is_refused_with_the_advice_that_fits(locked: Path) -> None:
    words = ["32" if word == "24" else word for word in asked(locked)]
    said = type_in("extract", *words, "--cache", str(locked / "c"), code=5)
    assert "Read-only file system" in said
    assert "get leave to write there (or name another --cache or --out)" in said
    assert "space" not in said


def test_grids_and_heads_kept_elsewhere_are_made(locked: Path, tmp_path: Path) -> None:
    assert fixgrid.grid(cache=locked / "c", heads="mean").cells
    assert fixgrid.fit_head(cache=locked / "c", heads="mean", out=tmp_path / "mine").files[0].exists()
    with pytest.raises(DiskError, match=r"get leave to write there .*--out FILE"):
        fixgrid.fit_head(cache=locked / "c", heads="mean")


def test_predict_takes_the_rows_and_computes_others_for_itself(locked: Path, tmp_path: Path) -> None:
    (tmp_path / "new.png").write_bytes(encode(draw_photo(24, 20, 99)))
    images, watcher = [locked / "data" / "a", tmp_path / "new.png"], SilentWatcher()
    asked = {"cache": locked / "c", "trunk": f"{locked}/nets.py:build", "engine": "inline", "watcher": watcher}
    found = fixgrid.predict(locked / "head", images, **asked)
    assert (len(found.predictions), found.outcome.decoded) == (16, 1)
    assert len([line for line in watcher.notices if "is not kept" in line]) == 1
    assert fixgrid.evaluate(locked / "head", locked / "data", **asked).outcome.decoded == 0


def test_it_predicts_as_a_cache_that_can_be_written(work: Path, tmp_path: Path) -> None:
    asked = {"trunk": f"{work}/nets.py:build", "engine": "inline"}
    with read_only(work / "c"):
        locked = fixgrid.predict(work / "head", work / "data", cache=work / "c", **asked)
    shutil.copytree(work / "c", tmp_path / "c")
    free = fixgrid.predict(work / "head", work / "data", cache=tmp_path / "c", **asked)
    assert locked.predictions == free.predictions
    assert (tmp_path / "c" / "predictions").is_dir()
