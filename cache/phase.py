"""How long work says what is under way, to whoever wants to know."""

from __future__ import annotations

from typing import Protocol


class Phase(Protocol):
    """Is told what is under way, such as ``fitting heads``: `done` of `total` parts, called `units`, if any."""

    def __call__(self, name: str, done: int = 0, total: int = 0, units: str = "") -> None:
        """Parts done may be told as often as one likes."""


def keep_silent(name: str, done: int = 0, total: int = 0, units: str = "") -> None:
    """A `Phase` that tells nobody."""
