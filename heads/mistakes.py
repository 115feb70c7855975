"""The wrong answers of a head, the worst first, each with its file; as records of every format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.text import (
    WIDTH,
    escape_markdown,
    format_records,
    join_names,
    shorten_path,
    show_path,
    show_text,
    tell_apart,
    write_path,
)
from fixgrid.cache.width import measure_width

from .answers import Answers

Label = str | tuple[str, ...] | float
"""A class; several; a number."""
Cells = dict[str, str | tuple[str, str]]
"""A wrong answer by column; where a column has two lines, as of the truth and of the answer, both."""
_BOTH, _CHANCE, _WRONG = "truth, then answer", "probability", "wrong label"
_NARROWEST = 30  # of a path, however long the names of classes are


class Mistake(NamedTuple):
    """A wrong answer: the image's position, and of several classes the one that is given wrongly or missed."""

    place: int
    label: int = -1


class WrongAnswer(NamedTuple):
    """A wrong answer in words.

    Attributes
    ----------
    path : bytes
        Of the file, below the root of its data set.
    truth, answer : str, tuple of str or float
        What the image is, and what the head says.
    probability, of_truth : float or None
        That the head gives to its answer and to the truth: of several classes about ``label``; None of numbers.
    label : str
        Of several classes the one that it is surest of and wrong about; else empty.
    off : float or None
        Of numbers the answer less the truth; of ordered classes how many places that is.
    """

    path: bytes
    truth: Label
    answer: Label
    probability: float | None
    of_truth: float | None
    label: str = ""
    off: float | None = None


def list_mistakes(answers: Answers, most: int | None = None) -> list[Mistake]:
    """The wrong answers, at most ``most``, the worst first: numbers and places of an order by how far they are off,
    all by how sure the head was; of several classes each image's worst.
    """
    y, guess, confidence = answers.y, answers.guess, answers.confidence
    if y.ndim == 2:
        wrong = np.where(guess == y, -1.0, np.where(y, 1 - confidence, confidence))
        label, worst = wrong.argmax(1), wrong.max(1)
        order = np.argsort(-worst, kind="stable")[: int((worst >= 0).sum())]
        return [Mistake(int(i), int(label[i])) for i in order[:most]]
    off = np.zeros(len(y)) if answers.task == "multiclass" else abs(guess - y)
    order = np.lexsort((-confidence, -off))
    return [Mistake(int(place)) for place in order[guess[order] != y[order]][:most]]


def name_mistakes(answers: Answers, classes: Sequence[str], paths: Sequence[bytes]) -> list[WrongAnswer]:
    """All wrong answers in words, in the order of `list_mistakes`.

    Parameters
    ----------
    answers : Answers
    classes : sequence of str
    paths : sequence of bytes
        By row id.
    """
    return [_name(answers, classes, paths[int(answers.row[one.place])], one) for one in list_mistakes(answers)]


def _name(answers: Answers, classes: Sequence[str], path: bytes, one: Mistake) -> WrongAnswer:
    y, guess, confidence = (part[one.place] for part in (answers.y, answers.guess, answers.confidence))
    if answers.task == "regression":
        return WrongAnswer(path, float(y), float(guess), None, None, off=float(guess - y))
    if answers.task == "multilabel":
        has = float(confidence[one.label])
        chance = 1 - has if y[one.label] else has
        truth, answer = (_name_all(classes, part) for part in (y, guess))
        return WrongAnswer(path, truth, answer, chance, 1 - chance, classes[one.label])
    of_truth = None if answers.truth is None else float(answers.truth[one.place])
    off = float(guess - y) if answers.task == "ordinal" else None
    return WrongAnswer(path, classes[int(y)], classes[int(guess)], float(confidence), of_truth, off=off)


