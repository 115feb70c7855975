"""The exact optimum of logistic regression for many values of C, each started from its neighbours.

In scikit-learn's terms the objective is ``|coefficients|^2 / 2 + C sum_i loss_i`` with free intercepts; here it
is divided by ``C n``, so the penalty is ``1 / (C n)`` against the mean loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import powers_of_ten
from .design import Design
from .lbfgs import Line, Problem, minimise
from .linear import LinearHead
from .loss import Loss
from .together import Logits, Solver, solve_together

# DINOv2's grid (Oquab et al. 2023).
DINOV2_C = powers_of_ten(-6, 5, 45)

_TOL = 1e-4  # largest certified relative distance from the optimum
_MAX_STEPS = 2000  # a C that needs more keeps the gap it reached
_KEPT_LOGITS = 3  # solved values of C whose (n, K) logits are kept to start others from


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
        L-BFGS steps; each reads the features twice.
    """

    W: NDArray[np.float32]
    objective: float
    gap: float
    steps: int


class LogisticPath:
    """Logistic regression of one training set at any C, each solved once: of whatever loss the design has.

    Labels that an image may have independently are fitted each to a certificate of its own.

    Parameters
    ----------
    design : Design
    """

    def __init__(self, design: Design):
        self.design = design
        self.solutions: dict[float, Solution] = {}
        self._parts = [_Part(design, loss) for loss in design.loss.split()]

    def head(self, C: float) -> LinearHead:
        """The head at the optimum for ``C``, on raw features."""
        return self.design.axes.fold(self.solve(C).W, C)

    def solve(self, C: float) -> Solution:
        """The optimum for ``C``, from memory if it was solved before; of several labels all in one.

        Then ``objective`` is their sum, ``gap`` the largest and ``steps`` those of the slowest.
        """
        if C not in self.solutions:
            found = solve_together(self.design, [part.solve(C) for part in self._parts])
            self.solutions[C] = found[0] if len(found) == 1 else _join(found)
        return self.solutions[C]


class SquaresPath:
    """Least squares for any alpha where each label has weights of its own, and so no eigenbasis serves all.

    Solved as logistic regression is, to the same certificate, at ``C = 1 / alpha``.

    Parameters
    ----------
    design : Design
        Of squares.
    """

    def __init__(self, design: Design):
        self._path = LogisticPath(design)

    def head(self, strength: float) -> LinearHead:
        """The head at alpha ``strength``; the intercept is free of the penalty."""
        design = self._path.design
        W = design.loss.target_scale * self._path.solve(1 / strength).W
        W[:, -1] += design.loss.target_mean
        return design.axes.fold(W, strength)


class _Part:
    """The path of those coefficients that share a loss: all of a softmax, or one label's."""

    def __init__(self, design: Design, loss: Loss):
        self._spectrum, self._loss = design.spectrum, loss
        self._solutions: dict[float, Solution] = {}
        self._logits: dict[float, NDArray[np.float32]] = {}

    def solve(self, C: float) -> Solver[Solution]:
        """The optimum for ``C``."""
        problem = Problem(self._loss, self._spectrum, float(1 / (C / self._loss.copies * self._loss.n)))
        W, Z = yield from self._start(problem, C)
        if self._loss.is_constant:
            return Solution(W, self._loss.prior, 0.0, 0)
        W, Z, value, gap, steps = yield from minimise(problem, W, Z, _TOL, _MAX_STEPS)
        if gap > _TOL:
            # Where a training set is only just separable, float32 stalls up to 1e-3 above the optimum.
            fine = W.astype(np.float64)
            logits = yield Logits(fine)
            fine, logits, value, gap, more = yield from minimise(problem, fine, logits, _TOL, _MAX_STEPS - steps)
            W, Z, steps = fine.astype(np.float32), logits.astype(np.float32), steps + more
        self._solutions[C] = Solution(W, value, gap, steps)
        self._keep_logits(C, Z)
        return self._solutions[C]

    def _start(self, problem: Problem, C: float) -> Solver[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Best point on the line, straight in log C, through the two nearest solutions; both arrays are new."""
        near = sorted(self._solutions, key=lambda other: abs(math.log(other / C)))[:2]
        if not near:
            W = np.zeros((self._loss.width, len(self._spectrum)), np.float32)
            W[:, -1] = self._loss.start
            return W, np.tile(W[:, -1], (self._loss.n, 1))
        W, Z = yield from self._point(near[0])
        if len(near) == 1:
            return W, Z
        other_W, DZ = yield from self._point(near[1])
        t = math.log(C / near[0]) / math.log(near[0] / near[1])
        sign = math.copysign(1.0, t)
        D = sign * (W - other_W)
        DZ -= Z
        DZ *= -sign
        line = Line(problem, W, Z, D, DZ)
        t, _ = line.search(abs(t), line.at(0.0))
        DZ *= t
        Z += DZ
        return W + t * D, Z

    def _point(self, C: float) -> Solver[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Coefficients of a solved value of C, and new logits of them."""
        W, Z = self._solutions[C].W, self._logits.get(C)
        logits = (yield Logits(W)) if Z is None else Z.copy()
        return W, logits

    def _keep_logits(self, C: float, Z: NDArray[np.float32]) -> None:
        self._logits[C] = Z
        for old in list(self._logits)[:-_KEPT_LOGITS]:
            del self._logits[old]


def _join(found: list[Solution]) -> Solution:
    return Solution(
        np.concatenate([each.W for each in found]),
        sum(each.objective for each in found),
        max(each.gap for each in found),
        max(each.steps for each in found),
    )
