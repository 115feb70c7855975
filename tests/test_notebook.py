"""What a notebook does: open a cache, take the arrays, and use the heads as scikit-learn estimators."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from stub import TRUNK, center, run_stub
from stub import train as crops
from zoo import draw_photo, encode, list_manifest

from fixgrid.cache.reader import Reader, open_store
from fixgrid.cache.store import FeatureStore
from fixgrid.embed.extraction import Extraction
from fixgrid.heads.estimators import ESTIMATORS, LogisticHead, RidgeHead

SIZES = {"train": 40, "val": 10, "test": 20}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """A data set of dark and bright photographs, extracted and opened again from its cache folder alone."""
    folder = tmp_path_factory.mktemp("work")
    for split, n in SIZES.items():
        for i in range(n):
            path = folder / "data" / split / "ab"[i % 2] / f"{i:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            shade = 0.4 + 0.6 * (i % 2)
            photo = draw_photo(24, 20, 100 * n + i).point(lambda value, shade=shade: int(value * shade))
            path.write_bytes(encode(photo))
    manifest = list_manifest(folder / "data", {split: split for split in SIZES})
    views = {split: [center(16)] for split in SIZES}
    views["train"].append(crops(16, draws=3))
    run_stub(Extraction(FeatureStore(folder / "features"), manifest, TRUNK, views))
    return open_store(str(folder / "features"))


def test_arrays_come_with_their_labels(cache: Reader) -> None:
    found = cache.load("train", 16)
    X, y = found.X, found.y
    assert (X.shape, X.dtype, y.shape, y.dtype) == ((40, 6), np.float32, (40,), np.int64)
    assert np.bincount(y).tolist() == [20, 20]
    brightness = X[:, :3].mean(axis=1)
    assert brightness[y == 1].mean() > 1.5 * brightness[y == 0].mean()
    assert [path.split("/")[-2] for path in found.paths] == found.labels.tolist()


def test_every_random_crop_is_a_row_with_the_label_of_its_image(cache: Reader) -> None:
    found = cache.load("train", 16, "train")
    X, y = found.X, found.y
    whole = cache.holdings().load("train", "train", 16)
    assert X.shape == (120, 6)
    np.testing.assert_array_equal(X.reshape(40, 3, 6), whole.X)
    np.testing.assert_array_equal(y.reshape(40, 3), whole.y[:, None].repeat(3, 1))
    assert y[57:63].tolist() == [0, 0, 0, 1, 1, 1]


def test_a_head_in_a_pipeline_is_searched_and_scored(cache: Reader) -> None:
    train, test = cache.load("train", 16), cache.load("test", 16)
    assert train.classes == ("a", "b")
    pipeline = make_pipeline(Normalizer(), LogisticHead())
    assert pipeline.fit(train.X, train.y).score(test.X, test.y) > 0
    search = GridSearchCV(LogisticHead(), {"C": [0.01, 1.0]}, cv=4).fit(train.X, train.y)
    assert search.score(test.X, test.y) >= 0.9
    steps = GridSearchCV(make_pipeline(Normalizer(), RidgeHead()), {"ridgehead__alpha": [0.1, 10.0]}, cv=4)
    assert steps.fit(train.X, train.y).best_params_.keys() == {"ridgehead__alpha"}


@pytest.mark.parametrize("family", sorted(ESTIMATORS.keys() - {"knn"}))  # its cosine does not see brightness
def test_every_head_learns_dark_from_bright(family: str, cache: Reader) -> None:
    train, test = cache.load("train", 16), cache.load("test", 16)
    assert ESTIMATORS[family]().fit(train.X, train.y).score(test.X, test.y) >= 0.9
