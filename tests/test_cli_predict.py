"""Predict and export as a user types them, on a data set of generated photographs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from test_cli import run
from zoo import draw_photo, encode, write_splits

TRUNK = "efficientnet_lite0"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    write_splits(folder / "data")
    run("extract", "--data", "data", "--res", "32,48", "--train-views", 1, cwd=folder)
    run("fit-head", "--pairs", "32:32", "--out", "head", cwd=folder)
    return folder


def test_predict_on_test_images_takes_their_rows_and_repeats_fit_heads_accuracy(work: Path) -> None:
    done = run("predict", "head.json", "data/test", "--format", "json", "--top", 1, cwd=work)
    assert ": 0 decoded in" in done.stderr
    assert ": 0 decoded in" in done.stderr
    assert "12 from the cache" in done.stderr
    records = json.loads(done.stdout)
    right = sum(record["path"].split("/")[2] == record["top"][0]["class"] for record in records)
    assert right / 12 == pytest.approx(json.loads((work / "head.json").read_text())["figures"]["test"]["value"])


def test_a_bad_image_keeps_its_row_and_ends_with_6(work: Path) -> None:
    new = work / "new"
    new.mkdir()
    (new / "a.png").write_bytes(encode(draw_photo(24, 20, 99)))
    (new / "b.png").write_bytes(b"no image")
    paths = [record["path"] for record in json.loads(predict_new(work, 6).stdout)]
    assert paths == ["new/a.png", "new/b.png"]
    again = predict_new(work, 6)
    assert "skipped new/b.png: decode" in again.stderr
    assert ": 0 decoded in" in again.stderr


def predict_new(work: Path, code: int):
    return run("predict", "head", "new/*.png", "--format", "json", cwd=work, code=code)


def test_sets_and_unknown_images_are_said_where_asked_and_only_there(work: Path) -> None:
    plain = json.loads(run("predict", "head", "data/test", "--format", "json", cwd=work).stdout)
    words = ("--coverage", "90%", "--unknown", "10%")
    done = run("predict", "head", "data/test", *words, "--format", "json", cwd=work)
    asked = json.loads(done.stdout)
    assert [{name: record[name] for name in plain[0]} for record in asked] == plain
    assert all(set(record) - set(plain[0]) == {"set", "novelty_p", "unknown"} for record in asked)
    assert all(record["top"][0]["class"] in record["set"] for record in asked)
    assert f"{sum(record['unknown'] for record in asked)} of 12 images are called unknown" in done.stderr


def test_what_few_images_of_val_cannot_tell_is_refused_before_a_pass(work: Path) -> None:
    for words, said in (
        (("--coverage", ".95"), "found --coverage 0.95; expected at most 0.923"),
        (("data/test", "--unknown"), "found --unknown 0.05; expected at least 0.077"),
        (("--unknown", "data/test"), "found --unknown 'data/test'; expected a share"),
    ):
        done = run("predict", "head", "no-such-image.png", *words, cwd=work, code=2)
        *_, line = done.stderr.splitlines()
        assert line.startswith("Error: ")
        assert said in line
        assert "extracting" not in done.stderr


def test_fit_head_and_gc_do_not_see_predictions(work: Path) -> None:
    run("predict", "head", "data/val", cwd=work)
    assert "the cache holds it" in run("fit-head", "--pairs", "32:32", "--out", "again", cwd=work).stderr
    assert (work / "again.json").read_text() == (work / "head.json").read_text()
    assert "0.0 MB to remove" in run("cache", "gc", cwd=work).stdout


def test_gc_finds_what_predict_kept_of_images_as_they_were(work: Path) -> None:
    shutil.copytree(work / "data" / "train", work / "listed")
    run("predict", "head", "listed", cwd=work)
    next((work / "listed").rglob("*.png")).unlink()
    run("predict", "head", "listed", cwd=work)
    said = run("cache", "gc", "--yes", cwd=work).stdout
    assert "/predictions/" in said
    assert "of rows that no data set has any more" in said
    assert "0.0 MB removed" in run("cache", "gc", "--yes", cwd=work).stdout
    assert ": 0 decoded in" in run("predict", "head", "listed", cwd=work).stderr


def test_what_the_terminal_cannot_show_is_escaped(work: Path) -> None:
    record = json.loads((work / "head.json").read_text())
    record["classes"] = ["日本", "b"]
    (work / "named.json").write_text(json.dumps(record))
    shutil.copy(work / "head.safetensors", work / "named.safetensors")
    said = run("predict", "named", "data/test", cwd=work, PYTHONIOENCODING="latin-1:strict", PYTHONUTF8="0").stdout
    assert "\\u65e5\\u672c" in said


def test_other_weights_than_the_heads_are_refused(work: Path) -> None:
    record = json.loads((work / "head.json").read_text())
    record["trunk"]["weights_sha256"] = "0" * 64
    (work / "other.json").write_text(json.dumps(record))
    shutil.copy(work / "head.safetensors", work / "other.safetensors")
    for words in (("predict", "other", "data/test"), ("export", "other", "--to", "onnx", "--out", "o.onnx")):
        done = run(*words, cwd=work, code=4)
        assert "--weights" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (work / "o.onnx").exists()


def test_export_writes_a_card_and_never_the_head_itself(work: Path) -> None:
    before = (work / "head.json").read_bytes()
    assert "replace the head" in run("export", "head", "--to", "sklearn", "--out", "head", cwd=work, code=2).stderr
    said = run("export", "head", "--to", "sklearn", "--out", ".safetensors", cwd=work, code=2).stderr
    assert "found --out .safetensors; expected a file's name" in said
    assert (work / "head.json").read_bytes() == before
    run("export", "head", "--to", "sklearn", "--out", "flat.safetensors", cwd=work)
    assert "LogisticRegression" in (work / "flat.safetensors.md").read_text()


def test_a_head_of_two_test_resolutions_predicts_as_it_was_scored(work: Path) -> None:
    words = ("--pairs", "32:32+48", "--gap", "standardize", "--out", "two", "--format", "json")
    kept = json.loads(run("fit-head", *words, cwd=work).stdout)
    done = run("predict", "two", "data/test", "--format", "json", "--top", 1, cwd=work)
    assert ": 0 decoded in" in done.stderr
    records = json.loads(done.stdout)
    right = sum(record["path"].split("/")[2] == record["top"][0]["class"] for record in records)
    assert (kept["test_res"], kept["test"]["value"]) == ("32+48", pytest.approx(right / 12))
    said = run("export", "two", "--to", "onnx", "--out", "o.onnx", cwd=work, code=2).stderr
    assert "averages each image at 32+48 px" in said
