"""What the options of a grid mean, as texts and as values."""

from __future__ import annotations

import pytest
from drawn import K
from test_findings import Held

from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.holdings import RECALIBRATED, Holdings
from fixgrid.cache.rows import Manifest
from fixgrid.heads.ask import GAPS, SEED_PAIRS, ask_cache, choose_gaps
from fixgrid.heads.families import FAMILIES
from fixgrid.heads.logistic import DINOV2_C


def test_all_gaps_have_batchnorm_only_where_every_pair_has_it() -> None:
    places = [(split, RECALIBRATED + "center", res) for split in ("val", "test") for res in (224, 320)]
    holdings = Holdings(Manifest("dogs", "/dogs", (), {}), "t", dict.fromkeys(places))
    chosen, notes = choose_gaps(holdings, [(128, 224), (128, "224+320")], "all", "center")
    assert (chosen, notes) == (GAPS, ())
    assert choose_gaps(holdings, [(128, 224)], "none,batchnorm", "center")[0] == ("none", "batchnorm")
    for pairs, view in (([(224, 128)], "center"), ([(224, "128+224")], "center"), ([(224, 224)], "five")):
        chosen, (note,) = choose_gaps(holdings, pairs, "all", view)
        assert chosen == ("none", "standardize", "frechet", "refit")
        assert "without --gap batchnorm" in note
        with pytest.raises(CacheError, match=r"extract .*--recalibrate --res"):
            choose_gaps(holdings, pairs, "batchnorm", view)


def test_texts_and_values_ask_the_same() -> None:
    as_text = {"pairs": "224:128,320:128+224", "heads": "ridge, lda", "gap": "none", "strengths": "1e-2,1e-3"}
    pairs = [(224, 128), (320, "224+128")]
    as_values = {"pairs": pairs, "heads": ["ridge", "lda"], "gap": ["none"], "strengths": [0.001, 0.01]}
    texts, values = (ask_cache(Held(), None, **options) for options in (as_text, as_values))
    assert (texts.pairs, texts.options) == (values.pairs, values.options)
    assert texts.pairs == ((224, 128), (320, "128+224"))
    assert (texts.options.strengths, texts.options.coarse) == ((1e-3, 1e-2), 1)


def test_what_is_not_asked_for_is_all_that_the_cache_holds() -> None:
    asked = ask_cache(Held(), None)
    assert len(asked.pairs) == 9
    assert (asked.options.train_kinds, asked.options.families, asked.options.corrections) == (
        ("train",),
        ("logistic",),
        ("none",),
    )
    assert (asked.options.strengths, asked.options.coarse, asked.n_classes) == (DINOV2_C, 2, K)
    assert (asked.memo, asked.notes, asked.dropped) == (None, (), False)


def test_words_for_everything_are_taken() -> None:
    asked = ask_cache(Held(), None, pairs="seed", heads="all", strengths="full", train_view="both")
    assert (asked.pairs, asked.options.families) == (SEED_PAIRS, tuple(FAMILIES))
    assert (asked.options.strengths, asked.options.coarse) == (DINOV2_C, 1)
    assert asked.options.train_kinds == ("train", "center")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("heads", "forest", "found --heads 'forest'"),
        ("gap", ["magic"], "found --gap 'magic'"),
        ("strengths", [0.0], "found --strengths"),
        ("pairs", "224", "expected train_res:test_res"),
    ],
)
def test_what_there_is_not_is_refused_by_its_option(option: str, value: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ask_cache(Held(), None, **{option: value})
