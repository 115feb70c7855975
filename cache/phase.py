"""How long work says what is under way, to whoever wants to know, and how fast that is."""

from __future__ import annotations

from typing import Protocol


class Phase(Protocol):
    """Is told what is under way, such as ``fitting heads``: `done` of `total` parts, called `units`, if any."""

    def __call__(self, name: str, done: int = 0, total: int = 0, units: str = "") -> None:
        """Parts done may be told as often as one likes."""


def keep_silent(name: str, done: int = 0, total: int = 0, units: str = "") -> None:
    """A `Phase` that tells nobody."""


def say_rate(rate: float, units: str) -> str:
    """How fast, in units such as ``images`` per second: ``17 images/s``, ``1.7 images/s``, ``3.2 s an image``."""
    if rate >= 1:
        return f"{rate:.0f} {units}/s" if rate >= 9.95 else f"{rate:.1f} {units}/s"
    one = units.removesuffix("s")
    return f"{1 / rate:.1f} s {'an' if one[0] in 'aeiou' else 'a'} {one}"
