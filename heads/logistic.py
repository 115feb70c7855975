"""The exact optimum of multinomial logistic regression for many values of C, each started from its neighbours.

In scikit-learn's terms the objective is ``|coefficients|^2 / 2 + C sum_i loss_i`` with free intercepts; here it
is divided by ``C n``, so the penalty is ``1 / (C n)`` against the mean loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .arrays import Array, like, to_float32, to_float64
from .design import Design
from .lbfgs import Line, Problem, minimise
from .linear import LinearHead

# DINOv2's grid (Oquab et al. 2023) and CLIP's (Radford et al. 2021, lambda = 1 / C).
DINOV2_C = tuple((10 ** np.linspace(-6, 5, 45)).tolist())
CLIP_C = tuple((10 ** np.linspace(-6, 6, 96)).tolist())

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

    W: Array
    objective: float
    gap: float
    steps: int


class LogisticPath:
    """Multinomial logistic regression of one training set at any C, each solved once.

    Parameters
    ----------
    design : Design
    tol : float
        Largest certified relative distance from the optimum.
    max_steps : int
        A C that needs more keeps the gap it reached.
    """

    def __init__(self, design: Design, *, tol: float = 1e-4, max_steps: int = 2000):
        self.design = design
        self.tol = tol
        self.max_steps = max_steps
        self.solutions: dict[float, Solution] = {}
        self._logits: dict[float, Array] = {}

    def head(self, C: float) -> LinearHead:
        """The head at the optimum for ``C``, on raw features."""
        return self.design.axes.fold(self.solve(C).W, C)

    def solve(self, C: float) -> Solution:
        """The optimum for ``C``, from memory if it was solved before."""
        if C not in self.solutions:
            # With two classes scikit-learn fits the one vector w1 - w0: the same optimum at half the C.
            weight = C / 2 if self.design.n_classes == 2 else C
            problem = Problem(self.design, float(1 / (weight * len(self.design.y))))
            W, Z = self._start(problem, C)
            W, Z, value, gap, steps = minimise(problem, W, Z, self.tol, self.max_steps)
            if gap > self.tol:
                # Where a training set is only just separable, float32 stalls up to 1e-3 above the optimum.
                W = to_float64(W)
                W, Z, value, gap, more = minimise(
                    problem, W, self.design.logits(W), self.tol, self.max_steps - steps
                )
                steps += more
            self.solutions[C] = Solution(to_float32(W), value, gap, steps)
            self._keep_logits(C, to_float32(Z))
        return self.solutions[C]

    def _start(self, problem: Problem, C: float) -> tuple[Array, Array]:
        """Best point on the line, straight in log C, through the two nearest solutions; both arrays are new."""
        near = sorted(self.solutions, key=lambda other: abs(math.log(other / C)))[:2]
        if not near:
            k, y = self.design.n_classes, self.design.y
            shapes = (k, len(self.design.spectrum)), (len(y), k)
            W, Z = (like(np.zeros(shape, np.float32), self.design.spectrum) for shape in shapes)
            return W, Z
        W, Z = self._point(near[0])
        if len(near) == 1:
            return W, Z
        other_W, DZ = self._point(near[1])
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

    def _point(self, C: float) -> tuple[Array, Array]:
        """Coefficients of a solved value of C, and new logits of them."""
        W, Z = self.solutions[C].W, self._logits.get(C)
        return W, self.design.logits(W) if Z is None else Z + 0

    def _keep_logits(self, C: float, Z: Array) -> None:
        if self.design.lazy:
            return  # rows that do not fit in memory have logits that are large too
        self._logits[C] = Z
        for old in list(self._logits)[:-_KEPT_LOGITS]:
            del self._logits[old]
