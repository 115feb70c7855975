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


def test_classes_and_confused_pairs_are_printed_in_every_format(work: Path) -> None:
    words = ("fit-head", "--heads", "mean", "--per-class", "--confused", 1, "--out", "more", "--format")
    found = json.loads(run(*words, "json", cwd=work).stdout)
    assert [(row["class"], row["n"]) for row in found["per_class"]] == [("a", 6), ("b", 6)]
    assert sum(row["accuracy"] for row in found["per_class"]) / 2 == found["test"]["value"]
    (pair,) = found["confused"]
    assert pair["first as second"] + pair["second as first"] == round(12 * (1 - found["test"]["value"]))
    assert "per_class" not in json.loads((work / "more.json").read_text())["figures"]
    assert "| a | 6 |" in run(*words, "md", cwd=work).stdout
    assert run(*words, "csv", cwd=work).stdout.startswith("class,n,accuracy,")
    assert "first as second" in run(*words, "table", cwd=work).stdout
