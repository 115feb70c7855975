"""L-BFGS for the multinomial loss: curvature known beforehand, line searches without a product with features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from .arrays import Array, count_labels, dot, namespace, precision, to_float64
from .design import Design
from .softmax import class_curvature, loss_along

_MEMORY = 20  # pairs of a step and its change of gradient
_PATIENCE = 3  # steps in a row lost in rounding before the arithmetic is called exhausted


@dataclass(frozen=True, eq=False)
class Problem:
    """``F(W) = mean loss + penalty / 2 |coefficients|^2`` on one design."""

    design: Design
    penalty: float

    @property
    def ridge(self) -> Array:
        """Curvature that the penalty adds to each coordinate, shape (R + 1,): none to the intercept."""
        ridge = self.design.spectrum * 0 + self.penalty
        ridge[-1] = 0
        return ridge

    @cached_property
    def prior_loss(self) -> float:
        """Mean loss of the class frequencies alone."""
        count = count_labels(self.design.y, self.design.n_classes)
        share = to_float64(count) / len(self.design.y)
        return -dot(share, namespace(share).log(share.clip(1e-300)))

    def narrow(self, tol: float, value: float) -> float:
        """The relative gap at which predictions stand still, at most ``tol``.

        A strong penalty keeps the loss near that of the class frequencies: all classes score alike, and what tells
        them apart is a small part of the objective, to whose square an error in the coefficients is hidden.
        """
        return tol * min(1.0, max(self.prior_loss / value - 1, 0.0)) ** 2

    def gradient(self, W: Array, Z: Array) -> Array:
        """Gradient at ``W`` whose logits are ``Z``: shape (K, R + 1)."""
        G = self.design.gradient(Z)
        G[:, :-1] += self.penalty * W[:, :-1]
        return G


class Line:
    """The objective along ``W + t D``, from the logits ``Z`` of W and ``DZ`` of D. Convex in t."""

    def __init__(self, problem: Problem, W: Array, Z: Array, D: Array, DZ: Array):
        self._y, self._penalty, self._Z, self._DZ = problem.design.y, problem.penalty, Z, DZ
        self._noise = 8 * precision(Z)
        W, D = W[:, :-1], D[:, :-1]
        self._ww, self._wd, self._dd = dot(W, W), dot(W, D), dot(D, D)

    def at(self, t: float) -> tuple[float, float]:
        """Value and slope at ``t``."""
        loss, slope = loss_along(self._Z, self._DZ, t, self._y)
        square = self._ww + 2 * t * self._wd + t * t * self._dd
        return loss + self._penalty / 2 * square, slope + self._penalty * (self._wd + t * self._dd)

    def search(self, t: float, start: tuple[float, float], *, tries: int = 10) -> tuple[float, float]:
        """A step and its value, no higher than at 0, where the slope has halved.

        Secants on the slope, whose sign brackets the minimum of a convex function; the first try is ``t``.
        The step is 0 if the slope at 0 does not descend. ``start`` is ``at(0)``.
        """
        value, steepest = start
        ceiling = value * (1 + self._noise)
        low, low_slope, low_value, high, high_slope = 0.0, steepest, value, 0.0, 0.0
        for _ in range(tries if steepest < 0 else 0):
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


class _History:
    """The last steps and gradient changes, as an approximate inverse Hessian."""

    def __init__(self, inverse: Array):
        self._inverse = inverse
        self._pairs: list[tuple[Array, Array, float]] = []

    def add(self, step: Array, change: Array) -> None:
        curvature = dot(step, change)
        if curvature > 0:
            self._pairs = [*self._pairs[1 - _MEMORY :], (step, change, 1 / curvature)]

    def forget(self) -> None:
        self._pairs = []

    def apply(self, G: Array) -> Array:
        """Inverse Hessian times ``G`` (Nocedal and Wright 2006, algorithm 7.4)."""
        q, weights = G, []
        for step, change, rho in reversed(self._pairs):
            weights.append(rho * dot(step, q))
            q = q - weights[-1] * change
        q = self._inverse * q
        if self._pairs:
            step, change, rho = self._pairs[-1]
            q = q / (rho * dot(change, self._inverse * change))
        for (step, change, rho), weight in zip(self._pairs, reversed(weights), strict=True):
            q = q + (weight - rho * dot(change, q)) * step
        return q


def minimise(
    problem: Problem, W: Array, Z: Array, tol: float, max_steps: int
) -> tuple[Array, Array, float, float, int]:
    """Coefficients at the optimum, their logits, the objective, its certified gap and the steps taken.

    Stops when ``|grad|^2 / (2 penalty)``, which strong convexity puts above ``F - F*``, is at most ``tol F``, and
    less under a strong penalty (`Problem.narrow`); after ``max_steps``; or when the arithmetic, that of ``W`` and
    ``Z``, can descend no further. Free intercepts, which no penalty bounds, add half their Newton decrement.

    Parameters
    ----------
    problem : Problem
    W : float array, shape (K, R + 1)
        Where to start.
    Z : float array, shape (n, K)
        Logits of ``W``. Overwritten: with a million rows there is no room for a second copy.
    tol : float
    max_steps : int
    """
    alpha = class_curvature(Z, problem.design.y).clip(1e-12)[:, None]
    history = _History(1 / (alpha * problem.design.spectrum + problem.ridge))
    value = Line(problem, W, Z, W, Z).at(0.0)[0]
    G = problem.gradient(W, Z)
    lost = 0
    for steps in range(max_steps + 1):
        slack = dot(G[:, :-1], G[:, :-1]) / (2 * problem.penalty) + dot(G[:, -1:], G[:, -1:] / alpha) / 2
        gap = slack / value
        if gap <= problem.narrow(tol, value) or lost == _PATIENCE or steps == max_steps:
            break
        D = -history.apply(G)
        DZ = problem.design.logits(D)
        t, reached = Line(problem, W, Z, D, DZ).search(1.0, (value, dot(G, D)))
        lost = lost + 1 if value - reached <= 8 * precision(Z) * value else 0
        value = reached
        if t == 0:
            history.forget()
            continue
        W, before = W + t * D, G
        DZ *= t
        Z += DZ
        G = problem.gradient(W, Z)
        history.add(t * D, G - before)
    return W, Z, value, gap, steps
