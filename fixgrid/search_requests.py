"""Requests: what a search is asked for, and within which budget."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .cache.errors import UsageError
from .heads.ask import read_pairs
from .heads.cell import Cell
from .heads.question import Pair
from .heads.views import list_resolutions
from .requests import Request

_UNITS = {"s": ("s", 1.0), "m": ("s", 60.0), "h": ("s", 3600.0)} | {
    name: (name.removeprefix("t").removeprefix("g"), size)
    for name, size in (("gmac", 1.0), ("tmac", 1000.0), ("images", 1.0))
}


class Budget(NamedTuple):
    """So many seconds (``s``), multiply-adds (``mac``, 1e9) or crops through a trunk (``images``)."""

    unit: str
    amount: float


def read_budget(text: str) -> Budget:
    """A budget from ``30m``, ``90s``, ``2h``, ``5000GMAC``, ``5TMAC`` or ``20000images``.

    Raises
    ------
    UsageError
        If it is none.
    """
    found = re.fullmatch(r"([\d.]+)\s*([a-z]+)", text.strip().lower())
    if not found or found[2] not in _UNITS or found[1].count(".") > 1 or not float(found[1] + "0"):
        raise UsageError(f"found --budget {text!r}; expected a time (30m, 2h), 5000GMAC, 5TMAC or 20000images.")
    unit, size = _UNITS[found[2]]
    return Budget(unit, float(found[1]) * size)


@dataclass(frozen=True, kw_only=True)
class SearchRequest(Request):
    """What to search, and within which budget.

    Attributes
    ----------
    budget : str, optional
        A time (``30m``), multiply-adds (``5TMAC``) or crops (``20000images``); none if not given.
    pairs, heads, strengths
        See `fixgrid.heads.ask.ask_cache`.
    on_cell : callable, optional
        Called with every cell of the grid as it is made.
    """

    budget: str | None = None
    pairs: str | Sequence[Pair] | None = None
    heads: str | Sequence[str] | None = None
    strengths: str | Sequence[float] | None = None
    on_cell: Callable[[Cell], None] | None = field(default=None, compare=False, repr=False)

    def choose_pairs(self, resolutions: Sequence[int]) -> Sequence[Pair] | None:
        """The pairs that are asked for, as far as they are of these resolutions (px); None for all there are."""
        pairs = read_pairs(self.pairs)
        held = set(resolutions)
        return pairs and [
            (train, test) for train, test in pairs if held.issuperset({train, *list_resolutions(test)})
        ]
