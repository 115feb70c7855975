"""The tables of trunks: they say what the weights' own metadata say, and what is looked for is found."""

from __future__ import annotations

import csv
import io
import json
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import catalogue as maker
import pytest
from conftest import ROOT

import fixgrid
from fixgrid.cache.errors import UsageError
from fixgrid.embed.trunks.catalogue import (
    NON_COMMERCIAL,
    CatalogueEntry,
    find_licence,
    list_published,
    list_trunks,
    search_trunks,
)
from fixgrid.embed.trunks.library import find_source
from fixgrid.searching import format_models

FOLDER = ROOT / "embed" / "trunks"
AVAILABLE = [entry for entry in list_trunks() if entry.available]
MADE_OF = (FOLDER / "published.tsv").read_text(encoding="utf-8").splitlines()[0]
as_installed = pytest.mark.skipif(
    maker.name_versions() != MADE_OF, reason=f"published.tsv is {MADE_OF}; installed {maker.name_versions()}"
)

# As their publishers have them: native px, top-1 % of ImageNet's validation images, licence.
PUBLISHED = {
    "efficientnet_lite0": (224, 75.1, "Apache-2.0"),
    "efficientnet_lite2": (260, 77.6, "Apache-2.0"),
    "resnext101_32x48d_wsl": (224, 85.4, "CC BY-NC 4.0"),
    "timm:resnext101_32x8d.fb_wsl_ig1b_ft_in1k": (224, 82.2, "CC BY-NC 4.0"),
    "timm:tf_efficientnet_b7.ns_jft_in1k": (600, 86.9, "Apache-2.0"),
    "timm:tf_efficientnet_l2.ns_jft_in1k": (800, 88.4, "Apache-2.0"),
    "timm:vit_small_patch14_dinov2.lvd142m": (518, 81.1, "Apache-2.0"),
    "timm:vit_large_patch14_reg4_dinov2.lvd142m": (518, 86.7, "Apache-2.0"),
    "timm:vit_base_patch16_dinov3.lvd1689m": (256, None, "dinov3-license"),
    "timm:vit_base_patch16_224.mae": (224, None, "CC BY-NC 4.0"),
    "torchvision:efficientnet_v2_l": (480, 85.808, "BSD-3-Clause"),
    "timm:inception_resnet_v2.tf_in1k": (299, 80.4, "Apache-2.0"),
}
SIZES = {
    "efficientnet_lite0": "any",
    "timm:vit_small_patch14_dinov2.lvd142m": "multiples of 14",
    "timm:vit_base_patch16_dinov3.lvd1689m": "multiples of 16",
    "timm:convnext_tiny.dinov3_lvd1689m": "any",
}


def test_the_table_has_what_publishers_say() -> None:
    listed = {entry.name: (entry.native_res, entry.top1, entry.licence) for entry in list_trunks()}
    assert {name: listed[name] for name in PUBLISHED} == PUBLISHED
    assert 80 <= len(AVAILABLE) <= 90


def test_the_table_says_which_sizes_are_taken() -> None:
    listed = {entry.name: entry.sizes for entry in list_trunks()}
    assert {name: listed[name] for name in SIZES} == SIZES


def show(entry: CatalogueEntry) -> str:
    return entry.name


@pytest.mark.parametrize("entry", AVAILABLE, ids=show)
def test_a_listed_trunk_is_found_with_weights_at_its_native_resolution(entry: CatalogueEntry) -> None:
    source = find_source(entry.name)
    assert source.weights
    assert source.preprocess.native_res == entry.native_res
    assert None not in (entry.parameters, entry.macs, entry.step)
    assert entry.licence


@as_installed
@pytest.mark.parametrize("library", ["", "timm", "torchvision"])
def test_the_file_is_what_the_installed_libraries_say(library: str) -> None:
    listing = {"": maker.list_own, "timm": maker.list_timm, "torchvision": maker.list_torchvision}[library]
    with (FOLDER / "published.tsv").open(encoding="utf-8") as lines:
        next(lines)
        held = {row["name"]: row for row in csv.DictReader(lines, delimiter="\t")}
    stated = list(listing())
    assert [held[row["name"]] | row for row in stated] == [held[row["name"]] for row in stated]
    assert {row["name"] for row in stated} == {name for name in held if name.rpartition(":")[0] == library}


@as_installed
@pytest.mark.parametrize(
    "name", ["timm:vit_small_patch14_dinov2.lvd142m", "timm:resnet50.a1_in1k", "torchvision:resnet50.IMAGENET1K_V2"]
)
def test_costs_and_sizes_are_counted_again(name: str) -> None:
    (entry,) = (entry for entry in search_trunks([name]) if entry.tagged == name)
    counted = maker.count(name, entry.native_res or 0)
    assert counted == {
        "params": str(entry.parameters), "macs": str(entry.macs), "step": str(entry.step)
    }  # fmt: skip


def test_names_are_sorted_and_none_comes_twice_and_those_listed_are_among_them() -> None:
    lines = (FOLDER / "published.tsv").read_text(encoding="utf-8").splitlines()[2:]
    names = [line.partition("\t")[0] for line in lines]
    assert names == sorted(set(names))
    assert len(names) > 1900
    everything = [entry.name for entry in list_published()]
    assert len(set(everything)) == len(everything)
    assert everything[0] == "efficientnet_lite0"
    bare = {name.partition(".")[0] for name in names}
    assert {entry.name for entry in AVAILABLE} <= {*names, *bare}


