"""What users say of pixels, in options and in Python, and what they are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixgrid.cache.errors import UsageError
from fixgrid.embed.trunks.library import find_source
from fixgrid.embed.trunks.look import LOOK, attribute_look, read_look
from fixgrid.embed.trunks.preprocess import Preprocess

IMAGENET = Preprocess(("0.485", "0.456", "0.406"), ("0.229", "0.224", "0.225"), "bilinear", "1.0", 224)


@pytest.mark.parametrize("mean", ["0.5,0.5,0.5", " .5, 0.50,5e-1", "0.5", 0.5, (0.5, 0.5, 0.5), ["0.5"] * 3])
def test_three_channels_come_as_text_as_numbers_and_as_one_for_all(mean: object) -> None:
    assert read_look(mean) == {"mean": ("0.5", "0.5", "0.5")}


def test_only_what_is_given_is_read() -> None:
    assert read_look() == {}
    assert read_look(std=(1, 1, 1), crop_ratio=1, crop_mode="squash", interpolation="lanczos") == {
        "std": ("1.0", "1.0", "1.0"), "crop_ratio": "1.0", "crop_mode": "squash", "interpolation": "lanczos"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"mean": "0.5,0.5"}, "found the mean 0.5,0.5; expected three numbers"),
        ({"mean": ""}, "found the mean ''; expected three numbers"),
        ({"mean": "a"}, "expected three numbers"),
        ({"mean": "123.7,116.3,103.5"}, "divide what is meant for 0..255 by 255"),
        ({"mean": float("nan")}, "expected three numbers"),
        ({"std": 0}, "found the std 0.0,0.0,0.0; expected numbers above 0"),
        ({"crop_ratio": "big"}, "found the crop ratio big; expected a number, 0.1 to 1.5"),
        ({"crop_ratio": 2}, "found the crop ratio 2.0"),
        ({"crop_mode": "stretch"}, "found the crop mode 'stretch'; expected one of center, squash, border"),
        ({"interpolation": "cubic"}, "expected one of nearest, bilinear, bicubic, lanczos"),
    ],
)
def test_what_no_pixels_can_have_is_refused(given: dict[str, object], found: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_look(**given)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_weights_say_anyway_changes_no_key() -> None:
    assert IMAGENET.override(read_look("0.4850,0.456,.406", crop_ratio="1", crop_mode="center")) is IMAGENET
    zeros = replace(IMAGENET, mean=("0", "0.0", "0"))
    assert zeros.override(read_look(0)) is zeros
    assert IMAGENET.override(read_look(crop_ratio=".9")) == replace(IMAGENET, crop_ratio="0.9")


def test_it_is_said_whose_word_each_value_is() -> None:
    origins = {**dict.fromkeys(LOOK, "timm's metadata"), "std": "your --std"}
    assert attribute_look(replace(IMAGENET, crop_mode="squash"), origins) == (
        "mean 0.485, 0.456, 0.406 (timm's metadata); std 0.229, 0.224, 0.225 (your --std); "
        "bilinear; crop ratio 1.0; squash crop (timm's metadata)"
    )


def test_trunks_for_images_that_are_not_square_are_refused() -> None:
    with pytest.raises(UsageError, match=r"images of 1024 x 768 px .*; expected square ones"):
        find_source("timm:vit_base_patch16_sapiens2.fb")
