"""Images dealt to folds or to splits: each once, every class spread evenly, what belongs together on one side."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from drawn import Source, draw_deck
from hypothesis import assume, given
from hypothesis import strategies as some
from sklearn.model_selection import StratifiedKFold

from fixgrid.cache.errors import UsageError
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.heads.deck import Deck, Folds, make_deck, note_thin

SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}
DECKS = some.lists(some.tuples(some.integers(0, 3), some.integers(0, 40)), min_size=30, max_size=90)


def rows(digests, y):
    n = len(y)
    files = np.zeros((n, 32), np.uint8)
    files[:, 0] = digests
    return Rows((b"",) * n, np.arange(n), files, np.array(y, np.int64))


def deck_of(images):
    """Of pairs of label and file: files of one number are equal, whatever their labels."""
    y, files = zip(*images, strict=True)
    return make_deck({"train": rows(files, y)})


def manifest_of(deck, *classes):
    return Manifest("pets", "/", classes, {"train": rows(deck.group, deck.y)})


def spread_of(deck, parts):
    """Images of each class in each part: int64, shape (parts, classes)."""
    return np.stack([np.bincount(deck.y[np.isin(deck.row, part)], minlength=4) for part in parts])


@given(images=DECKS, seed=some.integers(0, 5))
def test_folds_part_the_images_and_tear_no_copies_apart_for_any_labels(images, seed):
    deck = deck_of(images)
    assume(np.bincount(deck.y).max() >= 3 and len(np.unique(deck.group)) >= 3)
    held = Folds(deck, 3, seed).held
    np.testing.assert_array_equal(np.sort(np.concatenate(held)), deck.row)
    for part in held:
        inside = np.isin(deck.row, part)
        assert not set(deck.group[inside]) & set(deck.group[~inside])
        np.testing.assert_array_equal(deck.leave_out(part), deck.row[~inside])


@given(images=DECKS, seed=some.integers(0, 5))
def test_splits_part_the_images_and_tear_no_copies_apart_for_any_labels(images, seed):
    deck = deck_of(images)
    assume(len(np.unique(deck.group)) > 15)
    dealt = deck.deal_splits({"train": 0.5, "test": 0.5}, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(list(dealt.values()))), deck.row)
    assert len(np.unique(deck.group)) == sum(len(np.unique(deck.group[part])) for part in dealt.values())


def test_without_copies_each_class_is_in_all_folds_as_scikit_learn_has_it():
    deck = draw_deck(Source())
    folds = Folds(deck, 5, seed=3)
    theirs = StratifiedKFold(5, shuffle=True, random_state=3).split(deck.row, deck.y)
    for mine, (_, places) in zip(folds.held, theirs, strict=True):
        np.testing.assert_array_equal(mine, places)
    assert np.ptp(spread_of(deck, folds.held), axis=0).max() <= 1


def test_with_copies_each_class_is_in_all_folds_nearly_as_often():
    y = np.arange(200) % 4
    deck = make_deck({"train": rows(np.arange(200) % 180, y)})
    assert len(np.unique(deck.group)) == 180
    assert np.ptp(spread_of(deck, Folds(deck, 5).held), axis=0).max() <= 3


def test_each_split_has_its_share_of_each_class_to_an_image():
    deck = draw_deck(Source(), ("train", "val", "test"))
    for seed in range(5):
        found = spread_of(deck, deck.deal_splits(SHARES, seed).values())
        wanted = np.outer(list(SHARES.values()), np.bincount(deck.y))
        assert np.abs(found - wanted).max() <= 1


def test_a_class_of_one_image_is_in_each_split_as_often_as_its_share_says():
    deck = deck_of([(0, 0), *((1, file) for file in range(1, 60))])
    sides = [next(s for s, part in deck.deal_splits(SHARES, seed).items() if 0 in part) for seed in range(400)]
    for split, share in SHARES.items():
        assert abs(sides.count(split) / 400 - share) < 0.06


def test_copies_in_two_splits_are_one_group_and_rows_go_on_after_train():
    deck = make_deck({"train": rows([1, 2, 3], [0, 1, 0]), "val": rows([3, 4], [0, 1])})
    np.testing.assert_array_equal(deck.row, np.arange(5))
    assert deck.group[2] == deck.group[3]
    assert len(set(deck.group)) == 4


def test_what_the_user_holds_together_is_joined_with_copies():
    deck = make_deck({"train": rows([1, 2, 3, 1], [0, 1, 0, 1])}, np.array([7, 7, 8, 9]))
    assert len(set(deck.group[[0, 1, 3]])) == 1
    assert deck.group[2] != deck.group[0]
    with pytest.raises(UsageError, match="groups of 2 images, expected one number for each of 4"):
        make_deck({"train": rows([1, 2, 3, 1], [0, 1, 0, 1])}, np.array([7, 7]))


def test_repeats_are_the_deals_of_the_next_seeds():
    deck = draw_deck(Source())
    several = Folds(deck, 4, seed=1, repeats=3).held
    for i in range(3):
        for mine, alone in zip(several[4 * i : 4 * i + 4], Folds(deck, 4, seed=1 + i).held, strict=True):
            np.testing.assert_array_equal(mine, alone)
    assert any((a != b).any() for a, b in zip(several[:4], several[4:8], strict=True))


@pytest.mark.parametrize(("n", "repeats"), [(1, 1), (0, 1), (4, 0), (99, 1)])
def test_deals_that_cannot_be_are_refused(n, repeats):
    with pytest.raises(UsageError, match="expected"):
        Folds(draw_deck(Source()), n, repeats=repeats)


def test_thin_classes_are_said_once_and_a_single_image_is_refused():
    thin = deck_of([(0, 0), (0, 1), *((1, file) for file in range(2, 40))])
    (said,) = note_thin(thin, 5, manifest_of(thin, "cat", "dog", "none"))
    assert "1 classes have fewer images in train than there are folds (cat: 2)" in said
    assert note_thin(thin, 2, manifest_of(thin, "cat", "dog")) == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(Folds(thin, 5).held) == 5
    for cats in ([(0, 0)], [(0, 0), (0, 0)]):  # alone, and with a copy of itself
        alone = deck_of([*cats, *((1, file) for file in range(2, 40))])
        with pytest.raises(UsageError, match="one image of cat in train; expected 2 or more"):
            note_thin(alone, 5, manifest_of(alone, "cat", "dog"))


def test_a_split_that_would_be_empty_is_refused():
    with pytest.raises(UsageError, match="2 images to deal"):
        deck_of([(0, 0), (0, 1)]).deal_splits(SHARES, 0)


def test_a_deck_is_named_by_all_that_a_deal_depends_on():
    deck = draw_deck(Source())
    others = [
        Deck(deck.row + 1, deck.y, deck.group, deck.splits),
        Deck(deck.row, deck.y[::-1], deck.group, deck.splits),
        Deck(deck.row, deck.y, deck.group // 2, deck.splits),
    ]
    assert len({one.digest for one in (deck, *others)}) == 4
