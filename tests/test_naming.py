"""Names of classes that people take for one are refused or noted, and so are classes that a split lacks."""

from __future__ import annotations

import pytest

from fixgrid.cache.errors import DataError
from fixgrid.embed.naming import expect_distinct, find_alike, name_difference, note_names
from fixgrid.embed.sources.source import Image

COMPOSED, APART = "\u00fcber", "u\u0308ber"


def label(**splits: tuple[str, ...]) -> tuple[list[Image], list[str]]:
    images = [Image(b"%d" % i, name, split) for split, names in splits.items() for i, name in enumerate(names)]
    return images, sorted({str(image.label) for image in images})


@pytest.mark.parametrize(
    ("names", "difference"),
    [
        ((COMPOSED, APART), "Unicode form"),
        (("Yes", "yes"), "case"),
        (("yes", "yes "), "blanks"),
        (("a  b", "a b"), "blanks"),
        (("yes", "yes\u200b"), "signs that are not seen"),
        (("\u00dcber", APART), "Unicode form, blanks, case or signs that are not seen"),
        (("Yes ", "yes"), "Unicode form, blanks, case or signs that are not seen"),
    ],
)
def test_names_that_people_take_for_one_are_found_and_told_apart(names, difference):
    assert find_alike([*names, "other"]) == [list(names)]
    assert name_difference(names) == difference


def test_names_with_other_letters_are_no_spellings_of_one():
    assert find_alike(["yes", "yes2", "y es", "\u00fcber", "uber"]) == []


@pytest.mark.parametrize(("good", "odd"), [(COMPOSED, APART), ("yes", "Yes"), ("yes", "yes ")])
def test_a_class_spelt_otherwise_in_another_split_is_refused_by_both_spellings(good, odd):
    images, classes = label(train=("no", good), val=(good,), test=(odd, "no"))
    with pytest.raises(DataError, match="whose names differ only in") as caught:
        expect_distinct(images, classes, "data")
    assert f"{good!a} (train, val)" in str(caught.value)
    assert f"{odd!a} (test)" in str(caught.value)
    assert str(caught.value).isascii()


def test_two_spellings_that_look_the_same_are_refused_even_if_both_are_trained():
    images, classes = label(train=(COMPOSED, APART, "no"))
    with pytest.raises(DataError, match="Unicode form"):
        expect_distinct(images, classes, "data")


def test_capitals_and_small_letters_that_are_both_trained_are_two_classes_with_a_note():
    images, classes = label(train=("A", "a"), val=("A", "a"), test=("A", "a"))
    expect_distinct(images, classes, "data")
    assert note_names(images, classes) == ("1 class(es) have names that differ only in case, such as 'A' and 'a'",)


def test_a_split_without_some_classes_is_noted_with_their_names():
    images, classes = label(train=("a", "b", "c"), val=("a",), test=("a", "c", "b"))
    assert note_names(images, classes) == ("val has no image of 2 of 3 classes: b, c",)


def test_of_many_lacking_classes_ten_are_named():
    names = tuple(f"c{i:02d}" for i in range(20))
    images, classes = label(train=names, test=names[:1])
    assert note_names(images, classes) == (f"test has no image of 19 of 20 classes: {', '.join(names[1:11])}, ...",)


def test_images_of_several_classes_count_for_each():
    images = [Image(b"1", ("a", "b"), "train"), Image(b"2", ("a",), "test")]
    assert note_names(images, ["a", "b"]) == ("test has no image of 1 of 2 classes: b",)
