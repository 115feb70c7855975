"""Pixels of more than 8 bits to 8, by a scale; Pillow clips grey ones, and keeps the upper half of colours."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fixgrid.cache.scale import Scale

_COLOURS = ("RGB", "RGBA", "CMYK")
_SCALED = ("RGB", "RGBX", "RGBA", "LA")  # packings whose halves are joined by `join_halves`
_SWAPPED = str.maketrans("LBN", "BLB" if sys.byteorder == "little" else "BLL")
_MOST = 0xFFFF


def find_half(image: Image.Image) -> str:
    """Pillow's name of how an opened image's 16-bit colours are packed; empty if it has others. Before loading."""
    for tile in image.tile if image.mode in _COLOURS else ():
        packing = tile[3] if isinstance(tile[3], str) else tile[3][0]
        return packing if ";16" in str(packing) else ""
    return ""


def take_lower(image: Image.Image) -> None:
    """Have an opened image of 16-bit colours load the lower half of each value, as if its bytes were swapped.

    Raises
    ------
    ValueError
        If its values are no shades of one colour: CMYK, or premultiplied by alpha.
    """
    tiles = []
    for tile in image.tile:
        packing, *others = [tile[3]] if isinstance(tile[3], str) else tile[3]
        name, _, order = packing.partition(";16")
        if name not in _SCALED:
            raise ValueError(f"16-bit colours packed as {name}, which --scale does not know: save it as RGB")
        # Of grey with alpha Pillow knows one order only; its four bytes are as many as those of RGBA.
        packing = "RGBA" if name == "LA" else f"{name};16{order.translate(_SWAPPED)}"
        tiles.append(tile._replace(args=packing if isinstance(tile[3], str) else (packing, *others)))
    image.tile = tiles


def join_halves(upper: Image.Image, lower: Image.Image, packing: str) -> NDArray[np.int64]:
    """Values of 16 bits, shape (h, w, 3), from two images of bytes, the other by `take_lower`."""
    if packing.startswith("LA"):
        grey = np.asarray(lower)[..., :2].astype(np.int64)
        return np.repeat((grey[..., 0] << 8 | grey[..., 1])[..., None], 3, 2)
    high, low = (np.asarray(half)[..., :3].astype(np.int64) for half in (upper, lower))
    return high << 8 | low


def bound_colours(upper: Image.Image) -> tuple[float, float]:
    """The smallest and the largest value that 16-bit colours can have whose upper halves these are."""
    extrema: Any = upper.getextrema()
    return 256.0 * min(low for low, _ in extrema[:3]), 256.0 * max(high for _, high in extrema[:3]) + 255


def read_grey(image: Image.Image, scale: Scale) -> NDArray[Any]:
    """Values of a grey image of more than 8 bits, shape (h, w).

    Raises
    ------
    ValueError
        If they have no range that is known, and no scale gives one.
    """
    values = np.asarray(image)
    if image.mode == "F":
        if scale.is_usual:
            raise ValueError("floating-point pixels have no range that is known: say it, as in --scale 0:1")
        if not np.isfinite(values).all():
            raise ValueError("floating-point pixels that are not finite")
        return values.astype(np.float64)
    values = values.astype(np.int64)
    if scale.is_usual and (values.min() < 0 or values.max() > _MOST):
        raise ValueError(
            f"integer pixels outside 0 to {_MOST}: say the values that are black and white, as in --scale "
            f"{values.min()}:{values.max()}"
        )
    return values


def squeeze(values: NDArray[Any], scale: Scale) -> NDArray[np.uint8]:
    """Values to 0..255: linear from ``low`` to ``high``, rounded half up, cut off outside."""
    if scale.is_usual:
        return ((values + 128) // 257).astype(np.uint8)
    shares = (values.astype(np.float64) - scale.low) * (255 / (scale.high - scale.low))
    return np.floor(np.clip(shares, 0, 255) + 0.5).astype(np.uint8)
