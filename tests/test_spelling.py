"""Trunks by the names that other tools give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixgrid.cache.errors import UsageError
from fixgrid.embed.trunks import hub_trunks, spelling
from fixgrid.embed.trunks.library import find_source
from fixgrid.embed.trunks.spelling import suggest_spelling


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("torchvision.models.resnet50", "torchvision:resnet50"),
        ("torchvision/resnet50", "torchvision:resnet50"),
        ("timm.resnet50", "timm:resnet50"),
        ("hf:ORG/NAME", "transformers:ORG/NAME, or hf-hub:ORG/NAME if timm wrote it"),
        ("dinov2_vits14", "timm:vit_small_patch14_dinov2.lvd142m"),
        ("facebookresearch/dinov2:dinov2_vitb14_reg", "timm:vit_base_patch14_reg4_dinov2.lvd142m"),
        ("clip:ViT-B-32/openai", "open_clip:ViT-B-32/openai"),
        ("ViT-L/14", "open_clip:ViT-L-14/openai"),
        ("resnet50.a1_in1k", ""),
        ("timm/resnet50.a1_in1k", ""),
        ("hf-hub:timm/resnet50.a1_in1k", ""),
    ],
)  # fmt: skip
def test_a_name_of_another_tool_has_one_here(name: str, here: str) -> None:
    assert suggest_spelling(name) == here


def test_such_a_name_is_refused_with_the_one_here() -> None:
    with pytest.raises(UsageError, match="'dinov2_vits14'; expected timm:vit_small_patch14_dinov2"):
        find_source("dinov2_vits14")


def test_the_names_that_are_told_exist() -> None:
    published = Path(spelling.__file__).with_name("published.tsv").read_text(encoding="utf-8")
    for name in (f"dinov2_vit{size}14{registers}" for size in "sblg" for registers in ("", "_reg")):
        assert f"{suggest_spelling(name).removeprefix('timm:')}\t" in published


def test_a_repository_that_cannot_be_fetched_may_be_of_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise UsageError("cannot fetch.")

    monkeypatch.setattr(hub_trunks, "fetch_file", refuse)
    with pytest.raises(
        UsageError, match=r"cannot fetch\. A model of transformers is transformers:facebook/dinov2-base"
    ):
        find_source("facebook/dinov2-base")
