"""The whole product against an independent reference: timm, torchvision's PIL transforms, scikit-learn."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from test_cli import run

from fixgrid.cache.features import FeatureSet
from fixgrid.cache.holdings import Holdings, find_holdings
from fixgrid.cache.store import FeatureStore

RES = 128
COMPARED = 40


@pytest.fixture(scope="module")
def holdings(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Holdings:
    """Features of 30 breeds at one resolution, center views only, by the command line."""
    cache = tmp_path_factory.mktemp("dogs")
    run("extract", "--data", shared_data / "dogs", "--res", RES, "--train-views", 0, "--cache", cache)
    return find_holdings(FeatureStore(cache))


def reference_features(holdings: Holdings, split: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """What anyone would write: open, convert, torchvision's transforms, timm's model in float32."""
    import timm
    import torch
    from PIL import Image
    from torchvision import transforms
    from torchvision.transforms import InterpolationMode

    from fixgrid.embed.trunks.trunk import load_trunk

    trunk = load_trunk("efficientnet_lite0")
    model = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    model.load_state_dict(trunk.module.state_dict())
    look = transforms.Compose(
        [
            transforms.Resize(int(RES / 0.875), InterpolationMode.BICUBIC),
            transforms.CenterCrop(RES),
            transforms.ToTensor(),
            transforms.Normalize(
                [float(m) for m in trunk.preprocess.mean], [float(s) for s in trunk.preprocess.std]
            ),
        ]
    )
    paths = holdings.manifest.splits[split].paths
    images = [
        Image.open(os.path.join(holdings.manifest.root, os.fsdecode(paths[row]))).convert("RGB") for row in rows
    ]
    with torch.inference_mode():
        features: NDArray[np.float32] = model(torch.stack([look(image) for image in images])).numpy()
    return features


def test_features_agree_with_the_reference(holdings: Holdings) -> None:
    ours = holdings.load("test", "center", RES)
    rows = np.linspace(0, len(ours.row) - 1, COMPARED).astype(np.int64)
    theirs = reference_features(holdings, "test", rows)
    error = np.linalg.norm(ours.X[rows, 0] - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    assert error.max() < 1e-4


def test_accuracy_agrees_with_scikit_learn_within_a_point(holdings: Holdings) -> None:
    from sklearn.linear_model import LogisticRegression

    cell = json.loads(
        run("grid", "--cache", holdings.entry("val", "center", RES).folder.parents[2], "--format", "json").stdout
    )["cells"][0]
    train, test = (holdings.load(split, "center", RES) for split in ("train", "test"))
    mean, std = train.X[:, 0].mean(axis=0), train.X[:, 0].std(axis=0)

    def scale(features: FeatureSet) -> NDArray[np.float32]:
        scaled: NDArray[np.float32] = (features.X[:, 0] - mean) / std
        return scaled

    reference = LogisticRegression(C=cell["C"], max_iter=2000, tol=1e-6).fit(scale(train), train.y)
    assert abs(reference.score(scale(test), test.y) - cell["test"]) <= 0.01
