"""Labels are one class each unless they plainly are not; what is taken for more is said, and can be overruled."""

from __future__ import annotations

import pytest

from fixgrid.cache.errors import DataError, FixgridError, UsageError
from fixgrid.embed.sources.cells import Cells, find_sign
from fixgrid.embed.sources.reading import Reading
from fixgrid.embed.sources.tasks import Labelled, are_marks, read_labels, read_marks

HAZE = [
    "haze primary",
    "clear primary water",
    "clear",
    "haze water",
    "clear water",
    "primary",
    "haze clear",
    "haze water primary",
]


def where(row: int) -> str:
    return f"line {row + 2},"


def read(cells: Cells, **said: str) -> Labelled:
    return read_labels(cells, "y", Reading(**said), where)


@pytest.mark.parametrize(
    "cells",
    [
        ["cat", " dog "],
        ["001", "1", "10", "2", "NA", "null"],
        ["retriever, golden", "retriever, flat", "poodle"],
        ["polar bear", "bear", "brown bear"],
        ["red car", "blue car", "red bus", "blue bus"],
        ["0", "1", "-1"],
        [str(age) for age in range(20)] * 2,
        ["0.5", "1.5", "2.5"] * 4,
        [f"{code:03d}" for code in range(200)],
    ],
)
def test_one_class_each_is_what_labels_are_by_themselves(cells: list[str]) -> None:
    found = read(cells)
    assert (found.task, found.labels) == ("multiclass", [cell.strip() for cell in cells])
    assert found.classes == tuple(sorted({cell.strip() for cell in cells}))
    assert all("taken as" in note or "are one number" in note for note in found.notes)


def test_classes_that_may_be_none_are_noted() -> None:
    assert read(["cat", "NaN", "dog", "NaN"]).notes == (
        "2 image(s) have the label NaN under y, taken as a class: leave them out if it is missing",
    )
    assert read(["1", "2.0", "1.0", "2"]).notes == (
        "the labels 1 and 1.0 under y are one number, but classes of their own",
    )


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["['cat', 'dog']", "['dog']", "[]"], [("cat", "dog"), ("dog",), ()]),
        (['["cat"]', '["big dog", "cat"]'], [("cat",), ("big dog", "cat")]),
        (["[3, 1]", "[1]"], [("1", "3"), ("1",)]),
        (["['cat' 'dog']", '["cat\'s"]'], [("cat", "dog"), ("cat's",)]),
    ],
)
def test_lists_that_were_written_as_text_are_lists(cells: list[str], labels: list[tuple[str, ...]]) -> None:
    found = read(cells)
    assert (found.task, found.labels) == ("multilabel", labels)
    assert "several classes an image" in found.notes[0]
    assert read([*cells, "[cat] or [dog]"]).task == "multiclass"


def test_lists_of_one_are_one_class_each() -> None:
    found = read([("cat",), ("dog",)])
    assert (found.task, found.labels) == ("multiclass", ["cat", "dog"])
    assert found.notes == ("the labels under y are lists of one: one class each",)
    assert read([("cat",), ("dog",)], task="multilabel").labels == [("cat",), ("dog",)]


def test_a_comma_that_is_taken_for_a_point_is_said() -> None:
    found = read(["1,234", "7"], task="regression")
    assert found.labels == [1.234, 7.0]
    assert found.notes == ("read the comma of numbers under y as the decimal point: 1,234 is 1.234",)


def test_many_whole_numbers_are_classes_with_a_note() -> None:
    found = read([str(age) for age in range(30)])
    assert found.task == "multiclass"
    assert found.notes == (
        "the labels under y are 30 different numbers, taken as classes; --task regression or ordinal takes them as "
        "numbers",
    )


def test_many_numbers_with_decimals_are_numbers_with_a_note() -> None:
    found = read([f"{value}.5" for value in range(30)])
    assert (found.task, found.classes, found.labels[:2]) == ("regression", ("y",), [0.5, 1.5])
    assert found.notes == (
        "the labels under y are 30 different numbers (regression); --task multiclass takes each as a class",
    )
    assert read([f"{value}.5" for value in range(30)], task="multiclass").labels[0] == "0.5"


@pytest.mark.parametrize("gap", ["NaN", "NA", "none"])
def test_a_gap_among_numbers_is_named(gap: str) -> None:
    with pytest.raises(DataError, match=f"line 32, has the label '{gap}'; expected a number"):
        read([*(f"{value}.5" for value in range(30)), gap])


@pytest.mark.parametrize("text", ["1_000", "inf", "1e999", "0x10", "one"])
def test_what_is_no_number_is_none(text: str) -> None:
    with pytest.raises(DataError, match=r"line 3, .* expected a number"):
        read(["1", text], task="regression")


def test_numbers_are_read_as_they_are_written() -> None:
    cells = ["1", "-2.5", "+.5", "1e3", "1,5"]
    assert read(cells, task="regression").labels == [1.0, -2.5, 0.5, 1000.0, 1.5]


