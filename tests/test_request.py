from __future__ import annotations

from types import SimpleNamespace

import pytest

from fixgrid.cache.errors import UsageError
from fixgrid.embed.request import Wanted, choose_views, read_resolutions
from fixgrid.embed.trunks.library import find_source

PREPROCESS = SimpleNamespace(mean=("0.5",) * 3, std=("0.5",) * 3, interpolation="bicubic", crop_ratio="0.9")


def test_resolutions_come_sorted_and_once() -> None:
    assert read_resolutions("320, 224,224") == read_resolutions([320, 224]) == (224, 320)


@pytest.mark.parametrize("text", ["", "224x", "4", "-224", "9999", "22.4"])
def test_what_is_not_a_resolution_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected"):
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
