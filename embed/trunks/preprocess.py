"""What a trunk's weights expect of its input. Free of torch: it travels to workers inside a backend's spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fixgrid.cache.view import View, is_same


@dataclass(frozen=True)
class Preprocess:
    """What a trunk's weights expect of its input, from the weights' own metadata.

    Attributes
    ----------
    mean, std : tuple of three decimal strings
        Per channel R, G, B, for pixels scaled to 0..1. Strings because they go into the cache key.
    interpolation : str
        Resampling of the resize, e.g. ``bicubic`` or ``bilinear``.
    crop_ratio : decimal string
        Crop side over resized short side; floor(native_res / crop_ratio) is the published resize.
    native_res : int
        Resolution (px) of the published accuracy.
    fixed_size : bool
        Whether positions or windows are cut for that one, so that others take another module of the same weights,
        or none; most convolutional trunks take any.
    crop_mode : str
        One of `fixgrid.cache.view.CROP_MODES`.
    """

    mean: tuple[str, str, str]
    std: tuple[str, str, str]
    interpolation: str
    crop_ratio: str
    native_res: int
    fixed_size: bool = False
    crop_mode: str = "center"

    def override(self, given: Mapping[str, Any]) -> Preprocess:
        """With other values of some fields; a number that is the same stays as it is written here."""
        changed = {name: value for name, value in given.items() if not is_same(getattr(self, name), value)}
        return replace(self, **changed) if changed else self

    def follow(self, view: View) -> Preprocess:
        """With the normalisation of a view."""
        return self.override({"mean": view.mean, "std": view.std})


def write_channels(values: Iterable[object]) -> tuple[str, str, str]:
    """Three numbers, of R, G and B, as decimal strings."""
    red, green, blue = map(str, values)
    return red, green, blue