def _name_all(classes: Sequence[str], has: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(classes[number] for number in np.flatnonzero(has).tolist())


def record_mistakes(wrong: Sequence[WrongAnswer], classes: Sequence[str], style: str) -> list[dict[str, Any]]:
    """Wrong answers as records of ``json`` or ``csv``, with whole paths; JSON holds names as they are."""
    shown = dict(zip(classes, classes if style == "json" else tell_apart(classes), strict=True))

    def write(label: Label) -> Any:
        if isinstance(label, tuple):
            names = [shown[name] for name in label]
            return names if style == "json" else join_names(names)
        return shown[label] if isinstance(label, str) else label

    return [
        {
            "rank": rank,
            "file": write_path(one.path, style),
            "truth": write(one.truth),
            "answer": write(one.answer),
            **({"label": shown[one.label]} if one.label else {}),
            **({} if one.off is None else {"off": one.off}),
            **(
                {}
                if one.probability is None
                else {"probability": one.probability, "truth_probability": one.of_truth}
            ),
        }
        for rank, one in enumerate(wrong, 1)
    ]


def name_fields(task: str) -> list[str]:
    """Fields of the records of `record_mistakes`, also where there is none."""
    of = {"multilabel": ["label"], "ordinal": ["off"], "regression": ["off"]}.get(task, [])
    chances = [] if task == "regression" else ["probability", "truth_probability"]
    return ["rank", "file", "truth", "answer", *of, *chances]


def format_mistakes(wrong: Sequence[WrongAnswer], classes: Sequence[str], style: str, most: int, n: int) -> str:
    """The first wrong answers as ``table`` or ``md``, and how many there are in all.

    Hardly a number is right, so that of numbers all answers are counted. In a terminal each takes two lines, the
    truth above the answer, and of a long path the beginning is left out.

    Parameters
    ----------
    wrong : sequence of WrongAnswer
    classes : sequence of str
    style : str
    most : int
    n : int
        All answers, right ones too.
    """
    if not wrong:
        return "no answer is wrong\n"
    show: Callable[[str], str] = escape_markdown if style == "md" else show_text
    shown = dict(zip(classes, tell_apart(classes, show), strict=True))
    rows = [_show_cells(rank, one, shown, show) for rank, one in enumerate(wrong[:most], 1)]
    if style == "md":
        text = format_records([_part_columns(row) for row in rows], style)
    else:
        lines = [line for row in rows for line in _part_lines(row)]
        text = format_records(_fit_paths(lines), style, broken=[_BOTH, _WRONG])
    more = "" if len(wrong) <= most else "; --format csv or json lists all"
    numbers = isinstance(wrong[0].truth, float)
    said = f"{n} answers, the farthest off" if numbers else f"{len(wrong)} wrong answers, the worst"
    return f"{text}\n{len(rows)} of {said} first{more}\n"


def _show_cells(rank: int, one: WrongAnswer, shown: dict[str, str], show: Callable[[str], str]) -> Cells:
    path = show_path(one.path)
    cells: Cells = {"#": str(rank), "file": escape_markdown(path) if show is escape_markdown else path}
    if isinstance(one.truth, float):
        return {**cells, "truth": f"{one.truth:.6g}", "answer": f"{one.answer:.6g}", "off": f"{one.off:+.4g}"}
    cells[_BOTH] = _say_label(one.truth, shown), _say_label(one.answer, shown)
    if one.label:  # the probability is of this label alone, not of the sets
        missed = one.label in one.truth
        chance = _show_share(one.of_truth if missed else one.probability).strip()
        cells[_WRONG] = f"{shown[one.label]} {'missed' if missed else 'too many'}", chance
        return cells
    if one.off is not None:
        cells["off"] = "", f"{one.off:+.0f}"
    cells[_CHANCE] = _show_share(one.of_truth), _show_share(one.probability)
    return cells


def _show_share(share: float | None) -> str:
    return "" if share is None else f"{100 * share:5.1f} %"


def _say_label(label: Label, shown: dict[str, str]) -> str:
    return (", ".join(shown[name] for name in label) or "none") if isinstance(label, tuple) else shown[str(label)]


def _part_lines(row: Cells) -> Iterator[dict[str, str]]:
    """Lines of a terminal: the truth, then the answer; of numbers one."""
    for line in range(1 + (_BOTH in row)):
        cells = {name: cell[line] if isinstance(cell, tuple) else cell * (line == 0) for name, cell in row.items()}
        yield cells | ({_WRONG: f"{_CHANCE} {cells[_WRONG]}"} if line and _WRONG in row else {})


def _part_columns(row: Cells) -> dict[str, str]:
    """One row: truth and answer in columns of their own."""
    names = {
        _BOTH: ("truth", "answer"),
        _CHANCE: ("probability of the truth", "of the answer"),
        _WRONG: (_WRONG, "its probability"),
        "off": ("", "off"),
    }
    found: dict[str, str] = {}
    for name, cell in row.items():
        parts = zip(names[name], cell, strict=True) if isinstance(cell, tuple) else [(name, cell)]
        found |= {own: part for own, part in parts if own}
    return found


def _fit_paths(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The rows with paths that the other columns leave room for."""
    others = {
        name: max(map(measure_width, (name, *(row[name] for row in rows)))) for name in rows[0] if name != "file"
    }
    room = max(WIDTH - sum(width + 2 for width in others.values()), _NARROWEST)
    return [{**row, "file": shorten_path(row["file"], room)} for row in rows]
