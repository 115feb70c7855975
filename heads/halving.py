"""Successive halving over passes of trunks: what is worth seeing more images, and what is not. Pure decisions.

A pass is one trunk at one resolution. All passes see a small share of the images first; those whose cells are best
on val see more, until few see all (Jamieson & Talwalkar 2016). Shares are prefixes of one order of the images, so
nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .cell import Trial
from .metrics import Estimate
from .verdict import Verdict
from .views import list_resolutions

RUNGS = 4  # shares, the last of which is all images


class Pass(NamedTuple):
    """One trunk at one resolution, px."""

    trunk: str
    res: int


@dataclass(frozen=True)
class Dropped:
    """A pass that sees no more images, and on what evidence.

    Attributes
    ----------
    passed : Pass
    share : float
        Of the images that it has seen.
    val : Estimate
        Of the best cell that it took part in.
    behind : float
        The best cell's figure on val less that.
    p : float
        That its best cell is as good as the best, as `Trial.val_p`.
    """

    passed: Pass
    share: float
    val: Estimate
    behind: float
    p: float


def list_passes(trial: Trial) -> set[Pass]:
    """The passes that a trial's features come from."""
    return {Pass(trial.axes.trunk, res) for res in (trial.train_res, *list_resolutions(trial.test_res))}


def plan_shares(least: float, costs: Iterable[float], budget: float) -> list[float]:
    """Shares of the images that passes see one after another, so that each step may cost as much as the others.

    Parameters
    ----------
    least : float
        Smallest share that can be judged, in (0, 1].
    costs : iterable of float
        Of each pass over all images, in the unit of ``budget``.
    budget : float

    Returns
    -------
    list of float
        Ascending, ending with 1; only 1 if the budget is enough for all passes.
    """
    total = sum(costs)
    if budget >= total:
        return [1.0]
    first = max(least, budget / RUNGS / total)
    steps = max(2, RUNGS if first < 0.5 else 2)
    return [first ** (1 - step / (steps - 1)) for step in range(steps)]


def keep_best(verdict: Verdict[Trial], costs: Mapping[Pass, float], room: float) -> set[Pass]:
    """The passes of the best trials on val, as many as there is room for; those of the best in any case.

    Parameters
    ----------
    verdict : Verdict
    costs : mapping of Pass to float
        Of the next step.
    room : float
        What the next step may cost.
    """
    kept: set[Pass] = set()
    for trial in sorted(verdict.cells, key=lambda trial: -trial.val.value):
        wider = kept | list_passes(trial)
        if not kept or sum(costs[one] for one in wider) <= room:
            kept = wider
    return kept


def explain_drops(verdict: Verdict[Trial], kept: set[Pass], share: float) -> list[Dropped]:
    """Why passes are given up, the nearest to the best first."""
    best: dict[Pass, Trial] = {}
    for trial in verdict.cells:
        for one in list_passes(trial) - kept:
            if one not in best or trial.val.value > best[one].val.value:
                best[one] = trial
    top = verdict.best.val.value
    drops = [Dropped(one, share, trial.val, top - trial.val.value, trial.val_p) for one, trial in best.items()]
    return sorted(drops, key=lambda drop: drop.behind)
