"""fit-head and duplicates as a user types them, on generated photographs of which some occur twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from test_cli import run
from zoo import write_splits


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    write_splits(folder / "data")
    shutil.copy(folder / "data/test/b/0001.png", folder / "data/train/a/again.png")
    shutil.copy(folder / "data/train/b/0003.png", folder / "data/train/b/more.png")
    run("extract", "--data", "data", "--res", "32", "--train-views", 1, cwd=folder)
    return folder


def test_a_head_is_named_after_its_data_trunk_and_resolutions(work: Path) -> None:
    run("fit-head", "--heads", "mean", cwd=work)
    kept = {path.name for path in (work / "features/heads").iterdir()}
    assert kept == {f"data-efficientnet_lite0-32-32.{end}" for end in ("safetensors", "json")}


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
    named = json.loads(run(*words, "json", "--mistakes", 1, cwd=work).stdout)
    assert len(named["mistakes"]) == pair["first as second"] + pair["second as first"]
    assert all(one["file"].startswith(f"test/{one['truth']}/") for one in named["mistakes"])
    assert sum(one["n"] for one in named["reliability"]) == 12


def test_images_that_occur_twice_are_listed_across_and_within_splits_and_none_is_dropped(work: Path) -> None:
    done = run("duplicates", "--format", "json", cwd=work)
    found = {(r["split"], r["path"], r["other split"], r["other path"]): r for r in json.loads(done.stdout)}
    across = found["train", "train/a/again.png", "test", "test/b/0001.png"]
    within = found["train", "train/b/0003.png", "train", "train/b/more.png"]
    assert (across["how"], across["labels differ"]) == ("bytes", True)
    assert (within["how"], within["labels differ"]) == ("bytes", False)
    assert f"{len(found)} pairs" in done.stderr
    assert "train/a/again.png" in run("duplicates", cwd=work).stdout


def test_dropping_says_how_many_and_which_command_lists_them(work: Path) -> None:
    words = ("grid", "--pairs", "32:32", "--heads", "mean", "--drop-duplicates")
    said = run(*words, cwd=work).stderr
    pairs = json.loads(run("duplicates", "--format", "json", cwd=work).stdout)
    leaked = {r["path"] for r in pairs if r["split"] == "train" and r["other split"] != "train"}
    assert f"{len(leaked)} training images dropped" in said
    assert f"duplicates: {len(pairs)} pairs" in said
