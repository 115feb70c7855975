"""Features as heads see them: an array with its labels, whatever cache they came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features of one split, seen one way; rows that could not be computed are already left out.

    Attributes
    ----------
    X : float32 array, shape (n, V, D)
        V views (crops or draws) of each image.
    y : int64 array, shape (n,)
        Labels.
    row : int64 array, shape (n,)
        Row ids in the manifest's split, ascending.
    sha256 : uint8 array, shape (n, 32)
        Digest of each image file, for finding duplicates.
    """

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    row: NDArray[np.int64]
    sha256: NDArray[np.uint8]
