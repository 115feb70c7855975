"""What decoding noticed of images that have features all the same: pixels that hardly tell them apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .scale import Scale
from .text import show_path

WIDTH = 3
"""Numbers of a remark as features' files hold it: flags, then the range."""
_NARROW = 16  # of its range a narrow image uses at most one in so many: 12 bits of 16
_USUAL_RANGES = (255, 1023, 4095)


class Remark(NamedTuple):
    """What decoding noticed of one image.

    Attributes
    ----------
    blank : bool
        All pixels are of one colour.
    transparent : bool
        All pixels are transparent, so all are white.
    inverted : bool
        A TIFF of more than 8 bits whose zero is white, which is not heeded.
    deep : bool
        Its values have more than 8 bits.
    low, high : float
        The smallest and the largest of them.
    """

    blank: bool = False
    transparent: bool = False
    inverted: bool = False
    deep: bool = False
    low: float = 0.0
    high: float = 0.0

    def to_numbers(self) -> tuple[float, float, float]:
        """As files hold it; zeros if there is nothing to remark."""
        flags = sum(bool(flag) << place for place, flag in enumerate(self[:4]))
        return float(flags), float(self.low), float(self.high)

    @classmethod
    def from_numbers(cls, numbers: Sequence[float]) -> Remark:
        """What `to_numbers` wrote."""
        flags, low, high = int(numbers[0]), float(numbers[1]), float(numbers[2])
        blank, transparent, inverted, deep = (bool(flags >> place & 1) for place in range(4))
        return cls(blank, transparent, inverted, deep, low, high)


class Remarked(NamedTuple):
    """An image, by its path, and what was noticed of it."""

    path: bytes
    remark: Remark


def list_remarked(paths: Sequence[bytes], numbers: NDArray[np.float64]) -> list[Remarked]:
    """The images of a split of which something was noticed: numbers of shape (n, 3)."""
    return [
        Remarked(paths[row], Remark.from_numbers(numbers[row].tolist()))
        for row in np.flatnonzero(numbers[:, 0]).tolist()
    ]


def describe_remarks(found: Iterable[Remarked], images: int, scale: Scale) -> list[str]:
    """A line for each thing that was noticed, with how many images it is of, the first, and what to type.

    Parameters
    ----------
    found : iterable of Remarked
    images : int
        All that were seen.
    scale : Scale
        By which they were.
    """
    found = list(found)
    blank, transparent = ([one for one in found if getattr(one.remark, name)] for name in ("blank", "transparent"))
    lines = []
    if blank:
        lines.append(f"{_count(blank, images)} blank, all pixels of one colour: first {_name(blank)}")
    if transparent:
        lines.append(
            f"{_count(transparent, images)} transparent all over, so seen as white: first {_name(transparent)}; if "
            "their colours are the picture, save them without alpha"
        )
    deep = [one for one in found if one.remark.deep and not one.remark.blank]
    return lines + _describe_deep(deep, scale)


def _describe_deep(deep: Sequence[Remarked], scale: Scale) -> list[str]:
    lines, width = [], abs(scale.high - scale.low)
    low, high = sorted((scale.low, scale.high))
    narrow = [one for one in deep if _NARROW * (one.remark.high - one.remark.low) <= width]
    beyond = [one for one in deep if one.remark.low < low or one.remark.high > high]
    inverted = [one for one in deep if one.remark.inverted and scale.low < scale.high]
    if narrow:
        least, most = min(one.remark.low for one in narrow), max(one.remark.high for one in narrow)
        lines.append(
            f"{len(narrow)} of {len(deep)} images of more than 8 bits use 1/{_NARROW} or less of the range {scale} "
            f"(values {least:g} to {most:g}), so nearly one shade: first {_name(narrow)}; {_suggest(deep, scale)}"
        )
    if beyond:
        least, most = min(one.remark.low for one in beyond), max(one.remark.high for one in beyond)
        lines.append(
            f"{len(beyond)} of {len(deep)} images of more than 8 bits have values ({least:g} to {most:g}) outside "
            f"--scale {scale}, which are cut off: first {_name(beyond)}"
        )
    if inverted:
        lines.append(
            f"{len(inverted)} of {len(deep)} images of more than 8 bits are TIFF whose zero is white, seen as "
            f"negatives: first {_name(inverted)}; --scale {Scale(scale.high, scale.low)} turns them round"
        )
    return lines


def _suggest(deep: Sequence[Remarked], scale: Scale) -> str:
    """The scale that all images above 8 bits would use, if one does."""
    least, most = min(one.remark.low for one in deep), max(one.remark.high for one in deep)
    if _NARROW * (most - least) > abs(scale.high - scale.low):
        return "the others use more: if it is not as it should be, see --scale"
    fits = [largest for largest in _USUAL_RANGES if 2 * least <= most <= largest]
    return f"extract with --scale {fits[0] if fits else Scale(least, most)}"


def _count(some: Sequence[Remarked], images: int) -> str:
    return f"{len(some)} of {images} images {'is' if len(some) == 1 else 'are'}"


def _name(some: Sequence[Remarked]) -> str:
    return show_path(some[0].path)
