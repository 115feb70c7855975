"""Images that occur twice are found whatever their place, and leave the training set alone."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from drawn import Source

from fixgrid.cache.errors import CacheError, DataError
from fixgrid.cache.rows import Rows
from fixgrid.heads import twins
from fixgrid.heads.twin_table import format_twins, say_unseen
from fixgrid.heads.twins import (
    Twin,
    choose_res,
    drop_twins,
    expect_classes,
    find_twins,
    keep_copies,
)


class Copied(Source):
    """Distinct images, but for copies: train 5 is val 3 to the byte, train 6 test 4 in pixels, train 7 nearly 8."""

    def load(self, split, kind, res):
        found = super().load(split, kind, res)
        X = np.random.default_rng(len(split)).standard_normal((len(found.y), 1, 64)).astype(np.float32)
        found = type(found)(X, found.y.copy(), found.row + 1000, found.sha256)
        if split == "train":
            X[5], found.sha256[5] = 1, 7
            X[6] = np.arange(64)
            X[7] = X[8] * 2 + 0.01
            found.y[6] = 9
        if split == "val":
            X[3], found.sha256[3], found.y[3] = 1, 7, 1
        if split == "test":
            X[4] = np.arange(64)
        return found


def test_each_kind_of_twin_is_found_with_its_row_ids():
    same, near, pixels = sorted(find_twins(Copied(), 224).pairs, key=lambda twin: twin.how)
    assert same == Twin("bytes", ("train", 1005), ("val", 1003), 1.0, False)
    assert pixels == Twin("pixels", ("train", 1006), ("test", 1004), 1.0, True)
    assert near.how == "near"
    assert (near.first, near.second, near.conflict) == (("train", 1007), ("train", 1008), True)
    assert 0.99 < near.cosine < 1


def test_blocks_of_any_size_find_the_same(monkeypatch):
    whole = find_twins(Copied(), 224)
    monkeypatch.setattr(twins, "_CELLS", 500)
    assert find_twins(Copied(), 224) == whole


class Compared:
    """Says of each pair what it was told; of others that they are different pictures."""

    def __init__(self, told, sketches=None):
        self.told, self.asked, self.sketches = told, {}, sketches or {}

    def sketch(self, ends):
        return np.stack([self.sketches.get(end, np.zeros((2, 3))) for end in ends]).astype(np.float32)

    def compare(self, pairs):
        self.asked |= pairs
        return [self.told.get(pair, SimpleNamespace(how="", correlation=0.1)) for pair in pairs]


NEARLY = (("train", 1007), ("train", 1008))


def test_what_pixels_say_goes_before_what_features_say():
    assert [twin.how for twin in find_twins(Copied(), 224, images=Compared({})).pairs] == ["bytes", "pixels"]
    mirrored = SimpleNamespace(how="mirrored", correlation=0.98)
    found = find_twins(Copied(), 224, images=Compared({NEARLY: mirrored}))
    assert [(twin.how, twin.correlation) for twin in found.pairs if (twin.first, twin.second) == NEARLY] == [
        ("mirrored", 0.98)
    ]
    assert found.unseen == 0


def test_where_pixels_cannot_be_compared_near_features_count_and_it_is_said():
    found = find_twins(Copied(), 224, images=Compared({NEARLY: None}))
    assert [twin.how for twin in found.pairs] == ["bytes", "pixels", "near"]
    assert found.unseen == 0  # both were compared with others
    blind = Compared({})
    blind.compare = lambda pairs: [None] * len(pairs)
    assert find_twins(Copied(), 224, images=blind).unseen == 360
    assert "360 images compared by features alone" in say_unseen(360)
    assert say_unseen(0) == ""


def test_images_alike_as_a_whole_or_mirrored_are_compared_whatever_their_features():
    x, turned, other = np.eye(3)
    far = [("train", 1050), ("val", 1060), ("test", 1070), ("test", 1075)]
    sketches = dict(zip(far, [(x, turned), (turned, x), (0.8 * x + 0.6 * other, other), (x, turned)], strict=True))
    images = Compared({}, sketches)
    find_twins(Copied(), 224, images=images)
    alone = Compared({})
    find_twins(Copied(), 224, images=alone)
    more = {pair: cosine for pair, cosine in images.asked.items() if pair not in alone.asked}
    assert set(more) == {(far[0], far[1]), (far[0], far[3]), (far[1], far[3])}
    assert all(abs(cosine) < 0.6 for cosine in more.values())


def test_equal_images_leave_room_among_the_nearest():
    source = Copied()
    load = source.load

    def copied(split, kind, res):
        found = load(split, kind, res)
        if split == "train":
            found.X[10:30], found.sha256[10:30] = found.X[8], found.sha256[8]
        return found

    source.load = copied
    images = Compared({})
    pairs = find_twins(source, 224, images=images).pairs
    assert ("train", 1007) in {end for pair in images.asked for end in pair if ("train", 1029) in pair}
    alike = [twin for twin in pairs if twin.first[0] == twin.second[0] == "train"]
    assert [(twin.first[1], twin.second[1]) for twin in alike] == [
        (1008, 1010),
        *((i, i + 1) for i in range(1010, 1029)),
    ]


def test_few_images_are_compared_too():
    class Two(Copied):
        def load(self, split, kind, res):
            found = super().load(split, kind, res)
            parts = (getattr(found, name)[7:9] for name in ("X", "y", "row", "sha256"))
            return type(found)(*parts)

    assert [twin.how for twin in find_twins(Two(), 224, ["train"]).pairs] == ["near"]


def test_training_images_that_val_or_test_holds_are_dropped_and_no_other():
    subset = drop_twins(Copied(), 224, find_twins(Copied(), 224).pairs)
    whole = Copied().load("train", "center", 224).row
    assert set(whole) - set(subset.rows) == {1005, 1006}
    assert [len(subset.load(split, "center", 224).row) for split in ("train", "val", "test")] == [158, 80, 120]


LINKS = [(1, "train", "train"), (2, "train", "train"), (3, "train", "val")]


def test_copies_of_copies_are_dropped_as_far_as_each_is_proven():
    chain = [((split, 1000 + n), (other, 1001 + n)) for n, split, other in LINKS]
    apart = [(("train", 1010), ("train", 1011)), (("val", 1002), ("test", 1002))]
    proven = [Twin("copy", *pair, 0.9, False, 0.9) for pair in [*chain, *apart]]
    alike = [Twin("scene", ("train", 1020), ("train", 1003), 0.9, False, 0.9)]
    beside = [Twin("near", ("train", 1030), ("test", 1030), 0.97, False)]
    whole = set(Copied().load("train", "center", 224).row)
    assert whole - set(drop_twins(Copied(), 224, [*proven, *alike, *beside]).rows) == {1001, 1002, 1003, 1030}
    assert whole == set(drop_twins(Copied(), 224, []).rows)


def holding(**resolutions):
    """A data set whose splits are cached in centre views at these resolutions."""
    manifest = SimpleNamespace(splits=resolutions)
    return SimpleNamespace(
        manifest=manifest, resolutions=lambda split, kind: resolutions[split], expect=lambda places: None
    )


def test_near_images_are_copies_unless_so_many_look_alike():
    near = Twin("near", ("train", 1), ("test", 2), 0.97, False)
    same = [Twin(how, ("train", 3), ("val", 4), 1.0, False) for how in ("bytes", "pixels")]
    assert keep_copies([near, *same], 20) == [near, *same]
    assert keep_copies([near, *same], 19) == same
    proven = [Twin(how, ("train", 1), ("test", 2), 0.8, False, 0.9) for how in ("copy", "mirrored", "cropped")]
    assert keep_copies([*proven, Twin("scene", ("train", 3), ("test", 4), 0.9, False, 0.95)], 19) == proven


def test_images_are_compared_where_the_cosine_was_measured_or_nearest_to_it():
    assert choose_res(holding(train=[128, 224, 320], val=[128, 224], test=[128, 224, 320])) == 224
    assert choose_res(holding(train=[128, 224, 320], val=[128, 320], test=[128, 320])) in (128, 320)
    assert choose_res(holding(train=[320, 480], val=[320, 480], test=[320, 480])) == 320
    with pytest.raises(CacheError, match="extract"):
        choose_res(holding(train=[224], val=[128], test=[224]))


def rows(*paths):
    n = len(paths)
    return Rows(paths, np.zeros(n, np.int64), np.zeros((n, 32), np.uint8), np.zeros(n, np.int64))


SPLITS = {"train": rows(b"a|b.jpg", b"c\x1b.jpg"), "test": rows(b"\xff.jpg")}
PAIRS = [
    Twin("copy", ("train", 0), ("train", 1), 0.95678, False, 0.98765),
    Twin("bytes", ("train", 1), ("test", 0), 1.0, True),
]


@pytest.mark.parametrize(
    ("labels", "after", "said"),
    [
        ([0, 0, 1], [0, 1], "no training image of dog that val"),
        ([[True, False], [False, False], [True, True]], [0, 1], "no training image of dog that val"),
        ([0, 0, 1], [], "no training image that val"),
        ([0.5, 0.5, 2.0], [], "no training image that val"),
    ],
)
def test_a_class_that_would_be_dropped_whole_is_refused(labels, after, said):
    train = replace(rows(b"1", b"2", b"3"), labels=np.array(labels))
    expect_classes(train, np.arange(3), np.array([0, 2]), ("cat", "dog"))
    with pytest.raises(DataError, match=said):
        expect_classes(train, np.arange(3), np.array(after, np.int64), ("cat", "dog"))


def test_a_pair_is_a_line_with_both_places_and_a_conflict_is_marked():
    head, _, first, second = format_twins(PAIRS, SPLITS, "table").splitlines()
    assert " ".join(head.split()) == "split path other other path how cosine grey labels"
    assert first.split() == ["train", "a|b.jpg", "train", r"c\x1b.jpg", "copy", "0.9568", "0.9877"]
    assert second.split() == ["train", r"c\x1b.jpg", "test", r"\udcff.jpg", "bytes", "1.0", "differ"]
    assert r"| a\|b.jpg |" in format_twins(PAIRS, SPLITS, "md")


def test_records_hold_paths_and_conflicts_for_programs():
    found = json.loads(format_twins(PAIRS, SPLITS, "json"))
    assert [(r["path"], r["other path"], r["labels differ"], r["correlation"]) for r in found] == [
        ("a|b.jpg", "c\x1b.jpg", False, 0.9877),
        ("c\x1b.jpg", "\udcff.jpg", True, None),
    ]
    table = list(csv.DictReader(io.StringIO(format_twins(PAIRS, SPLITS, "csv"))))
    assert [(r["other split"], r["how"], r["labels differ"]) for r in table] == [
        ("train", "copy", "False"),
        ("test", "bytes", "True"),
    ]


def test_no_pair_is_said_so():
    assert format_twins([], SPLITS, "table").startswith("nothing")
    assert json.loads(format_twins([], SPLITS, "json")) == []
