"""L-BFGS for a penalised loss: curvature known beforehand, line searches without a product with features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from .arrays import Precision, dot
from .loss import Loss, loss_along, mean_curvature
from .together import Gradient, Logits, Solver

TOL = 1e-4
"""Largest certified relative distance from the optimum."""
MAX_STEPS = 2000
"""A strength that needs more keeps the gap it reached."""

_MEMORY = 20  # pairs of a step and its change of gradient
_TRIES = 10  # points of one line search
PATIENCE = 3
"""Steps in a row lost in rounding before the arithmetic is called exhausted."""


@dataclass(frozen=True, eq=False)
class Problem:
    """``F(W) = mean loss + penalty / 2 |coefficients|^2``.

    Attributes
    ----------
    loss : Loss
    spectrum : float32 array, shape (R + 1,)
        See `Design`.
    penalty : float
    """

    loss: Loss
    spectrum: NDArray[np.float32]
    penalty: float

    @property
    def ridge(self) -> NDArray[np.float32]:
        """Curvature that the penalty adds to each coordinate, shape (R + 1,): none to the intercept."""
        ridge = np.full_like(self.spectrum, self.penalty)
        ridge[-1] = 0
        return ridge

    def narrow(self, tol: float, value: float) -> float:
        """The relative gap at which predictions stand still, at most ``tol``.

        A strong penalty keeps the loss near that of the class frequencies: all classes score alike, and what tells
        them apart is a small part of the objective, to whose square an error in the coefficients is hidden.
        """
        return tol * min(1.0, max(self.loss.prior / value - 1, 0.0)) ** 2

    def certify(self, value: float, G: NDArray[Precision], curvature: NDArray[Precision]) -> float:
        """Bound on ``(F - F*) / F`` where the objective is ``value`` and its gradient ``G``; see `minimise`."""
        alpha = curvature.clip(1e-12)[:, None]
        slack = dot(G[:, :-1], G[:, :-1]) / (2 * self.penalty) + dot(G[:, -1:], G[:, -1:] / alpha) / 2
        return slack / value

    def bend(self, curvature: NDArray[Precision]) -> NDArray[Precision]:
        """Second derivative by each coefficient, of the loss' ``curvature`` (K,) by logit: shape (K, R + 1)."""
        found: NDArray[Precision] = curvature.clip(1e-12)[:, None] * self.spectrum
        found += self.ridge
        return found

    def gradient(self, W: NDArray[Precision], Z: NDArray[Precision]) -> Solver[NDArray[Precision]]:
        """Gradient at ``W`` whose logits are ``Z``: shape (K, R + 1)."""
        G: NDArray[Precision] = yield Gradient(self.loss, Z)
        G[:, :-1] += self.penalty * W[:, :-1]
        return G


@dataclass(frozen=True, eq=False)
class Solution:
    """What the solver reached at one C.

    Attributes
    ----------
    W : float32 array, shape (K, R + 1)
        Coefficients in the design's coordinates; last column the intercepts.
    objective : float
        Mean loss plus penalty: scikit-learn's objective over ``C n``.
    gap : float
        Certified bound on ``(F - F*) / F``.
    steps : int
        L-BFGS steps, each of which reads the features twice; of features on disk, readings.
    """

    W: NDArray[np.float32]
    objective: float
    gap: float
    steps: int


class Line(Generic[Precision]):
    """The objective along ``W + t D``, from the logits ``Z`` of W and ``DZ`` of D. Convex in t."""

    def __init__(
        self,
        problem: Problem,
        W: NDArray[Precision],
        Z: NDArray[Precision],
        D: NDArray[Precision],
        DZ: NDArray[Precision],
    ):
        self._loss, self._penalty = problem.loss, problem.penalty
        self._Z: NDArray[Precision] = Z
        self._DZ: NDArray[Precision] = DZ
        self._noise = round_off(Z)
        W, D = W[:, :-1], D[:, :-1]
        self._ww, self._wd, self._dd = dot(W, W), dot(W, D), dot(D, D)

    def at(self, t: float) -> tuple[float, float]:
        """Value and slope at ``t``."""
        loss, slope = loss_along(self._loss, self._Z, self._DZ, t)
        square = self._ww + 2 * t * self._wd + t * t * self._dd
        return loss + self._penalty / 2 * square, slope + self._penalty * (self._wd + t * self._dd)

    def search(self, t: float, start: tuple[float, float]) -> tuple[float, float]:
        """A step and its value, no higher than at 0, where the slope has halved.

        Secants on the slope, whose sign brackets the minimum of a convex function; the first try is ``t``.
        The step is 0 if the slope at 0 does not descend. ``start`` is ``at(0)``.
        """
        value, steepest = start
        ceiling = value * (1 + self._noise)
        low, low_slope, low_value, high, high_slope = 0.0, steepest, value, 0.0, 0.0
        for _ in range(_TRIES if steepest < 0 else 0):
            value, slope = self.at(t)
            if abs(slope) <= -steepest / 2 and value <= ceiling:
                return t, value
            if slope < 0:
                low, low_slope, low_value = t, slope, value
            else:
                high, high_slope = t, slope
            if high:
                secant = low + (high - low) * low_slope / (low_slope - high_slope)
                margin = 0.1 * (high - low)
                t = min(max(secant, low + margin), high - margin)
            else:
                t *= min(max(1.5, steepest / (steepest - slope)), 4.0) if slope > steepest else 4.0
        return low, low_value


