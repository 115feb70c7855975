"""Photographs with what the chosen head says of them: its worst mistakes, classes it confuses, examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.text import show_path

from .answers import Answers, pick_example, spread_examples
from .drawings_data import PrincipleShown
from .mistakes import Mistake, list_mistakes

_WORST = 12
_CONFUSED = 4  # pairs of classes
_EXAMPLES = 6


class Shot(NamedTuple):
    """A photograph, what it is of, what is to be said of the head's answer, and its file."""

    jpeg: bytes
    label: str
    said: str
    path: str = ""


class Album(Protocol):
    """Photographs of a data set, by split and row id; None where one is gone or is not what was hashed."""

    def measure(self) -> NDArray[np.int64]:
        """Width and height of each that can be read, px: int64, shape (n, 2)."""

    def resize_side(self, view: Mapping[str, Any]) -> int:
        """Side that a view resizes the short side to, px."""

    def thumbnail(self, split: str, row: int) -> bytes | None:
        """A small JPEG."""

    def principle(
        self, split: str, row: int, train: Mapping[str, Any], test: Mapping[str, Any]
    ) -> PrincipleShown | None:
        """One photograph with the crops of a training and a test view."""


def show_mistakes(answers: Answers, classes: Sequence[str], paths: Sequence[bytes], album: Album) -> list[Shot]:
    """The worst wrong answers, with their files.

    Parameters
    ----------
    answers : Answers
    classes : sequence of str
        As they are shown.
    paths : sequence of bytes
        By row id.
    album : Album
    """
    return _take(answers, classes, paths, album, list_mistakes(answers, _WORST))


def show_confused(answers: Answers, classes: Sequence[str], paths: Sequence[bytes], album: Album) -> list[Shot]:
    """One test image of each class of the most confused pairs."""
    number = {name: i for i, name in enumerate(classes)}
    pairs = [(number[c.first], number[c.second]) for c in answers.figures.confused[:_CONFUSED]]
    found = [pick_example(answers, *ends) for a, b in pairs for ends in ((a, b), (b, a))]
    return _take(answers, classes, paths, album, [Mistake(at) for at in dict.fromkeys(found) if at is not None])


def show_examples(answers: Answers, classes: Sequence[str], paths: Sequence[bytes], album: Album) -> list[Shot]:
    """Of numbers some test images from the least to the largest; of classes none."""
    if answers.task != "regression":
        return []
    return _take(answers, classes, paths, album, map(Mistake, spread_examples(answers, _EXAMPLES)))


def _take(
    answers: Answers, classes: Sequence[str], paths: Sequence[bytes], album: Album, places: Iterable[Mistake]
) -> list[Shot]:
    shots = []
    for one in places:
        row = int(answers.row[one.place])
        if (jpeg := album.thumbnail("test", row)) is not None:
            shots.append(Shot(jpeg, *_say(answers, classes, one), show_path(paths[row])))
    return shots


def _say(answers: Answers, classes: Sequence[str], one: Mistake) -> tuple[str, str]:
    """What an image is, and what the head says of it."""
    y, guess, sure = (part[one.place] for part in (answers.y, answers.guess, answers.confidence))
    if answers.task == "regression":
        off = guess - y
        return (
            f"{classes[0]} {y:.4g}",
            f"taken for {guess:.4g}, {abs(off):.3g} too {'much' if off > 0 else 'little'}",
        )
    if answers.task == "multilabel":
        has = ", ".join(name for name, own in zip(classes, y, strict=True) if own) or "none of them"
        name, chance = classes[one.label], 100 * sure[one.label]
        missed = (
            f"{name} missed, {chance:.1f} % for it" if y[one.label] else f"{name} given, too, {chance:.1f} % for it"
        )
        return f"{has}:", missed
    said = "recognised" if guess == y else f"taken for {classes[guess]}"
    return classes[y], f"{said}, {100 * sure:.0f} % sure"
