"""Figures of one chosen head on one split, each with its 95 % interval, and where it errs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .metrics import Estimate


@dataclass(frozen=True)
class ClassRow:
    """One class.

    Attributes
    ----------
    name : str
    n : int
        Images of the class.
    recall : Estimate or None
        Share of them that were recognised; None without images.
    precision : float or None
        Share of the images called so that are; None if none was.
    average_precision : Estimate or None
        Of its ranking of the images, where they may have several classes; None if none or all have it.
    """

    name: str
    n: int
    recall: Estimate | None
    precision: float | None
    average_precision: Estimate | None = None


@dataclass(frozen=True)
class Confusion:
    """Two classes taken for one another: ``first`` for ``second`` in ``there`` images, ``back`` the other way."""

    first: str
    second: str
    there: int
    back: int


class Figure(NamedTuple):
    """One figure: its name in records, its title, 100 where it is shown in percent or 1, and its value."""

    name: str
    title: str
    unit: int
    value: Estimate


@dataclass(frozen=True)
class HeadFigures:
    """How a head did.

    Attributes
    ----------
    n : int
        Images.
    n_groups : int
        Groups that they are in; 0 if they are in none.
    figures : tuple of Figure
        What suits the labels; see `heads.measuring.measure_head`.
    temperature : float
        Divided the scores before all that are of probabilities.
    per_class : tuple of ClassRow
        In the order of the classes; empty of numbers.
    confused : tuple of Confusion
        The pairs most often taken for one another, most often first; empty unless labels are of one class.
    """

    n: int
    n_groups: int
    figures: tuple[Figure, ...]
    temperature: float
    per_class: tuple[ClassRow, ...] = ()
    confused: tuple[Confusion, ...] = ()

    def __getitem__(self, name: str) -> Estimate:
        """A figure by its name."""
        return next(figure.value for figure in self.figures if figure.name == name)

    def __getattr__(self, name: str) -> Estimate:
        """Likewise, as in ``figures.top1``."""
        for figure in self.__dict__.get("figures", ()):
            if figure.name == name:
                return Estimate(*figure.value)
        raise AttributeError(f"found no figure {name!r} of this task: see figures")

    def say_size(self, what: str = "images") -> str:
        """How many images, and groups, in words."""
        return f"{self.n} {what}" + f" in {self.n_groups} groups" * (self.n_groups > 0)

    @property
    def said_intervals(self) -> str:
        """What the intervals are, in words."""
        alone = "; one group tells nothing of others" * (self.n_groups == 1)
        return "95 % intervals" + ", groups resampled whole" * (self.n_groups > 0) + alone

    @property
    def main(self) -> Figure:
        """The first of them: accuracy, quadratic kappa, mAP or R2."""
        return self.figures[0]
