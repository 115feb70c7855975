"""L-BFGS where each look at the objective reads all features from disk, and no logits are kept.

In memory a step reads the features twice, and a line search costs nothing but logits (`fixgrid.heads.lbfgs`): of a
million rows and a thousand classes 4 GB, several times. Here one sweep gives value and gradient at once, for the
same two products. Looks of a line search are sweeps, so a step is taken as it is proposed where the value falls
enough (Armijo 1966; Nocedal and Wright 2006, section 3.1). Curvature that was met at one strength serves the next,
for the penalty's part of it is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from .arrays import Precision, dot
from .lbfgs import MAX_STEPS, PATIENCE, TOL, History, Problem, Solution, round_off
from .loss import Loss
from .streamed import Point
from .together import Solver, Sweep

_FALL = 1e-4  # of what the slope at the start promises
_TRIES = 6  # looks of one line search
_KEPT_POINTS = 3  # solved strengths whose gradients are kept to start others from


@dataclass(frozen=True, eq=False)
class Reached(Generic[Precision]):
    """Where the solver stands: a point, and its certificate."""

    point: Point[Precision]
    value: float
    gap: float
    sweeps: int


class SweptPart:
    """The path of those coefficients that share a loss, as `fixgrid.heads.logistic` has it in memory."""

    def __init__(self, spectrum: NDArray[np.float32], loss: Loss):
        self._spectrum, self._loss = spectrum, loss
        self._found: dict[float, NDArray[np.float32]] = {}
        self._points: dict[float, Point[np.float32]] = {}
        self._history: tuple[float, History[np.float32]] | None = None

    def solve(self, C: float) -> Solver[Solution]:
        """The optimum for ``C``."""
        loss = self._loss
        problem = Problem(loss, self._spectrum, float(1 / (C / loss.copies * loss.n)))
        if loss.is_constant:
            return Solution(self._zero, loss.prior, 0.0, 0)
        point, used = yield from self._start(problem, C)
        reached = yield from minimise_swept(problem, point, self._recall(problem, point), TOL, MAX_STEPS)
        sweeps, point = used + reached.sweeps, reached.point
        value, gap = reached.value, reached.gap
        if gap > TOL:  # as in memory: float32 stalls
            self._history = None  # room for that of float64
            exact: Point[np.float64] = yield Sweep(loss, point.W.astype(np.float64))
            knows = History(problem.bend(exact.curvature))
            fine = yield from minimise_swept(problem, exact, knows, TOL, MAX_STEPS - sweeps)
            value, gap, sweeps = fine.value, fine.gap, sweeps + 1 + fine.sweeps
            point = fine.point.round()
        self._found[C] = point.W
        self._points[C] = point
        for old in list(self._points)[:-_KEPT_POINTS]:
            del self._points[old]
        return Solution(point.W, value, gap, sweeps)

    def _start(self, problem: Problem, C: float) -> Solver[tuple[Point[np.float32], int]]:
        """The point to start from, and the sweeps it took: as in memory, on the line through the nearest two."""
        near = sorted(self._found, key=lambda other: abs(math.log(other / C)))[:2]
        known = self._points.get(near[0]) if near else None
        used = 0
        if known is None:
            known, used = (yield Sweep(self._loss, self._found[near[0]] if near else self._zero)), 1
        if len(near) < 2:
            return known, used
        t = math.log(C / near[0]) / math.log(near[0] / near[1])
        D = math.copysign(1.0, t) * (known.W - self._found[near[1]])
        point, more = yield from search_swept(problem, known, D, abs(t))
        return point, used + more

    def _recall(self, problem: Problem, point: Point[np.float32]) -> History[np.float32]:
        """The curvature that was met at other strengths, as it is at this one."""
        bend = problem.bend(point.curvature)
        if self._history is None:
            self._history = problem.penalty, History(bend)
        before, history = self._history
        history.move(problem.penalty - before, bend)
        self._history = problem.penalty, history
        return history

    @property
    def _zero(self) -> NDArray[np.float32]:
        W = np.zeros((self._loss.width, len(self._spectrum)), np.float32)
        W[:, -1] = self._loss.start
        return W


def minimise_swept(
    problem: Problem, point: Point[Precision], history: History[Precision], tol: float, max_sweeps: int
) -> Solver[Reached[Precision]]:
    """The point at the optimum, to the certificate of `fixgrid.heads.lbfgs.minimise`.

    Parameters
    ----------
    problem : Problem
    point : Point
        Where to start.
    history : History
        Of the objective's curvature as far as it is known; learns more.
    tol : float
    max_sweeps : int
    """
    value, G = look(problem, point)
    lost = sweeps = 0
    while True:
        gap = problem.certify(value, G, point.curvature)
        if gap <= problem.narrow(tol, value) or lost == PATIENCE or sweeps >= max_sweeps:
            return Reached(point, value, gap, sweeps)
        found, used = yield from search_swept(problem, point, -history.apply(G), 1.0)
        sweeps += used
        if found is point:
            history.forget()
            lost += 1
            continue
        reached, there = look(problem, found)
        lost = lost + 1 if value - reached <= round_off(G) * value else 0
        history.add(found.W - point.W, there - G)
        value, G, point = reached, there, found


def search_swept(
    problem: Problem, point: Point[Precision], D: NDArray[Precision], t: float
) -> Solver[tuple[Point[Precision], int]]:
    """The first point along ``D``, from ``t`` back, whose value falls enough, else ``point``; and the sweeps."""
    value, G = look(problem, point)
    steepest, ceiling = dot(G, D), value * (1 + round_off(G))
    tries = _TRIES if steepest < 0 else 0
    for used in range(1, tries + 1):
        found: Point[Precision] = yield Sweep(problem.loss, point.W + t * D)
        reached, there = look(problem, found)
        if reached <= ceiling + _FALL * t * steepest:
            return found, used
        slope = dot(there, D)
        secant = t * steepest / (steepest - slope) if slope > steepest else 0.0
        t = min(max(secant, 0.1 * t), 0.5 * t)
    return point, tries


def look(problem: Problem, point: Point[Precision]) -> tuple[float, NDArray[Precision]]:
    """The objective at a point, and its gradient (K, R + 1)."""
    W, G = point.W, point.slope.copy()
    G[:, :-1] += problem.penalty * W[:, :-1]
    return point.loss + problem.penalty / 2 * dot(W[:, :-1], W[:, :-1]), G
