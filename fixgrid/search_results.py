"""What a search found: the grid, and what was dropped before it on what evidence."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from .cache.text import format_records
from .fitting import Grid
from .heads.cell import LEVEL
from .heads.halving import Dropped
from .heads.measures import MEASURES, Measure
from .heads.table import show_trunk


@dataclass(frozen=True)
class Rung:
    """One step of a search.

    Attributes
    ----------
    share : float
        Of the images that it saw.
    images, passes : int
    gmac, seconds : float
        What it took.
    best : str
        The cell that was best on val.
    val : float
        Its figure.
    dropped : tuple of Dropped
        What saw no more images after it, the nearest to the best first.
    metric : str
        What the figures are, see `fixgrid.heads.cell.Trial`.
    """

    share: float
    images: int
    passes: int
    gmac: float
    seconds: float
    best: str
    val: float
    dropped: tuple[Dropped, ...]
    metric: str = "accuracy"

    @property
    def measure(self) -> Measure:
        """What the figures are."""
        return MEASURES[self.metric]


@dataclass(frozen=True, eq=False)
class Search:
    """What a search found.

    Attributes
    ----------
    grid : Grid
        Over the passes that saw all images.
    rungs : list of Rung
        The steps before it; none if the budget was enough for all passes.
    gmac : float
        Multiply-adds of the trunks, 1e9.
    full_gmac : float
        What all passes over all images would have been.
    seconds : float
        From the call to the grid.
    """

    grid: Grid
    rungs: list[Rung]
    gmac: float
    full_gmac: float
    seconds: float

    def format(self, style: str = "table", top: int | None = None) -> str:
        """What was dropped on what evidence, then the grid, as ``table``, ``md``, ``csv`` or ``json``."""
        if style == "json":
            cost = {"gmac": self.gmac, "full_gmac": self.full_gmac, "seconds": self.seconds}
            found = {"rungs": list(map(asdict, self.rungs)), **cost, "grid": json.loads(self.grid.format(style))}
            return json.dumps(found, indent=2) + "\n"
        if style == "csv" or not self.rungs:
            return self.grid.format(style, top)
        parts = [f"{say_rung(rung)}\n{_list_drops(rung, style)}" for rung in self.rungs]
        spent = f"{self.gmac:.0f} of {self.full_gmac:.0f} GMAC, {self.gmac / self.full_gmac:.0%} of all passes"
        parts += [f"all images: {spent}, {self.seconds:.0f} s\n", self.grid.format(style, top)]
        return "\n".join(parts)


def say_rung(rung: Rung) -> str:
    """What a step saw and took, and what was best, in two lines."""
    best = f"{rung.measure.shorten(rung.val)}{rung.measure.suffix.strip()}"
    if rung.metric != "accuracy":
        best = f"{rung.measure.title} {best}"
    return (
        f"{rung.share:.1%} of the images ({rung.images}), {rung.passes} passes, {rung.gmac:.0f} GMAC, "
        f"{rung.seconds:.0f} s\nbest on val: {rung.best}, {best}; dropped:"
    )


def _list_drops(rung: Rung, style: str) -> str:
    rows = [
        {
            "trunk": show_trunk(one.passed.trunk),
            "px": one.passed.res,
            "best val": rung.measure.shorten(one.val.value),
            "behind": rung.measure.shorten(one.behind),
            "told apart": "yes" if one.p < LEVEL else f"no (p {one.p:.2f})",
        }
        for one in rung.dropped
    ]
    return format_records(rows, style) if rows else "none\n"
