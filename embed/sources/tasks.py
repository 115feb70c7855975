"""From labels as they are written to what they are: one class, several, an order, a number or nothing."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.text import show_text

from .cells import Cells, clean_label, find_sign, part_text, read_lists
from .reading import Reading, join_words, split_words
from .source import Label

Where = Callable[[int], str]
"""Where the label of a row is, for messages, a comma at its end."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?\d+,\d+")  # a decimal comma
_MISSING = ("na", "nan", "null", "none", "n/a")
_MANY = 20  # distinct values beyond which numbers are hardly the names of classes
_TRUTHS = {
    **dict.fromkeys(("1", "1.0", "true", "t", "yes", "y"), True),
    **dict.fromkeys(("0", "0.0", "false", "f", "no", "n"), False),
}
_MINUS = ("-1", "-1.0")  # for 0, where no column has one


@dataclass(frozen=True)
class Labelled:
    """Labels that were read: what they are, one a row, the classes in their order, notes for the user."""

    task: str
    labels: list[Label]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_truth(text: str) -> bool | None:
    """True or false from a cell; None if it says neither."""
    return _TRUTHS.get(text.strip().lower())


def are_marks(cells: Cells) -> bool:
    """Whether all cells are 0 or 1 (or -1 or 1, or true or false), as of a column that stands for one class."""
    return bool(cells) and _read_truths({cell if isinstance(cell, str) else "" for cell in cells}) is not None


def _read_truths(texts: set[str]) -> dict[str, bool] | None:
    truths = {text: read_truth(text) for text in texts}
    if False not in truths.values():
        truths |= {text: False for text in texts if text.strip() in _MINUS}
    found = {text: truth for text, truth in truths.items() if truth is not None}
    return found if found.keys() == texts else None


def read_labels(cells: Cells, name: str, reading: Reading, where: Where) -> Labelled:
    """Labels of one column.

    Lists, and texts whose parts recur (see `find_sign`), are several classes; numbers with decimals and more than
    20 values, or than one for two images, are numbers; all else is one class each, whole numbers, too. Each such
    choice that is not the plain one comes with a note that says how to overrule it.

    Parameters
    ----------
    cells : sequence of str or tuple of str
    name : str
        Of the column.
    reading : Reading
        The user's word.
    where : callable

    Raises
    ------
    DataError
        If a label is missing, or is not what is asked for.
    UsageError
        If an order of text is asked for and not given.
    """
    if reading.task == "unlabelled":
        return Labelled("unlabelled", [""] * len(cells))
    texts = read_lists(
        [clean_label(one) if isinstance(one, str) else tuple(map(clean_label, one)) for one in cells]
    )
    task, mark, notes = _find_task(texts, name)
    if reading.task:
        task, notes = reading.task, ()
        mark = next((sign for sign in "|;, " if any(sign in text for text in texts if isinstance(text, str))), "")
    empty = [row for row, text in enumerate(texts) if text == ""]
    if empty and reading.task != "multilabel":
        more = f" (as {len(empty)} rows in all)" if len(empty) > 1 else ""
        none = "; --task multilabel takes it as of no class" if task == "multilabel" else ""
        raise DataError(f"{where(empty[0])} gives no label{more}; fill it in, or leave the image out{none}.")
    if task == "multilabel":
        labels = [tuple(sorted(set(part_text(text, mark)))) for text in texts]
        return _order(Labelled(task, [*labels], notes=notes), reading, where)
    plain = [_expect_one(text, where, row) for row, text in enumerate(texts)]
    if task == "regression":
        comma = next((text for text in plain if _COMMA.fullmatch(text)), "")
        said = f"read the comma of numbers under {name} as the decimal point: {comma} is {comma.replace(',', '.')}"
        numbers = [_read_number(text, where, row) for row, text in enumerate(plain)]
        return Labelled(task, [*numbers], (name,), (*notes, *[said] * bool(comma)))
    return _order(Labelled(task, [*plain], notes=(*notes, *_note_odd(plain, name))), reading, where)


def _note_odd(texts: Sequence[str], name: str) -> list[str]:
    """Notes on classes that may be none: called as what is missing, or one number in two spellings."""
    count = Counter(texts)
    notes = [
        f"{n} image(s) have the label {text} under {name}, taken as a class: leave them out if it is missing"
        for text, n in count.items()
        if text.lower() in _MISSING
    ]
    numbers: dict[float, list[str]] = defaultdict(list)
    for text in count:
        if _NUMBER.fullmatch(text):
            numbers[float(text)].append(text)
    twice = [" and ".join(alike[:2]) for alike in numbers.values() if len(alike) > 1]
    said = [f"the labels {alike} under {name} are one number, but classes of their own" for alike in twice[:1]]
    return notes + said


def _find_task(texts: Cells, name: str) -> tuple[str, str, tuple[str, ...]]:
    """What labels are by themselves, what parts them, and a note."""
    count = dict.fromkeys(text for text in texts if isinstance(text, str) and text)
    if texts and all(isinstance(text, tuple) and len(text) == 1 for text in texts):
        return "multiclass", "", (f"the labels under {name} are lists of one: one class each",)
    if not all(isinstance(text, str) for text in texts):
        return "multilabel", "", (f"the labels under {name} are lists: several classes an image (multilabel)",)
    known = [text for text in count if text.lower() not in _MISSING]
    if known and all(map(_NUMBER.fullmatch, known)):
        return _judge_numbers(known, len(texts), name)
    mark = find_sign([*count])
    if mark:
        sign = "blanks" if mark == " " else repr(mark)
        classes = {part for text in count for part in part_text(text, mark)}
        note = f"the labels under {name} are parted by {sign} into {len(classes)} classes, several an image"
        return "multilabel", mark, (f"{note} (multilabel); --task multiclass takes each as one class",)
    joint = [text for text in count if any(sign in text for sign in "|;")]
    note = f"{len(joint)} label(s) such as {show_text(joint[0])!r} are one class each" if joint else ""
    return "multiclass", "", (f"{note}; --task multilabel parts them",) if joint else ()


