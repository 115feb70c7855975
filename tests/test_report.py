"""A report is one HTML file in which names stay text and nothing is fetched."""

from __future__ import annotations

import re

import numpy as np
from drawn import FEW, PAIRS, Cache, K
from PIL import Image

from embed.pictures import make_thumbnail
from heads.answers import answer_test, bin_answers
from heads.drawings_data import draw_classes, draw_counts, draw_reliability
from heads.drawings_grid import draw_grid
from heads.grid import choose_cell, run_grid
from heads.report import Report, Shot, render_report

EVIL = "<script>alert(1)</script>"
CLASSES = (EVIL, "$x$", "b" * 200, "\u202eevil\udc80")


def make_page() -> str:
    load = Cache()
    cells = choose_cell(list(run_grid(load, PAIRS, K, FEW)))
    best = next(cell for cell in cells if cell.chosen)
    answers = answer_test(load, best, CLASSES, FEW)
    assert answers.figures.top1 == best.test
    counts = {"train": np.array([1, 2, 3, 4])}
    drawn = [draw_grid(cells), draw_reliability(bin_answers(answers)), draw_counts(CLASSES, counts)]
    drawn += [draw_classes(answers.figures.per_class, 0.5)]
    shots = [Shot(make_thumbnail(Image.new("RGB", (60, 40))), EVIL, EVIL, 0.5)]
    return render_report(Report(EVIL, "t", CLASSES, cells, answers, {d.name: d for d in drawn}, shots))


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
