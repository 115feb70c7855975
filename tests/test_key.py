from __future__ import annotations

from dataclasses import replace

import pytest
from entries import make_rows, make_spec
from stub import center, train

from fixgrid.cache.errors import CacheError
from fixgrid.cache.key import Spec, explain_difference

SPEC = make_spec(make_rows(4))


def test_the_digest_of_a_key_never_moves() -> None:
    """A change here orphans every cache in the field: raise SEMANTICS or FORMAT instead, on purpose."""
    assert SPEC.key == "906306b6f9eeff4ad3b5bac9e621d6fe83bd687269e7ec13c9bab3ed64d16876"
    assert SPEC.recipe == "d433d95adea75956fbd62e0c3311fe0c557371c5fd1776b61a2e5de0dd7b7647"


@pytest.mark.parametrize(
    "change",
    [
        {"trunk": {**SPEC.trunk, "weights_sha256": "1" * 64}},
        {"trunk": {**SPEC.trunk, "node": "other"}},
        {"view": {**SPEC.view, "res": 33}},
        {"view": {**SPEC.view, "mean": ("0.5", "0.5", "0.50")}},
        {"decode": {}},
        {"precision": "bf16"},
        {"dtype": "float16"},
        {"views": 2},
        {"dim": 4},
        {"semantics": 2},
        {"rows_sha256": "0" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_a_number_changes_the_key(change: dict[str, object]) -> None:
    changed = replace(SPEC, **change)
    assert changed.key != SPEC.key
    assert (changed.recipe == SPEC.recipe) == ("rows_sha256" in change)


def test_a_spec_survives_the_disk() -> None:
    again = Spec.from_json(SPEC.to_json())
    assert again.key == SPEC.key
    assert again.recipe == SPEC.recipe


@pytest.mark.parametrize(("field", "value"), [("draws", 7), ("seed", 7), ("jitter", "full")])
def test_fields_of_random_views_do_not_miss_a_center_view(field: str, value: object) -> None:
    assert replace(center(), **{field: value}).to_spec() == center().to_spec()
    assert replace(train(), **{field: value}).to_spec() != train().to_spec()


@pytest.mark.parametrize(("field", "value"), [("crop_ratio", "1.0"), ("resize", "height")])
def test_fields_of_center_views_do_not_miss_a_train_view(field: str, value: object) -> None:
    assert replace(train(), **{field: value}).to_spec() == train().to_spec()
    assert replace(center(), **{field: value}).to_spec() != center().to_spec()


def test_a_difference_is_told_field_by_field() -> None:
    wanted = replace(SPEC, view={**SPEC.view, "crop_ratio": "1.0"}, precision="bf16")
    assert explain_difference(wanted, SPEC) == ["precision fp32 -> bf16", "view.crop_ratio 0.875 -> 1.0"]
    assert explain_difference(Spec.from_json(SPEC.to_json()), SPEC) == []


def test_a_newer_format_is_refused_with_a_remedy() -> None:
    with pytest.raises(CacheError, match="found features of format 2, expected at most 1: upgrade"):
        Spec.from_json(replace(SPEC, format=2).to_json())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        SPEC.to_json()[:-1],
        replace(SPEC, rows="4").to_json(),
        b'{"format":"1"}',
    ],
)
def test_what_is_no_spec_is_refused(data: bytes) -> None:
    with pytest.raises(CacheError, match=r"spec\.json that is not one"):
        Spec.from_json(data)
