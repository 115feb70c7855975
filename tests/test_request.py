from __future__ import annotations

from dataclasses import replace

import pytest

from fixgrid.cache.errors import UsageError
from fixgrid.embed.request import Wanted, choose_views, read_resolutions
from fixgrid.embed.trunks.library import find_source
from fixgrid.embed.trunks.preprocess import Preprocess

PREPROCESS = Preprocess(("0.5",) * 3, ("0.5",) * 3, "bicubic", "0.9", 224)
SQUASH, BORDER = (replace(PREPROCESS, crop_mode=mode) for mode in ("squash", "border"))


def test_resolutions_come_sorted_and_once() -> None:
    assert read_resolutions("320, 224,224") == read_resolutions([320, 224]) == (224, 320)


@pytest.mark.parametrize("text", ["", "224x", "4", "-224", "9999", "22.4"])
def test_what_is_not_a_resolution_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        read_resolutions(text)


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("224x224", "224"),
        ("224px", "224"),
        ("(224, 320)", "224,320"),
        ("224-320", "224,320"),
        ("224*192", "224,192"),
    ],
)
def test_sides_that_are_written_otherwise_are_told_as_typed_here(text: str, typed: str) -> None:
    with pytest.raises(UsageError, match=f"crops are square: --res {typed}[.]$"):
        read_resolutions(text)


@pytest.mark.parametrize("text", ["22.4", "9999", "large"])
def test_what_are_no_sides_is_not_guessed(text: str) -> None:
    with pytest.raises(UsageError, match=r"as in 224,320[.]$"):
        read_resolutions(text)


def test_every_split_is_seen_at_its_center_and_only_training_images_are_drawn() -> None:
    views = choose_views(PREPROCESS, ("train", "val", "test"), Wanted((64, 96)))
    assert [(view.kind, view.res, view.count) for view in views["train"]] == [
        ("center", 64, 1),
        ("train", 64, 2),
        ("center", 96, 1),
        ("train", 96, 2),
    ]
    assert {view.kind for view in (*views["val"], *views["test"])} == {"center"}


def test_no_training_draws_on_request() -> None:
    views = choose_views(PREPROCESS, ("train",), Wanted((64,), train_views=0))
    assert [view.kind for view in views["train"]] == ["center"]


def test_more_views_are_added_where_they_belong() -> None:
    views = choose_views(PREPROCESS, ("train", "test"), Wanted((64,), extra=("ten", "val_train")))
    assert [view.kind for view in views["train"]] == ["center", "ten", "train", "val_train"]
    assert [view.kind for view in views["test"]] == ["center", "ten"]


def test_a_view_carries_the_weights_own_preprocessing() -> None:
    """Of AdvProp weights: .5 and bicubic, and a crop of its own (Xie et al. 2020), not ImageNet's."""
    look = find_source("timm:tf_efficientnet_b4.ap_in1k").preprocess
    (view,) = choose_views(look, ("val",), Wanted())["val"]
    assert (view.mean, view.std) == (("0.5", "0.5", "0.5"), ("0.5", "0.5", "0.5"))
    assert (view.res, view.interpolation, view.crop_ratio) == (380, "bicubic", "0.922")


def test_an_unknown_view_is_refused() -> None:
    with pytest.raises(UsageError, match="expected some of"):
        choose_views(PREPROCESS, ("val",), Wanted((64,), extra=("twelve",)))


def test_views_that_cut_a_center_are_cut_as_the_weights_say() -> None:
    """The published transform of ConvNeXt at 384 px squashes the image; random crops know nothing of it."""
    look = find_source("timm:convnext_tiny.fb_in22k_ft_in1k_384").preprocess
    center, train = choose_views(look, ("train",), Wanted())["train"]
    assert (center.crop_mode, center.crop_ratio, center.to_spec()["crop_mode"]) == ("squash", "1.0", "squash")
    assert "crop_mode" not in train.to_spec()


@pytest.mark.parametrize(
    ("look", "wanted"),
    [
        (SQUASH, Wanted((64,), resize="height")),
        (BORDER, Wanted((64,), resize="height")),
        (BORDER, Wanted((64,), extra=("five",))),
        (replace(SQUASH, crop_ratio="1.0"), Wanted((64,), extra=("ten",))),
    ],
)
def test_cuts_that_a_crop_mode_leaves_no_room_for_are_refused(look: Preprocess, wanted: Wanted) -> None:
    with pytest.raises(UsageError, match=f"the crop mode {look.crop_mode}.* give --crop-mode center"):
        choose_views(look, ("val",), wanted)
    assert choose_views(replace(look, crop_mode="center"), ("val",), wanted)


def test_five_crops_of_a_squashed_image_are_its_corners() -> None:
    assert choose_views(SQUASH, ("val",), Wanted((64,), extra=("five",)))["val"][1].crop_mode == "squash"