class History(Generic[Precision]):
    """The last steps and gradient changes, as an approximate inverse Hessian."""

    def __init__(self, curvature: NDArray[Precision]):
        self._inverse: NDArray[Precision] = np.reciprocal(curvature)
        self._pairs: list[tuple[NDArray[Precision], NDArray[Precision], float]] = []

    def add(self, step: NDArray[Precision], change: NDArray[Precision]) -> None:
        """Learn that the gradient changed by ``change`` in a step; the oldest is forgotten."""
        curvature = dot(step, change)
        if curvature > 0:
            self._pairs.append((step, change, 1 / curvature))
            del self._pairs[:-_MEMORY]

    def forget(self) -> None:
        """Keep what the curvature was at first."""
        self._pairs.clear()

    def move(self, penalty: float, curvature: NDArray[Precision]) -> None:
        """Serve an objective whose penalty is higher by ``penalty``: what that adds to each change is known."""
        self._inverse = np.reciprocal(curvature)
        pairs, self._pairs = self._pairs, []
        for step, change, _ in pairs:
            change[:, :-1] += penalty * step[:, :-1]
            self.add(step, change)

    def apply(self, G: NDArray[Precision]) -> NDArray[Precision]:
        """Inverse Hessian times ``G`` (Nocedal and Wright 2006, algorithm 7.4)."""
        q, weights = G.copy(), []
        for step, change, rho in reversed(self._pairs):
            weights.append(rho * dot(step, q))
            q -= weights[-1] * change
        q *= self._inverse
        if self._pairs:
            step, change, rho = self._pairs[-1]
            q /= rho * dot(change, self._inverse * change)
        for (step, change, rho), weight in zip(self._pairs, reversed(weights), strict=True):
            q += (weight - rho * dot(change, q)) * step
        return q


def minimise(
    problem: Problem, W: NDArray[Precision], Z: NDArray[Precision], tol: float, max_steps: int
) -> Solver[tuple[NDArray[Precision], NDArray[Precision], float, float, int]]:
    """Coefficients at the optimum, their logits, the objective, its certified gap and the steps taken.

    A generator that asks for its products with the features (`fixgrid.heads.together`). It stops when
    ``|grad|^2 / (2 penalty)``, which strong convexity puts above ``F - F*``, is at most ``tol F``, and less under a
    strong penalty (`Problem.narrow`); after ``max_steps``; or when the arithmetic, that of ``W`` and ``Z``, can
    descend no further. Free intercepts, which no penalty bounds, add half their Newton decrement.

    Parameters
    ----------
    problem : Problem
    W : float array, shape (K, R + 1)
        Where to start.
    Z : float array, shape (n, K)
        Logits of ``W``. Overwritten: with many classes it is larger than the features.
    tol : float
    max_steps : int
    """
    curvature = mean_curvature(problem.loss, Z)
    history = History(problem.bend(curvature))
    value = Line(problem, W, Z, W, Z).at(0.0)[0]
    G = yield from problem.gradient(W, Z)
    lost = 0
    for steps in range(max_steps + 1):
        gap = problem.certify(value, G, curvature)
        if gap <= problem.narrow(tol, value) or lost == PATIENCE or steps == max_steps:
            break
        D = -history.apply(G)
        DZ: NDArray[Precision] = yield Logits(D)
        t, reached = Line(problem, W, Z, D, DZ).search(1.0, (value, dot(G, D)))
        lost = lost + 1 if value - reached <= round_off(Z) * value else 0
        value = reached
        if t == 0:
            history.forget()
            continue
        D *= t
        W, before = W + D, G
        DZ *= t
        Z += DZ
        G = yield from problem.gradient(W, Z)
        history.add(D, G - before)
    return W, Z, value, gap, steps


def round_off(Z: NDArray[Precision]) -> float:
    """Relative change of an objective of logits ``Z`` that their arithmetic does not tell from none."""
    return 8 * float(np.finfo(Z.dtype).eps)
