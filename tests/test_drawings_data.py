"""Figures of images and classes hold the numbers they were given, for one class and for thousands."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from shown import expect_shown

from fixgrid.heads.answers import Bin
from fixgrid.heads.drawings_answers import draw_classes, draw_reliability
from fixgrid.heads.drawings_data import draw_counts, draw_principle, draw_sizes
from fixgrid.heads.figures import ClassRow
from fixgrid.heads.metrics import wilson_interval


class Crop(NamedTuple):
    """As `heads.drawings_data.CropShown`."""

    box: tuple[float, float, float, float]
    pixels: np.ndarray
    jpeg: bytes
    flip: bool
    scale: float


class Principle(NamedTuple):
    """As `heads.drawings_data.PrincipleShown`."""

    width: int
    height: int
    pixels: np.ndarray
    jpeg: bytes
    training: tuple[Crop, ...]
    test: tuple[Crop, ...]


@pytest.mark.parametrize("n_classes", [1, 30, 150, 151, 5000])
def test_counts_are_those_of_every_split(n_classes):
    counts = {split: np.arange(n_classes) + i for i, split in enumerate(("train", "val", "test"))}
    drawing = draw_counts([f"class {i}" for i in range(n_classes)], counts)
    expect_shown(drawing)
    assert [r["val"] for r in drawing.records] == (np.arange(n_classes) + 1).tolist()
    assert drawing.records[0] == {"class": "class 0", "train": 0, "val": 1, "test": 2}
    assert f"test 2 to {n_classes + 1}" in drawing.alt
    assert ("class 0" in drawing.svg) == (n_classes <= 150)


def test_a_split_without_images_is_shown_as_zeros():
    expect_shown(draw_counts(["a", "b"], {"train": np.array([3, 4]), "val": np.zeros(2, np.int64)}))


@pytest.mark.parametrize("n", [1, 100])
def test_sizes_are_counted_and_the_small_ones_named(n):
    sizes = np.array([[500, 375], [200, 100]])[np.arange(n) % 2]
    drawing = draw_sizes(sizes, 256)
    expect_shown(drawing)
    assert {(r["width_px"], r["height_px"]): r["images"] for r in drawing.records} == (
        {(500, 375): 1} if n == 1 else {(200, 100): 50, (500, 375): 50}
    )
    assert f"{'0%' if n == 1 else '50%'} of them under the 256 px" in drawing.alt


@pytest.mark.parametrize("n_classes", [1, 2, 400])
def test_classes_come_worst_first_and_those_without_images_have_no_recall(n_classes):
    rows = [ClassRow(f"c{n_classes - i}", n_classes, wilson_interval(i, n_classes), None) for i in range(n_classes)]
    drawing = draw_classes([*rows[::-1], ClassRow("none", 0, None, None)], 0.5)
    expect_shown(drawing)
    assert f"of {min(150, n_classes)} of {n_classes} classes, the worst c{n_classes} 0%" in drawing.alt
    assert drawing.records[-1] == dict.fromkeys(drawing.records[0]) | {"class": "none", "n": 0}
    assert [r["recall"] for r in drawing.records[:-1]] == [row.recall.value for row in rows[::-1]]
    assert len(drawing.svg) < 2_000_000


def test_no_class_with_images_is_no_crash():
    expect_shown(draw_classes([ClassRow("none", 0, None, None)], float("nan")))


def test_the_diagram_holds_every_bin():
    bins = [Bin(3, 0.4, wilson_interval(1, 3)), Bin(90, 0.95, wilson_interval(88, 90))]
    drawing = draw_reliability(bins)
    expect_shown(drawing)
    assert [(r["n"], r["confidence"], r["right"]) for r in drawing.records] == [
        (3, 0.4, 1 / 3),
        (90, 0.95, 88 / 90),
    ]
    assert "sure 95%, right 98% of 90" in drawing.alt
    expect_shown(draw_reliability(bins[:1]))


def test_the_crops_of_one_photograph_are_drawn_with_their_scale():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    crops = (Crop((0.1, 0.2, 0.9, 0.8), pixels, b"", False, 0.5), Crop((0, 0, 1, 1), pixels, b"", True, 0.25))
    drawing = draw_principle(Principle(640, 480, pixels, b"", crops, crops[:1]))
    expect_shown(drawing)
    assert drawing.svg == ""
    assert [(r["crop"], r["left"], r["scale"]) for r in drawing.records] == [
        ("training 1", 0.1, 0.5),
        ("training 2", 0, 0.25),
        ("test", 0.1, 0.5),
    ]
