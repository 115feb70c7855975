"""What val says of a head beyond its figure: how far its answers are off, and how strange known images are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .conformal import measure_coverage
from .figures import Figure
from .judging import estimate_rate
from .novelty import LEVEL, Shift, find_p, measure_shift


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores of the images that a head was chosen on; see `heads.conformal` and `heads.novelty`.

    Attributes
    ----------
    nonconformity : float32 array, shape (n,)
        How badly each answer fits its label, ascending.
    novelty : float32 array, shape (n,)
        How strange each image is, ascending.
    means : float32 array, shape (P, D)
        Mean features of the classes, of unit length, as the head takes features.
    alone : float or None
        Where they are grouped, how many images by themselves tell as much, see `count_alone`. None where they are
        not, and of heads that were kept without it: their shift test alarms too often if val was grouped.
    """

    nonconformity: NDArray[np.float32]
    novelty: NDArray[np.float32]
    means: NDArray[np.float32]
    alone: float | None = None

    def measure_shift(self, p: NDArray[np.float64], group: NDArray[np.int64] | None = None) -> Shift | None:
        """How other images lie against these by their p-values, see `fixgrid.heads.novelty.measure_shift`."""
        return measure_shift(p, len(self.novelty), group, self.alone)

    def measure(
        self,
        scores: NDArray[np.float32],
        novelty: NDArray[np.float32],
        y: NDArray[Any],
        temperature: float,
        task: str,
        group: NDArray[np.int64] | None = None,
    ) -> tuple[Figure, ...]:
        """Of other images: coverage and size of answers of 90 %, and the share called unknown at 5 %.

        What val has too few images for is left out.

        Parameters
        ----------
        scores, y, temperature, task, group
            See `heads.measuring.measure_head`.
        novelty : float32 array, shape (n,)
            Of `heads.novelty.rate_novelty`.
        """
        figures = measure_coverage(self.nonconformity, scores, y, temperature, task, group)
        if LEVEL * (len(self.novelty) + 1) >= 1:
            level = f"{100 * LEVEL:.0f}"
            called = estimate_rate(find_p(self.novelty, novelty) <= LEVEL, group)
            figures.append(Figure(f"unknown_{level}", f"called unknown at {level} %", 100, called))
        return tuple(figures)
