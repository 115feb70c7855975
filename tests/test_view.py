"""A view as data: its words, and how large it shows what is in a photograph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stub import center, train

from fixgrid.cache.errors import CacheError
from fixgrid.cache.view import View, apparent_ratio, read_view, resized_size
from fixgrid.embed.views import plan_crops

PHOTO_PX = (640, 480)


def show_size(view: View) -> float:
    """Pixels of a crop for one pixel of a photograph of 4:3, measured on planned crops."""
    sides = []
    for i in range(2000 if view.kind == "train" else 1):
        for crop in plan_crops(view, *PHOTO_PX, i.to_bytes(32, "big")):
            width, height = crop.resized or PHOTO_PX
            share = (crop.box[2] - crop.box[0]) / width * (crop.box[3] - crop.box[1]) / height
            sides.append(np.sqrt(share * PHOTO_PX[0] * PHOTO_PX[1] / (crop.out[0] * crop.out[1])))
    return float(1 / np.mean(sides))


@pytest.mark.parametrize("crop_ratio", ["0.875", "0.949", "1.0"])
@pytest.mark.parametrize("kind", ["center", "five", "whole", "val_train"])
def test_the_size_ratio_is_the_one_of_the_crops_at_any_crop_ratio(kind: str, crop_ratio: str) -> None:
    training = replace(train(224, draws=2), crop_ratio=crop_ratio)
    test = replace(center(320), kind=kind, crop_ratio=crop_ratio)
    measured = show_size(test) / show_size(training)
    assert apparent_ratio([training], test) == pytest.approx(measured, rel=0.02)


@pytest.mark.parametrize("crop_ratio", ["0.875", "1.0", "1.15"])
@pytest.mark.parametrize("crop_mode", ["squash", "border"])
def test_the_size_ratio_is_the_one_of_the_crops_in_any_crop_mode(crop_mode: str, crop_ratio: str) -> None:
    test = replace(center(320), crop_mode=crop_mode, crop_ratio=crop_ratio)
    measured = show_size(test) / show_size(train(224))
    assert apparent_ratio([train(224)], test) == pytest.approx(measured, rel=0.02)
    shown = show_size(test) / show_size(center(224))
    assert apparent_ratio([center(224)], test) == pytest.approx(shown, rel=0.02)


def test_a_crop_mode_is_in_the_key_where_it_changes_pixels() -> None:
    assert center().to_spec().keys() == replace(center(), draws=4).to_spec().keys()
    assert "crop_mode" not in center().to_spec()
    squash, border = (replace(center(224), crop_mode=mode) for mode in ("squash", "border"))
    for view in (squash, border):
        assert view.to_spec()["crop_mode"] == view.crop_mode
        assert read_view(view.to_spec()) == view
        assert replace(view, resize="height").to_spec() == view.to_spec()
        for kind in ("train", "whole"):
            assert replace(view, kind=kind).to_spec() == replace(center(224), kind=kind).to_spec()
    assert resized_size(300, 100, squash) == (256, 256)
    assert resized_size(300, 100, border) == (256, 85)
    assert squash.describe()["Resize"].startswith("all of the image to 256 x 256 px, its proportions lost, anti")
    assert (
        replace(border, mean=("0.485", "0.5", "0"))
        .describe()["Resize"]
        .startswith("the longest side to 256 px, padded to a square with 124, 128, 0, antialiased")
    )


def test_a_view_says_whose_pixels_it_is_made_of() -> None:
    said = center(224).describe()
    assert said["Crop"] == "center, 224 px"
    assert said["Resize"] == "the short side to 256 px, antialiased bilinear (Pillow's images)"
    other = replace(center(224), resampler="tensor", crop_ratio="0.949", resize="height")
    assert other.describe()["Resize"] == "the height to 236 px, antialiased bilinear (torchvision's tensors)"
    assert resized_size(300, 300, other) == (236, 236)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "twelve"},
        {"res": 4},
        {"res": "16"},
        {"res": 10**6},
        {"crop_ratio": "7"},
        {"resampler": "cv2"},
        {"crop_mode": "stretch"},
        {"mean": ["0"]},
        {"std": ["a"] * 3},
        {"extra": 1},
    ],
)
def test_a_view_that_no_version_makes_is_refused(change: dict[str, object]) -> None:
    assert read_view(center().to_spec()) == center()
    with pytest.raises(CacheError, match="no view of this version"):
        read_view({**center().to_spec(), **change})