@pytest.mark.parametrize(
    ("cells", "sign"),
    [
        (["cat|dog", "cat", "dog"], "|"),
        (["cat; dog", "dog; cat; ant", "ant"], ";"),
        (["cat, dog", "cat", "dog"], ","),
        (HAZE, " "),
        (["dog|golden", "dog|poodle", "cat|persian"], ""),
        (["retriever, golden", "retriever, flat", "poodle"], ""),
        (["sea lion", "sea horse", "horse", "lion"], ""),
        (["cat", "dog"], ""),
    ],
)
def test_a_sign_joins_labels_only_where_its_parts_recur(cells: list[str], sign: str) -> None:
    assert find_sign(cells) == sign


def test_joint_labels_are_parted_with_a_note_that_overrules() -> None:
    cells = ["dog|cat", "cat", "dog", "cat|dog|cat"]
    found = read(cells)
    assert (found.task, found.classes) == ("multilabel", ("cat", "dog"))
    assert found.labels == [("cat", "dog"), ("cat",), ("dog",), ("cat", "dog")]
    assert found.notes == (
        "the labels under y are parted by '|' into 2 classes, several an image (multilabel); --task multiclass "
        "takes each as one class",
    )
    assert read(cells, task="multiclass").classes == ("cat", "cat|dog|cat", "dog", "dog|cat")
    assert read(["a|b", "c"]).notes == (
        "1 label(s) such as 'a|b' are one class each; --task multilabel parts them",
    )
    assert read(["a|b", ""], task="multilabel").labels == [("a", "b"), ()]
    assert read([("b", "a"), ()]).labels == [("a", "b"), ()]


def test_an_order_is_that_of_numbers_or_the_users() -> None:
    assert read(["10", "2", "1"], task="ordinal").classes == ("1", "2", "10")
    assert read(["low", "high", "mid"], task="ordinal", classes="low,mid,high").classes == ("low", "mid", "high")
    assert read(["b", "a"], classes="b,a").classes == ("b", "a")
    assert read(["b|a", "a", "b"], classes="b,a").labels[0] == ("b", "a")


@pytest.mark.parametrize(
    ("cells", "said", "error", "message"),
    [
        (["a", "", " "], {}, DataError, r"line 3, gives no label \(as 2 rows in all\); fill it in"),
        (
            ["a|b", "a", "b", ""],
            {},
            DataError,
            "line 5, gives no label; .*; --task multilabel takes it as of no class",
        ),
        (
            ["a", "b"],
            {"task": "ordinal"},
            UsageError,
            "found the label 'a' and no order; .* --classes low,mid,high",
        ),
        (["1", "1.0", "2"], {"task": "ordinal"}, DataError, "found the labels 1 and 1.0, one number"),
        (["a", "c"], {"classes": "a,b"}, DataError, "line 3, has the label 'c'; expected one of --classes a,b"),
        (
            [("a", "b")],
            {"task": "multiclass"},
            DataError,
            "line 2, has 2 labels; expected one, or --task multilabel",
        ),
    ],
)
def test_labels_that_do_not_fit_are_named(
    cells: Cells, said: dict[str, str], error: type[FixgridError], message: str
) -> None:
    with pytest.raises(error, match=message):
        read(cells, **said)


def test_unlabelled_is_whatever_the_labels_are() -> None:
    found = read(["a", ""], task="unlabelled")
    assert (found.task, found.labels, found.classes) == ("unlabelled", ["", ""], ())


def marks(rows: str, **said: str) -> Labelled:
    columns = zip(*(row.split(",") for row in rows.split()), strict=True)
    return read_marks(dict(zip(("rust", "mould"), columns, strict=False)), Reading(**said), where)


def test_columns_of_marks_are_classes_in_their_order() -> None:
    one = marks("1,0 0,1")
    assert (one.task, one.labels, one.classes) == ("multiclass", ["rust", "mould"], ("rust", "mould"))
    assert one.notes == ("2 columns of 0 and 1 are taken as classes, one an image",)
    several = marks("1,1 0,0")
    assert (several.task, several.labels) == ("multilabel", [("rust", "mould"), ()])
    assert several.notes == ("2 columns of 0 and 1 are taken as classes, several an image (multilabel)",)
    assert marks("1,0 0,1", task="multilabel").labels == [("rust",), ("mould",)]
    assert marks("1,-1 -1,1").labels == marks("True,False no,yes").labels == ["rust", "mould"]


@pytest.mark.parametrize(
    ("rows", "said", "message"),
    [
        ("1,0 1,1", {"task": "multiclass"}, "line 3, has 2 of 2 classes; expected one, or --task multilabel"),
        ("1,0 0,.5", {}, "line 3, has '.5' under mould; expected 0 or 1 in each of 2 columns"),
        ("1,0 0,-1", {}, "line 3, has '-1' under mould"),
        ("1,0", {"task": "regression"}, "found --task regression with 2 columns of labels; expected one"),
    ],
)
def test_marks_that_do_not_fit_are_named(rows: str, said: dict[str, str], message: str) -> None:
    with pytest.raises(FixgridError, match=message):
        marks(rows, **said)


def test_marks_are_all_of_one_kind() -> None:
    assert [are_marks(cells) for cells in (["0", "1"], ["-1", "1"], ["-1", "0"], ["2"], [], [""])] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
