"""fit-head and duplicates as a user types them, on generated photographs of which some occur twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_cli import run
from zoo import write_photos


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    for seed, split in enumerate(("train", "val", "test")):
        write_photos(folder / "data" / split, 12, seed=seed)
    run("extract", "--data", "data", "--res", "32", "--train-views", 1, cwd=folder)
    return folder


def test_of_all_heads_the_best_that_can_be_kept_is(work: Path) -> None:
    done = run("fit-head", "--heads", "knn,mean,ridge", "--out", "some", "--format", "json", cwd=work)
    assert "chosen among mean,ridge" in done.stderr
    assert json.loads(done.stdout)["family"] in ("mean", "ridge")
    alone = run("fit-head", "--heads", "knn", "--out", "none", code=2, cwd=work)
    assert "--heads" in alone.stderr
    assert not list(work.glob("none*"))
    assert "chosen among" not in run("fit-head", "--heads", "mean,ridge", "--out", "two", cwd=work).stderr
