"""One of the cells among which data dealt anew choose: what it is, and what it is called beside the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .cell import Axes, differs
from .question import Ask
from .recipe import Recipe
from .table import show_trunk
from .views import TestRes


class Contender(NamedTuple):
    """What tells a cell from the others, and what its answer costs.

    Attributes
    ----------
    axes : Axes
    train_res : int
        px.
    test_res : int or str
        px; see `heads.views.TestRes`.
    family, correction : str
    gmac : float
        Of an answer about one image; infinite where it is not known.
    """

    axes: Axes
    train_res: int
    test_res: TestRes
    family: str
    correction: str
    gmac: float

    @property
    def facts(self) -> dict[str, Any]:
        """All but the cost, as flat JSON values."""
        own = {name: getattr(self, name) for name in ("train_res", "test_res", "family", "correction")}
        return {**self.axes._asdict(), **own}


def enter(recipe: Recipe, ask: Ask) -> Contender:
    """A recipe as a contender."""
    cost = ask.weigh(recipe.test_res)
    own = recipe.train_res, recipe.test_res, recipe.family, recipe.correction
    return Contender(ask.axes, *own, cost.gmac if cost else float("inf"))


def find_best(accuracies: Sequence[float], contenders: Sequence[Contender]) -> int:
    """Place of the most accurate; of several the cheapest, then the first."""
    return max(range(len(accuracies)), key=lambda i: (accuracies[i], -contenders[i].gmac))


def name_contenders(contenders: Iterable[Contender]) -> dict[Contender, str]:
    """Each in words, with whatever it may differ in from the others."""
    listed = list(dict.fromkeys(contenders))
    differ = [name for name in Axes._fields if differs(name, [one.axes for one in listed])]
    differ += [name for name in ("family", "correction") if len({getattr(one, name) for one in listed}) > 1]
    names = {}
    for one in listed:
        said = {name: str(value) for name, value in one.facts.items() if name in differ}
        said |= {"trunk": show_trunk(said["trunk"])} if "trunk" in said else {}
        names[one] = ", ".join([*said.values(), f"{one.train_res} -> {one.test_res} px"])
    return names