def test_the_default_comes_first_and_families_stay_together() -> None:
    listed = list_trunks()
    assert listed[0].name == "efficientnet_lite0"
    assert len({entry.name for entry in listed}) == len(listed)
    families = [entry.family for entry in listed]
    heads = [family for i, family in enumerate(families) if i == 0 or families[i - 1] != family]
    assert len(set(heads)) == len(heads)


def test_weights_that_were_never_released_are_listed_as_such_and_cannot_be_asked_for() -> None:
    (missing,) = (entry for entry in list_trunks() if not entry.available)
    assert missing.name == "FixEfficientNet-L2"
    assert "never released" in missing.note
    assert not missing.is_here()
    with pytest.raises(UsageError, match="no trunk named"):
        find_source(missing.name)


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        ("efficientnet_lite0", "Apache-2.0"),
        ("timm:vit_small_patch14_dinov2", "Apache-2.0"),
        ("vit_small_patch14_dinov2.lvd142m", "Apache-2.0"),
        ("vit_small_patch16_dinov3", "dinov3-license"),
        ("resnet50", "Apache-2.0"),
        ("torchvision:resnet50", "BSD-3-Clause"),
        ("vit_b_16.IMAGENET1K_SWAG_LINEAR_V1", "CC BY-NC 4.0"),
        ("timm:gcvit_tiny", "CC BY-NC-SA 4.0"),
        ("timm:none_such", ""),
        ("module:Own", ""),
    ],
)
def test_a_licence_is_found_by_any_name_that_means_a_trunk(name: str, licence: str) -> None:
    assert find_licence(name) == licence


def test_licences_say_what_they_allow() -> None:
    terms = {entry.licence: entry.terms for entry in list_published() if entry.available}
    assert terms["Apache-2.0"] == "free"
    assert terms["CC BY-NC 4.0"] == terms["apple-amlr"] == NON_COMMERCIAL
    assert terms["dinov3-license"] == "publisher's own"
    assert terms[""] == "not stated"


@pytest.mark.parametrize(
    ("words", "first", "count"),
    [
        (["dinov2", "small"], "timm:vit_small_patch14_dinov2.lvd142m", 2),
        (["SMALL dinov2"], "timm:vit_small_patch14_dinov2.lvd142m", 2),
        (["siglip2", "so400m_patch14", "378"], "timm:vit_so400m_patch14_siglip_378.v2_webli", 1),
        (["resnet50.a1_*"], "timm:resnet50.a1_in1k", 1),
        (["torchvision:vit_b_16*"], "torchvision:vit_b_16.IMAGENET1K_SWAG_E2E_V1", 3),
        (["torchvision:resnet50.imagenet1k_v2"], "torchvision:resnet50", 1),
        (["mobileclip", "mci0"], "timm:fastvit_mci0.apple_mclip", 1),
    ],
)
def test_all_words_must_occur(words: list[str], first: str, count: int) -> None:
    found = [record["trunk"] for record in fixgrid.models(words)]
    assert (found[0], len(found)) == (first, count)


def test_a_word_that_nothing_has_is_named_with_near_ones() -> None:
    with pytest.raises(UsageError, match=r"'dinov22' occurs in, of \d+: did you mean .*dinov2"):
        fixgrid.models("dinov22 small")
    with pytest.raises(UsageError, match=r"'zzzzzz'.*see `.*models`"):
        fixgrid.models("zzzzzz")
    with pytest.raises(UsageError, match=r"dinov2 in \d+, dinov3 in \d+: leave one out"):
        fixgrid.models(["dinov2", "dinov3"])


def test_a_table_fits_80_columns_whatever_is_found() -> None:
    for records, families in ((fixgrid.models(), True), (fixgrid.models("*"), False)):
        lines = format_models(records, families=families).splitlines()
        assert max(map(len, lines)) <= 80
    assert len(records) == len(list_published())


def test_the_table_marks_what_may_not_be_used_freely_and_what_is_here() -> None:
    records = fixgrid.models("dinov3") + fixgrid.models("mae vit_base") + fixgrid.models("efficientnet_lite0")
    table = format_models([record | {"here": record["trunk"] == "efficientnet_lite0"} for record in records])
    assert "* efficientnet_lite0" in table
    assert "own: the publisher's own licence" in table
    assert "NC: not for commercial use" in table
    assert "facebook/dinov3-*, are gated" in table


def test_other_formats_have_everything() -> None:
    records = fixgrid.models("dinov2 small")
    assert json.loads(format_models(records, "json")) == records
    (row, _) = csv.DictReader(io.StringIO(format_models(records, "csv")))
    assert (row["sizes"], row["licence"], row["terms"]) == ("multiples of 14", "Apache-2.0", "free")
    assert row["weights"] == "hub:timm/vit_small_patch14_dinov2.lvd142m"


def test_an_entry_of_unknown_step_says_nothing_of_sizes() -> None:
    entry = list_trunks()[0]
    assert replace(entry, step=None).sizes == ""
    assert replace(entry, step=0).sizes == "224 only"


def test_models_takes_less_than_two_seconds_and_imports_nothing_slow(tmp_path: Path) -> None:
    for words in ([], ["vit"]):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        said = subprocess.run(
            [sys.executable, "-X", "importtime", str(ROOT / "cli.py"), "models", *words],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        ).stderr  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        imported = {line.rpartition("|")[2].strip() for line in said.splitlines()}
        assert not imported & {"torch", "timm", "torchvision", "numpy", "scipy"}
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
