"""How values of more than 8 bits become 8: the part of a key's decode policy that a user may set."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import CacheError, UsageError

FIELD = "16 bit"
"""Name of it in the policy."""
_USUAL = "/257"
_NUMBER = r"-?\d+(?:\.\d*)?(?:[eE]-?\d+)?"


@dataclass(frozen=True)
class Scale:
    """The values of images above 8 bits that are seen as black and as white; between them it is linear.

    Attributes
    ----------
    low, high : float
        Values outside are cut off. The usual ones are those of 16 bits, whatever an image holds; low above high
        turns black and white round.
    """

    low: float = 0.0
    high: float = 65535.0

    @property
    def is_usual(self) -> bool:
        """Whether it is what keys of all versions say where nobody asked for another."""
        return (self.low, self.high) == (0, 65535)

    def to_spec(self) -> str:
        """As keys hold it."""
        return _USUAL if self.is_usual else str(self)

    def __str__(self) -> str:
        """As it is typed: ``0:4095``."""
        return f"{_write(self.low)}:{_write(self.high)}"

    def describe(self) -> str:
        """In words, for people."""
        return f"values of more than 8 bits: {_write(self.low)} is black, {_write(self.high)} is white"

    @classmethod
    def from_decode(cls, policy: Mapping[str, Any]) -> Scale:
        """That of a key's decode policy.

        Raises
        ------
        CacheError
            If this version does not know it.
        """
        text = policy.get(FIELD, _USUAL)
        try:
            return cls() if text == _USUAL else read_scale(text)
        except UsageError:
            raise CacheError(f"found no decode policy of this version ({text!r}); run extract again.") from None


USUAL = Scale()


def read_scale(asked: str | float | None) -> Scale:
    """A scale from its largest value, as 4095, or from ``LOW:HIGH``; the usual one from None.

    Raises
    ------
    UsageError
        If it is neither.
    """
    if asked is None:
        return USUAL
    found = re.fullmatch(rf"\s*(?:({_NUMBER})\s*:)?\s*({_NUMBER})\s*", str(asked))
    if found:
        scale = Scale(float(found[1] or 0), float(found[2]))
        if scale.low != scale.high and math.isfinite(scale.low) and math.isfinite(scale.high):
            return scale
    raise UsageError(
        f"found --scale {str(asked)!r}; expected the largest value of images above 8 bits, as in 4095, or the "
        "values that are black and white, as in -1000:400."
    )


def _write(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
