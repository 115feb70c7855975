from __future__ import annotations

import numpy as np
import pytest
from entries import make_rows, make_spec

from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.scale import FIELD, USUAL, Scale, read_scale
from fixgrid.embed.decode import POLICY, describe_policy


@pytest.mark.parametrize(
    ("asked", "scale", "typed"),
    [
        ("4095", Scale(0, 4095), "0:4095"),
        (255, Scale(0, 255), "0:255"),
        ("-1000:400", Scale(-1000, 400), "-1000:400"),
        ("0:1", Scale(0, 1), "0:1"),
        ("0.25:0.5", Scale(0.25, 0.5), "0.25:0.5"),
        ("65535:0", Scale(65535, 0), "65535:0"),
        (None, USUAL, "0:65535"),
        ("65535", USUAL, "0:65535"),
    ],
)
def test_a_scale_is_read_and_written_as_it_is_typed(asked: str | float | None, scale: Scale, typed: str) -> None:
    assert read_scale(asked) == scale
    assert str(scale) == typed
    assert Scale.from_decode(describe_policy(scale)) == scale


@pytest.mark.parametrize("asked", ["auto", "", "1:2:3", "5:5", "0", "1e999", "nan", "a:1"])
def test_what_is_no_scale_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match=r"found --scale .* expected the largest value"):
        read_scale(asked)


def test_the_usual_scale_leaves_keys_as_they_were() -> None:
    assert POLICY[FIELD] == "/257"
    assert describe_policy(read_scale("65535")) == POLICY
    assert Scale.from_decode({}) == USUAL
    rows = make_rows(2)
    assert make_spec(rows).key != make_spec(rows, res=33).key


def test_a_policy_of_another_version_is_refused() -> None:
    with pytest.raises(CacheError, match="no decode policy of this version"):
        Scale.from_decode({FIELD: "log"})


def test_what_is_described_names_black_and_white() -> None:
    assert np.all([word in Scale(-1000, 400).describe() for word in ("-1000 is black", "400 is white")])
