"""A training subset leaves val, test and row ids alone, and is known by the rows it keeps."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import Source

from fixgrid.heads.subset import TrainSubset, keep_rows


def test_only_train_loses_images_and_every_view_goes_with_its_image():
    source, rows = Source(), np.array([3, 7, 8, 150])
    subset = TrainSubset(source, rows)
    whole, train = source.load("train", "train", 224), subset.load("train", "train", 224)
    np.testing.assert_array_equal(train.row, rows)
    for name in ("X", "y", "sha256"):
        np.testing.assert_array_equal(getattr(train, name), getattr(whole, name)[rows])
    assert [len(subset.load(split, "center", 224).row) for split in ("val", "test")] == [80, 120]


def test_a_subset_is_known_by_its_rows_in_train_alone():
    source = Source()
    first, same, other = (TrainSubset(source, np.array(rows)) for rows in ([1, 2], [2, 1, 1], [1, 3]))
    names = [subset.identify("train", "center", 224) for subset in (source, first, same, other)]
    assert names[1] == names[2]
    assert len(set(names)) == 3
    for split in ("val", "test"):
        assert first.identify(split, "center", 224) == source.identify(split, "center", 224)


@pytest.mark.parametrize("rows", [np.arange(160), np.arange(-5, 500)])
def test_nothing_is_copied_where_nothing_is_left_out(rows):
    train = Source().load("train", "center", 224)
    assert keep_rows(train, rows) is train
