"""What a notebook does: extract a folder, take the arrays, and use the heads as scikit-learn estimators."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from stub import TRUNK, SilentWatcher, center, open_stubs
from zoo import draw_photo, encode, list_manifest

from cache.holdings import Holdings, find_holdings
from cache.store import FeatureStore
from embed.engine import Extraction
from heads.estimators import LogisticHead

SIZES = {"train": 40, "val": 10, "test": 20}


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Holdings:
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
    store = FeatureStore(folder / "features")
    Extraction(store, manifest, TRUNK, views).run(open_stubs, SilentWatcher(), workers=1)
    return find_holdings(FeatureStore(folder / "features"))


def test_arrays_come_with_their_labels(features: Holdings) -> None:
    train = features.load("train", "center", 16)
    assert (train.X.shape, train.X.dtype, train.y.shape) == ((40, 1, 6), np.float32, (40,))
    assert np.bincount(train.y).tolist() == [20, 20]
    brightness = train.X[:, 0, :3].mean(axis=1)
    assert brightness[train.y == 1].mean() > 1.5 * brightness[train.y == 0].mean()


def test_a_head_in_a_pipeline_is_searched_and_scored(features: Holdings) -> None:
    train, test = features.load("train", "center", 16), features.load("test", "center", 16)
    pipeline = make_pipeline(Normalizer(), LogisticHead())
    assert pipeline.fit(train.X[:, 0], train.y).score(test.X[:, 0], test.y) > 0
    search = GridSearchCV(LogisticHead(), {"C": [0.01, 1.0]}, cv=4).fit(train.X[:, 0], train.y)
    assert search.score(test.X[:, 0], test.y) >= 0.9
