"""Images that occur twice are found whatever their place, and leave the training set alone."""

from __future__ import annotations

import numpy as np
from drawn import Source

import heads.twins
from heads.twins import Twin, drop_twins, find_twins


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
    file, near, pixels = sorted(find_twins(Copied(), 224), key=lambda twin: twin.how)
    assert file == Twin("file", ("train", 1005), ("val", 1003), 1.0, False)
    assert pixels == Twin("pixels", ("train", 1006), ("test", 1004), 1.0, True)
    assert near.how == "near"
    assert (near.first, near.second, near.conflict) == (("train", 1007), ("train", 1008), True)
    assert 0.99 < near.cosine < 1


def test_blocks_of_any_size_find_the_same(monkeypatch):
    whole = find_twins(Copied(), 224)
    monkeypatch.setattr(heads.twins, "_CELLS", 500)
    assert find_twins(Copied(), 224) == whole


def test_training_images_that_val_or_test_holds_are_dropped_and_no_other():
    subset = drop_twins(Copied(), 224, find_twins(Copied(), 224))
    whole = Copied().load("train", "center", 224).row
    assert set(whole) - set(subset.rows) == {1005, 1006}
    assert [len(subset.load(split, "center", 224).row) for split in ("train", "val", "test")] == [158, 80, 120]
