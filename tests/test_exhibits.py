"""What a page shows of its findings: figures for what has numbers, photographs for what is still there."""

from __future__ import annotations

import html
import math
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from drawn import SIZES
from test_findings import asked as ask_of

from fixgrid.cache.shard import Status
from fixgrid.heads.cell import Cost
from fixgrid.heads.exhibits import describe_making, fill_report, say_twins, show_twins, warn_of_twins
from fixgrid.heads.findings import Findings, find_all
from fixgrid.heads.metrics import Estimate
from fixgrid.heads.question import Asked
from fixgrid.heads.report import render_report, say_cheaper
from fixgrid.heads.report_words import list_meanings
from fixgrid.heads.twins import Twin, Twins


class NoAlbum:
    """Every photograph is gone."""

    def measure(self):
        return np.zeros((0, 2), np.int64)

    def resize_side(self, view):
        return 256

    def thumbnail(self, split, row):
        return None

    def principle(self, split, row, train, test):
        return None


class Named(NoAlbum):
    """A thumbnail says whose it is."""

    def thumbnail(self, split, row):
        return f"{split} {row}".encode()


def twin(first: str, second: str, *, how: str = "near", conflict: bool = False, at: int = 0) -> Twin:
    return Twin(how, (first, at), (second, at + 1), 0.97 if how == "near" else 1.0, conflict)


