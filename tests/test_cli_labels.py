"""label-errors as a user types it, on generated photographs of which two are in the wrong folder."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from test_cli import run
from zoo import write_splits

import fixgrid


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    write_splits(folder / "data")
    shutil.copy(folder / "data/train/b/0003.png", folder / "data/test/a/copy.png")
    run("extract", "--data", "data", "--res", "32", "--train-views", 0, cwd=folder)
    return folder


def test_all_formats_say_the_same_and_tables_fit(work: Path) -> None:
    done = run("label-errors", "--folds", 3, cwd=work)
    assert max(map(len, (done.stdout + done.stderr).splitlines())) <= 80
    assert "labels at 32 px" in done.stderr
    assert "mend none" in done.stderr
    words = ("label-errors", "--folds", 3, "--top", 5, "--format")
    records = json.loads(run(*words, "json", cwd=work).stdout)
    assert {record["path"] for record in records[:2]} == {"test/a/copy.png", "train/b/0003.png"}
    rows = csv.DictReader(io.StringIO(run(*words, "csv", cwd=work).stdout))
    assert [(row["path"], float(row["p_given"])) for row in rows] == [
        (record["path"], record["p_given"]) for record in records
    ]
    found = fixgrid.label_errors(work / "data", cache=work / "features", folds=3)
    assert found.ranking.paths[:5] == tuple(record["path"] for record in records)
    assert list((work / "features" / "runs").glob("*-label-errors-*.json"))


def test_a_resolution_that_is_not_cached_is_named_with_what_brings_it(work: Path) -> None:
    assert "no center features" in run("label-errors", "--res", 48, cwd=work, code=4).stderr


def test_more_folds_than_images_are_refused(work: Path) -> None:
    assert "ask for fewer folds" in run("label-errors", "--folds", 500, cwd=work, code=2).stderr


def test_images_without_labels_are_refused(tmp_path: Path) -> None:
    write_splits(tmp_path / "data")
    (tmp_path / "loose").mkdir()
    for file in (tmp_path / "data/train/a").iterdir():
        shutil.copy(file, tmp_path / "loose")
    run("extract", "--data", "loose", "--res", "32", "--train-views", 0, cwd=tmp_path)
    said = run("label-errors", cwd=tmp_path, code=3).stderr
    assert "label" in said.splitlines()[-1]


def test_the_report_shows_the_labels_and_lists_them_beside_it(work: Path) -> None:
    run("report", "--pairs", "32:32", "--heads", "mean", cwd=work)
    page = (work / "report.html").read_text()
    assert 'id="labels-h"' in page
    section = page.partition('id="labels-h"')[2].partition("</section>")[0]
    assert section.count("<img") >= 2
    assert "the same file as" in section
    listed = list(csv.DictReader(io.StringIO((work / "report_files/label_errors.csv").read_text())))
    assert len(listed) == sum(1 for file in (work / "data").rglob("*.png"))
