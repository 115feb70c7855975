"""A report is one HTML file in which names stay text and nothing is fetched."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise

import numpy as np
from drawn import FEW, PAIRS, Cache, ask
from PIL import Image

from fixgrid.embed.pictures import make_thumbnail
from fixgrid.heads.answers import answer_test, bin_answers
from fixgrid.heads.cell import Cell
from fixgrid.heads.doubtful import Doubtful
from fixgrid.heads.drawings_answers import draw_classes, draw_reliability
from fixgrid.heads.drawings_data import draw_counts
from fixgrid.heads.drawings_grid import draw_grid
from fixgrid.heads.figures import ClassRow
from fixgrid.heads.grid import run_grid
from fixgrid.heads.metrics import Estimate, wilson_interval
from fixgrid.heads.report import Report, TwinShot, render_report, say_answer, say_ties
from fixgrid.heads.shots import Shot
from fixgrid.heads.verdict import judge_cells

EVIL = "<script>alert(1)</script>"
CLASSES = (EVIL, "$x$", "b" * 200, "\u202eevil\udc80")


def make_page(more: int = 0) -> str:
    """A page of four classes with odd names, and ``more`` classes of one test image each."""
    load = Cache()
    verdict = judge_cells(list(run_grid(ask(load, PAIRS, FEW))))
    cells, best = verdict.cells, verdict.best
    answers = answer_test(ask(load, PAIRS, FEW), best, CLASSES)
    assert answers.figures.top1 == best.test
    rows = [ClassRow(f"n{i:08}-breed_of_dog_{i}", 1, wilson_interval(i % 2, 1), None) for i in range(more)]
    figures = replace(answers.figures, per_class=(*answers.figures.per_class, *rows))
    answers = replace(answers, figures=figures)
    classes = tuple(row.name for row in figures.per_class)
    counts = {"train": np.arange(len(classes))}
    drawn = [draw_grid(cells), draw_reliability(bin_answers(answers)), draw_counts(classes, counts)]
    drawn += [draw_classes(answers.figures.per_class, 0.5)]
    shots = [Shot(make_thumbnail(Image.new("RGB", (60, 40))), EVIL, f"taken for {EVIL}")]
    ends = [(shots[0].jpeg, "train", EVIL, EVIL), (None, "test", "b", "long/" * 60)]
    twins = [TwinShot("nearly alike", 0.96, True, ends)]
    shown = {d.name: d for d in drawn}
    return render_report(
        Report(
            EVIL,
            "t",
            classes,
            verdict,
            answers,
            shown,
            shots,
            shots,
            (),
            "1 pair.",
            twins,
            doubtful=Doubtful([EVIL], shots),
        )
    )


def test_names_stay_text_and_nothing_is_fetched() -> None:
    page = make_page()
    page.encode()
    assert page.count("<script") == 1
    assert "alert" not in page.partition("<script>")[2]
    assert "$x$" in page
    assert "\u202e" not in page
    assert not re.findall(r"(?:href|src)=.https?:", page)
    assert all('alt="' in image for image in re.findall(r"<img[^>]*>", page))
    assert page.count("<svg") == page.count('role="img" aria-label="') == 4
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_headings_go_down_one_by_one_and_every_table_and_section_has_a_name() -> None:
    page = make_page()
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert page.count("<table") == page.count("<caption>")
    assert page.count("<th") - page.count("<thead") == page.count('scope="')
    ids = set(re.findall(r'\bid="([^"]*)"', page))
    assert set(re.findall(r'(?:href="#|aria-labelledby=")([^"]*)', page)) <= ids
    assert re.search(r'<body>\s*<a class="skip" href="#main">', page)
    assert '<html lang="en">' in page


def test_the_page_allows_its_own_script_and_no_other() -> None:
    page = make_page()
    script = page.partition("<script>")[2].partition("</script>")[0]
    allowed = re.search(r"script-src '([^']*)'", page)
    assert allowed
    assert allowed[1] == "sha256-" + b64encode(sha256(script.encode()).digest()).decode()


def cell(train: int, test: int | str, *, chosen: bool = False, tie: bool = False, **fields: str) -> Cell:
    accuracy, rows = Estimate(0.9, 0.8, 0.95), np.arange(50)
    return Cell(
        train_res=train,
        test_res=test,
        apparent=1.0,
        val=accuracy,
        test=accuracy,
        strength=1.0,
        note="",
        row=rows,
        correct=rows > 4,
        val_row=rows,
        val_correct=rows > 4,
        chosen=chosen,
        test_p=float(tie),
        **fields,
    )


def test_the_first_line_says_what_to_do_and_how_sure_it_is() -> None:
    best = cell(224, "224+320", chosen=True)
    assert say_answer(best) == (
        "Train a logistic head at 224 px and test at 224+320 px: "
        "90.00 % [80.00, 95.00] of 50 test images are right."
    )
    assert "nearest class means" in say_answer(cell(128, 128, family="mean"))
    assert "with the frechet correction" in say_answer(cell(128, 128, correction="frechet"))


def test_ties_are_named_and_many_are_counted() -> None:
    best, other = cell(224, 224, chosen=True), cell(128, 128)
    tied = [cell(224, 320, tie=True), cell(320, 224, tie=True)]
    assert "from 2 of 3 other cells, a tie: 224 to 320 px, 320 to 224 px (at 5 %" in say_ties([best, other, *tied])
    assert "The other cell differs" in say_ties([best, other])
    assert say_ties([best]) == "No other pair was tried. Brackets hold 95 % intervals."
    assert "from 6 of 6 other cells: a tie" in say_ties([best, *tied * 3])
