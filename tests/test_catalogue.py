"""The table of trunks: every row can be resolved, and says what the weights' own metadata say."""

from __future__ import annotations

import pytest

from fixgrid.cache.errors import UsageError
from fixgrid.embed.trunks.catalogue import BSD, CatalogueEntry, list_trunks
from fixgrid.embed.trunks.library import find_source

AVAILABLE = [entry for entry in list_trunks() if entry.available]


# As their publishers have them: native px, top-1 % of ImageNet's validation images, licence.
PUBLISHED = {
    "efficientnet_lite0": (224, 75.1, "Apache-2.0"),
    "efficientnet_lite2": (260, 77.6, "Apache-2.0"),
    "resnext101_32x48d_wsl": (224, 85.4, "CC BY-NC 4.0"),
    "timm:resnext101_32x8d.fb_wsl_ig1b_ft_in1k": (224, 82.2, "CC BY-NC 4.0"),
    "timm:tf_efficientnet_b7.ns_jft_in1k": (600, 86.9, "Apache-2.0"),
    "timm:tf_efficientnet_l2.ns_jft_in1k": (800, 88.4, "Apache-2.0"),
    "torchvision:efficientnet_v2_l": (480, 85.808, "BSD-3-Clause"),
    "timm:inception_resnet_v2.tf_in1k": (299, 80.4, "Apache-2.0"),
}


def test_the_table_has_what_publishers_say() -> None:
    listed = {entry.name: (entry.native_res, entry.top1, entry.licence) for entry in list_trunks()}
    assert {name: listed[name] for name in PUBLISHED} == PUBLISHED
    assert len(AVAILABLE) == 32


def show(entry: CatalogueEntry) -> str:
    return entry.name


@pytest.mark.parametrize("entry", AVAILABLE, ids=show)
def test_a_listed_trunk_is_found_with_weights_at_its_native_resolution(entry: CatalogueEntry) -> None:
    source = find_source(entry.name)
    assert source.weights
    assert source.imagenet_labels
    assert source.preprocess.native_res == entry.native_res


@pytest.mark.parametrize("entry", [entry for entry in AVAILABLE if entry.licence == BSD], ids=show)
def test_an_accuracy_of_torchvision_is_the_one_of_its_metadata(entry: CatalogueEntry) -> None:
    import torchvision

    weights = torchvision.models.get_model_weights(entry.name.partition(":")[2]).DEFAULT
    assert entry.top1 == weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]


@pytest.mark.parametrize("entry", [entry for entry in AVAILABLE if entry.origin == "timm"], ids=show)
def test_a_licence_of_timm_is_the_one_of_its_metadata(entry: CatalogueEntry) -> None:
    import timm

    stated = timm.get_pretrained_cfg(entry.name.partition(":")[2]).license
    assert stated.replace("-", " ").lower() == entry.licence.replace("-", " ").lower()


def test_the_default_comes_first_and_no_name_twice() -> None:
    names = [entry.name for entry in list_trunks()]
    assert names[0] == "efficientnet_lite0"
    assert len(set(names)) == len(names)


def test_weights_that_were_never_released_are_listed_as_such_and_cannot_be_asked_for() -> None:
    (missing,) = (entry for entry in list_trunks() if not entry.available)
    assert missing.name == "FixEfficientNet-L2"
    assert "never released" in missing.origin
    with pytest.raises(UsageError, match="no trunk named"):
        find_source(missing.name)