def _judge_numbers(known: list[str], n: int, name: str) -> tuple[str, str, tuple[str, ...]]:
    decimal = any(not float(text).is_integer() for text in known)
    if decimal and len(known) > min(_MANY, n // 2):
        note = f"the labels under {name} are {len(known)} different numbers (regression)"
        return "regression", "", (f"{note}; --task multiclass takes each as a class",)
    if (decimal or len(known) > _MANY) and not any(re.match(r"0\d", text) for text in known):
        note = f"the labels under {name} are {len(known)} different numbers, taken as classes"
        return "multiclass", "", (f"{note}; --task regression or ordinal takes them as numbers",)
    return "multiclass", "", ()


def _expect_one(text: str | tuple[str, ...], where: Where, row: int) -> str:
    if isinstance(text, tuple) and len(text) != 1:
        raise DataError(f"{where(row)} has {len(text)} labels; expected one, or --task multilabel.")
    return text if isinstance(text, str) else text[0]


def _read_number(text: str, where: Where, row: int) -> float:
    point = text.replace(",", ".") if _COMMA.fullmatch(text) else text
    if not _NUMBER.fullmatch(point) or not math.isfinite(float(point)):
        raise DataError(
            f"{where(row)} has the label {show_text(text)!r}; expected a number: mend it, leave the image out, or "
            "take labels as classes with --task multiclass."
        )
    return float(point)


def _order(found: Labelled, reading: Reading, where: Where) -> Labelled:
    """The same with the classes in their order: as given, of numbers ascending, else sorted as text."""
    held: dict[str, int] = {}  # the first row of each
    for row, label in enumerate(found.labels):
        for name in _list_names(label):
            held.setdefault(name, row)
    classes = split_words(reading.classes)
    unknown = [(row, name) for name, row in held.items() if classes and name not in classes]
    if unknown:
        row, name = min(unknown)
        raise DataError(
            f"{where(row)} has the label {show_text(name)!r}; expected one of --classes {reading.classes}."
        )
    if found.task == "ordinal" and not classes:
        classes = _rank_numbers(list(held))
    if found.task == "multilabel" and classes:
        labels: list[Label] = [tuple(sorted(_list_names(label), key=classes.index)) for label in found.labels]
        return Labelled(found.task, labels, classes, found.notes)
    return Labelled(found.task, found.labels, classes or tuple(sorted(held)), found.notes)


def _list_names(label: Label) -> tuple[str, ...]:
    return label if isinstance(label, tuple) else (str(label),)


def _rank_numbers(names: list[str]) -> tuple[str, ...]:
    if not all(map(_NUMBER.fullmatch, names)):
        text = next(name for name in sorted(names) if not _NUMBER.fullmatch(name))
        raise UsageError(
            f"found the label {show_text(text)!r} and no order; expected numbers, or the classes from the lowest "
            "to the highest, as in --classes low,mid,high."
        )
    ranked = sorted(names, key=lambda name: (float(name), name))
    equal = [(one, other) for one, other in pairwise(ranked) if float(one) == float(other)]
    if equal:
        raise DataError(
            f"found the labels {equal[0][0]} and {equal[0][1]}, one number; expected one spelling of it."
        )
    return tuple(ranked)


def read_marks(columns: Mapping[str, Cells], reading: Reading, where: Where) -> Labelled:
    """Labels of several columns of 0 and 1, one a class.

    Rows with one 1 each are one class each; others are several classes.

    Raises
    ------
    DataError
        If a cell is neither, or a row has not one class where that is asked for.
    UsageError
        If numbers are asked for.
    """
    if reading.task == "unlabelled":
        return Labelled("unlabelled", [""] * len(next(iter(columns.values()))))
    if reading.task == "regression":
        raise UsageError(f"found --task regression with {len(columns)} columns of labels; expected one.")
    texts = {name: [cell if isinstance(cell, str) else "" for cell in cells] for name, cells in columns.items()}
    truths = _read_truths({text for cells in texts.values() for text in cells})
    if truths is None:
        row, name = min((row, name) for name, cells in texts.items() for row in _find_odd(cells))
        raise DataError(
            f"{where(row)} has {show_text(texts[name][row])!r} under {show_text(name)}; expected 0 or 1 in each of "
            f"{len(columns)} columns of labels."
        )
    found = [
        tuple(name for name, text in zip(texts, row, strict=True) if truths[text])
        for row in zip(*texts.values(), strict=True)
    ]
    odd = [row for row, names in enumerate(found) if len(names) != 1]
    task = reading.task or ("multilabel" if odd else "multiclass")
    if task != "multilabel" and odd:
        raise DataError(
            f"{where(odd[0])} has {len(found[odd[0]])} of {len(columns)} classes; expected one, or --task "
            "multilabel."
        )
    what = "several an image (multilabel)" if task == "multilabel" else "one an image"
    notes = () if reading.task else (f"{len(columns)} columns of 0 and 1 are taken as classes, {what}",)
    labels: list[Label] = [*found] if task == "multilabel" else [names[0] for names in found]
    order = Reading(task=task, classes=reading.classes or join_words([*columns]))
    return _order(Labelled(task, labels, notes=notes), order, where)


def _find_odd(cells: Sequence[str]) -> list[int]:
    return [row for row, text in enumerate(cells) if read_truth(text) is None]
