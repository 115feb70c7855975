"""What people call the splits of a data set."""

from __future__ import annotations

import pytest

from fixgrid.embed.sources.words import SPLIT_WORDS, read_split_word


def test_a_word_is_read_whatever_its_case_and_the_blanks_around_it() -> None:
    for text, split in (("Train", "train"), ("VALID", "val"), (" testing ", "test"), ("dev", "val")):
        assert read_split_word(text) == split


@pytest.mark.parametrize("text", ["", "tram", "trainer", "contest", "train 1", "pred"])
def test_a_word_that_only_begins_like_one_is_none(text: str) -> None:
    assert read_split_word(text) is None


def test_no_word_is_for_two_splits() -> None:
    words = [word for of_split in SPLIT_WORDS.values() for word in of_split]
    assert len(words) == len(set(words))
