"""Uniform numbers for the random views, fixed by what is drawn for and not by when."""

from __future__ import annotations

import hashlib

import numpy as np


class Draws:
    """A stream of uniform numbers that depends on the seed, the image's content and the draw's number alone.

    Not on order, workers, batch, name or resolution: the same image is cropped alike at every resolution, so
    cells of the grid differ by resolution and not by luck. Philox's raw words are fixed for all numpy versions.
    """

    def __init__(self, seed: int, content: bytes, draw: int) -> None:
        digest = hashlib.sha256(b"%d %d " % (seed, draw) + content).digest()
        self._words = np.random.Philox(key=int.from_bytes(digest[:16], "little"))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number in [low, high)."""
        return low + (high - low) * ((int(self._words.random_raw()) >> 11) * 2.0**-53)

    def integer(self, stop: int) -> int:
        """An integer in [0, stop)."""
        return int(self.uniform() * stop)