TWINS = [
    twin("train", "train", how="bytes", conflict=True),
    twin("train", "test", at=3),
    twin("val", "test", how="pixels"),
    twin("train", "val", conflict=True, at=5),
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> Asked:
    return ask_of(tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="module")
def found(asked: Asked) -> Findings:
    return find_all([asked])


def test_a_page_without_photographs_has_every_other_figure(found):
    report = fill_report(found, NoAlbum(), made={"command": "typed"}, leak="LEAK", copies=[])
    assert report.drawings.keys() == {"grid", "reliability", "curve", "classes", "counts", "map"}
    assert (report.mistakes, report.confused, report.warnings) == ([], [], ["LEAK"])
    page = render_report(report)
    assert "report --trunk all" in page.replace("\n", " ")
    assert "typed" in page


def test_the_front_is_drawn_where_costs_are_known(asked):
    known = replace(asked, costs=lambda holdings, seen, crops: Cost(sum(seen) / 1e3 * crops, None, 1))
    report = fill_report(find_all([known]), NoAlbum(), made={}, leak="", copies=[])
    assert {record["gmac"] for record in report.drawings["front"].records} == {0.128, 0.224}
    page = render_report(report)
    assert "Accuracy on test by cost" in page
    assert "front</td>" in page


def test_leaks_come_first_then_differing_labels(asked):
    shown = show_twins(TWINS, asked.holdings, Named())
    assert [tuple(end[1] for end in one.ends) for one in shown] == [
        ("train", "val"),
        ("train", "test"),
        ("train", "train"),
        ("val", "test"),
    ]
    assert shown[1].ends[0][0] == b"train 3"
    assert [one.conflict for one in shown] == [True, False, True, False]
    assert [one.leaks for one in TWINS] == [False, True, False, True]
    assert len(show_twins(TWINS * 5, asked.holdings, Named())) == 6


def test_twins_are_counted_by_kind_by_splits_and_by_labels():
    assert say_twins(TWINS, 100) == (
        "Pairs of images that are the same or nearly alike: 4 (1 the same file, 1 the same pixels, "
        "2 nearly alike); "
        "1 across train and test, 1 across val and test, 1 across train and val, 1 within train; "
        "the labels of 2 differ."
    )
    assert say_twins([], 100) == "No two images are the same or nearly alike."


def test_a_leak_is_warned_of_unless_training_was_without_it(found):
    exact = [twin("train", "test", how="bytes", at=9), *TWINS]
    assert warn_of_twins(exact, 100, dropped=False).startswith(
        "Leak: of the val and test images, 1 is the same picture as a training image and 2 are much like a "
        "training image."
    )
    assert warn_of_twins(TWINS, 100, dropped=True) == ""
    assert warn_of_twins([TWINS[0], TWINS[2]], 100, dropped=False) == ""
    report = fill_report(replace(found, twins=Twins(TWINS)), Named(), made={}, leak="LEAK", copies=[])
    page = render_report(report)
    assert page.index("Leak: of the val") < page.index("LEAK") < page.index("<h2")
    assert "labels differ" in page


def test_where_everything_looks_alike_only_equal_images_are_called_a_leak():
    assert warn_of_twins(TWINS, 20, dropped=False) == ""
    exact = twin("train", "val", how="pixels", at=9)
    assert "1 is the same picture as a training image." in warn_of_twins([*TWINS, exact], 20, dropped=False)
    assert say_twins(TWINS, 20).endswith("near ones and scenes may well be different images.")


def test_images_that_were_not_compared_are_named_with_what_is_known_of_equal_files(found):
    report = fill_report(replace(found, twins=None), NoAlbum(), made={}, leak="", copies=["2 equal files"])
    assert report.found_twins.startswith("Near duplicates were not looked for")
    assert report.found_twins.endswith("2 equal files")
    assert report.twins == []


def test_how_it_was_made_is_complete(found):
    made = describe_making(found)
    for split, n in SIZES.items():
        assert made[f"images of {split}"].startswith(f"{n}, rows sha256 ")
        assert made[f"{split} key"].startswith(split)
        assert '"res": ' in made[f"{split} view"]
    assert made["weights sha256"] == "f" * 64
    assert made["versions"] == '{"torch": "2"}'
    assert made["features computed"] == '{"host": "h"}'
    assert f"strength {found.best.strength:.3g}" in made["head"]


def test_images_without_features_are_counted_at_the_top_and_the_first_is_named(asked):
    found = find_all([asked])
    entry = asked.holdings.entry("val", "center", 224)
    status = entry.read_status()
    status[[2, 5]] = Status.DECODE
    entry.read_status = lambda: status
    some = replace(found, used={**found.used, "val": [entry, entry]})
    report = fill_report(some, NoAlbum(), made={}, leak="", copies=[])
    images, file = sum(SIZES.values()), os.fsdecode(asked.holdings.manifest.splits["val"].paths[2])
    assert report.warnings == [f"Without features, and so in no figure: val 2 of {images} images; first {file}."]
    assert fill_report(found, NoAlbum(), made={}, leak="", copies=[]).warnings == []


def test_commands_on_a_page_are_about_its_features(asked):
    known = replace(asked, costs=lambda holdings, seen, crops: Cost(sum(seen) / 1e3 * crops, None, 1))
    report = fill_report(
        find_all([known]),
        NoAlbum(),
        made={},
        leak="",
        copies=[],
        files="my report_files",
        options={"fit-head": "--data 'a b'", "extract": "--data 'a b' --cache c"},
    )
    page = html.unescape(render_report(report))
    assert "extract --data 'a b' --cache c --trunk A,B<" in page
    assert "report --trunk all<" in page
    assert "my report_files/mistakes.csv</a>" in page
    assert '"my%20report_files/mistakes.csv"' in page
    assert report.say_command("fit-head --prefer cheap").endswith(" fit-head --data 'a b' --prefer cheap")


@pytest.mark.parametrize(("tie", "said"), [(True, "nor can test: it has"), (False, "but test can: it has")])
def test_of_a_cheaper_cell_it_is_said_what_test_tells(asked, tie, said):
    found = find_all([asked])
    best = replace(found.best, cost=Cost(1.2, None, 1))
    cheap = next(cell for cell in found.cells if not cell.chosen)
    cheap = replace(cheap, cost=Cost(0.4, None, 1), cheap=True, test_p=0.5 if tie else 0.001)
    verdict = replace(found.verdict, cells=[replace(best, cheap=False), cheap])
    (line,) = say_cheaper(verdict, "fit-head --prefer cheap")
    assert line.startswith("For 3 times less compute: ")
    assert said in line
    assert line.endswith(": fit-head --prefer cheap")
    assert say_cheaper(replace(verdict, cells=[replace(best, cheap=True)]), "") == []


def test_an_interval_that_there_is_not_is_not_shown(asked):
    found = find_all([asked])
    one = found.answers.figures.figures[0]
    bare = one._replace(value=Estimate(one.value.value, math.nan, math.nan))
    figures = replace(found.answers.figures, figures=(bare, *found.answers.figures.figures[1:]))
    cells = [replace(cell, test=Estimate(cell.test.value, math.nan, math.nan)) for cell in found.cells]
    bare_found = replace(
        found, answers=replace(found.answers, figures=figures), verdict=replace(found.verdict, cells=cells)
    )
    page = render_report(fill_report(bare_found, NoAlbum(), made={}, leak="", copies=[]))
    assert "[, ]" not in page
    assert not re.search(r"\bnan\b", page.partition("<section")[2])


def test_words_are_explained_as_far_as_the_page_has_them(asked):
    found = find_all([asked])
    words = dict(list_meanings(found.answers, costs=False, judges="folds of train and val"))
    assert "fitted on folds of train and val." in words["temperature"]
    assert {"tie", "calibration error", "AUROC"} <= {*words}
    assert not {"front", "GMAC", "R2"} & {*words}
    assert set(words) - {"tie", "temperature"} <= {figure.title for figure in found.answers.figures.figures}
    numbers = replace(found.answers, task="regression")
    assert "temperature" not in dict(list_meanings(numbers, costs=True, judges="val"))
    assert {"front", "GMAC"} <= {*dict(list_meanings(numbers, costs=True, judges="val"))}
