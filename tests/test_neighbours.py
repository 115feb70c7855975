"""Neighbours are those of brute force, whatever the blocks, and equal ones come in the order of the data set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from entries import make_rows
from numpy.typing import NDArray

from fixgrid.cache.features import FeatureSet
from fixgrid.cache.rows import Manifest
from fixgrid.heads.neighbours import Alike, Neighbour, find_neighbours, format_alike, name_neighbours

RNG = np.random.default_rng(0)
HELD = {
    "train": RNG.standard_normal((50, 8)),
    "val": RNG.standard_normal((7, 8)),
    "test": RNG.standard_normal((9, 8)),
}
X = RNG.standard_normal((3, 8)).astype(np.float32)


def cut(features: NDArray[np.float64], step: int) -> Iterator[FeatureSet]:
    """Blocks of ``step`` rows, every third row without features."""
    for start in range(0, len(features), step):
        row = np.array([i for i in range(start, min(start + step, len(features))) if i % 3])
        part = features[row].astype(np.float32)[:, None] if len(row) else np.zeros((0, 1, 8), np.float32)
        yield FeatureSet(part, np.full(len(row), -1), row, np.zeros((len(row), 32), np.uint8))


def search(step: int, top: int, itself: list[tuple[str, int] | None] | None = None) -> list[list]:
    return find_neighbours(X, ((k, cut(v, step)) for k, v in HELD.items()), top, itself or [None] * len(X))


def brute(x: NDArray[np.float32]) -> list[tuple[float, str, int]]:
    def cosine(other: NDArray[np.float32]) -> float:
        return float(x.astype(float) @ other / np.linalg.norm(x.astype(float)) / np.linalg.norm(other))

    rows = [(k, i, row) for k, part in HELD.items() for i, row in enumerate(part) if i % 3]
    return sorted(((cosine(row.astype(np.float32).astype(float)), k, i) for k, i, row in rows), reverse=True)


@pytest.mark.parametrize("step", [1, 4, 100])
@pytest.mark.parametrize("top", [1, 5, 1000])
def test_neighbours_are_those_of_brute_force_whatever_the_blocks(step: int, top: int) -> None:
    for found, x in zip(search(step, top), X, strict=True):
        wanted = brute(x)[:top]
        assert [(split, row) for split, row, _ in found] == [(split, row) for _, split, row in wanted]
        np.testing.assert_allclose([value for *_, value in found], [value for value, *_ in wanted], atol=1e-6)


def test_an_image_is_no_neighbour_of_its_own_but_its_copies_are() -> None:
    held = {"train": np.repeat(RNG.standard_normal((1, 8)), 6, 0), "test": RNG.standard_normal((3, 8))}
    x = held["train"][:1].astype(np.float32)
    (found,) = find_neighbours(x, ((k, cut(v, 2)) for k, v in held.items()), 3, [("train", 2)])
    assert found == [("train", 1, 1.0), ("train", 4, 1.0), ("train", 5, 1.0)]


def test_equal_neighbours_come_in_the_order_of_the_data_set() -> None:
    rows = {"train": np.tile(HELD["val"][:1], (400, 1)), "test": np.tile(HELD["val"][:1], (5, 1))}
    for step in (7, 64, 400):
        (found,) = find_neighbours(X[:1], ((k, cut(v, step)) for k, v in rows.items()), 4, [None])
        assert [(split, row) for split, row, _ in found] == [("train", row) for row in (1, 2, 4, 5)]


def test_features_that_are_all_zero_are_like_nothing() -> None:
    (found,) = find_neighbours(np.zeros((1, 8), np.float32), iter([("test", cut(HELD["test"], 9))]), 2, [None])
    assert [value for *_, value in found] == [0.0, 0.0]


MANIFEST = Manifest("d", "/d", ("dark|", "b\x1b"), {"test": make_rows(3)})
NEAR = name_neighbours([("test", 1, 0.5), ("test", 0, 0.25)], MANIFEST)
FOUND = [Alike(b"\xff.png", "ok", NEAR), Alike(b"bad.png", "decode")]


def test_rows_are_named_with_path_and_class_if_they_have_one() -> None:
    assert NEAR[0] == Neighbour("test", 1, b"0/00001.png", "b\x1b", 0.5)
    blank = Manifest("d", "/d", (), {"test": make_rows(1)})
    blank.splits["test"].labels[:] = -1
    assert name_neighbours([("test", 0, 1.0)], blank)[0].label is None


@pytest.mark.parametrize(
    ("task", "classes", "label", "named", "shown"),
    [
        ("regression", ("age",), 40.5, 40.5, "40.5"),
        ("multilabel", ("a", "b", "c"), [True, False, True], ("a", "c"), "a, c"),
    ],
)
def test_numbers_and_several_classes_are_shown_as_what_they_are(task, classes, label, named, shown) -> None:
    rows = replace(make_rows(1), labels=np.array([label]))
    near = name_neighbours([("test", 0, 1.0)], Manifest("d", "/d", classes, {"test": rows}, task=task))
    assert near[0].label == named
    assert shown in format_alike([Alike(b"x.png", "ok", near)], "table")


def test_json_has_a_record_for_each_image_and_csv_a_line_for_each_pair() -> None:
    first, second = json.loads(format_alike(FOUND, "json"))
    assert first["path"] == "\udcff.png"
    assert first["nearest"][1] == {
        "path": "0/00000.png", "split": "test", "row": 0, "class": "dark|", "similarity": 0.25
    }  # fmt: skip
    assert second == {"path": "bad.png", "status": "decode", "nearest": []}
    assert format_alike(FOUND, "csv").splitlines() == [
        "image,similarity,split,class,path",
        "\\udcff.png,0.5,test,b\\x1b,0/00001.png",
        "\\udcff.png,0.25,test,dark|,0/00000.png",
        "bad.png,,,,skipped: decode",
    ]


@pytest.mark.parametrize("style", ["table", "md"])
def test_tables_name_the_image_only_among_several_and_escape(style: str) -> None:
    several, one = format_alike(FOUND, style), format_alike(FOUND[:1], style)
    assert "\x1b" not in several + one
    assert ("image" in several, "image" in one) == (True, False)
    assert ("dark\\|" in one) is (style == "md")
