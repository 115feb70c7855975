"""Photographs for people: sizes from headers, thumbnails, and one image as training and test crops show it."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fixgrid.cache.errors import DataError
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.cache.scale import USUAL, Scale
from fixgrid.cache.view import View, resize_side

from .decode import BadImage, choose_formats, decode_rgb
from .sources.catalogue import open_content
from .sources.content import Content, Files
from .views import plan_crops, render_crop

Box = tuple[float, float, float, float]
_ORIENTATION, _SIDEWAYS = 0x0112, (5, 6, 7, 8)  # EXIF's tag, and its values that turn width into height
# What Pillow raises on damaged headers; the pixels, where more can go wrong, are not touched.
_HEADER_ERRORS = (ArithmeticError, LookupError, OSError, SyntaxError, TypeError, ValueError, struct.error)
_QUALITY = 82


@dataclass(frozen=True, eq=False)
class Crop:
    """What one view shows of a photograph.

    Attributes
    ----------
    box : tuple of float
        (left, top, right, bottom) as fractions of the photograph's width and height; outside [0, 1] is none.
    pixels : uint8 array, shape (res, res, 3)
        As the trunk gets them.
    jpeg : bytes
    flip : bool
        Whether the crop is mirrored.
    scale : float
        Pixels of the crop for one pixel of the photograph, the root of both directions' product.
    """

    box: Box
    pixels: NDArray[np.uint8]
    jpeg: bytes
    flip: bool
    scale: float


@dataclass(frozen=True, eq=False)
class Principle:
    """One photograph with its training and test crops.

    Attributes
    ----------
    width, height : int
        Of the upright photograph, px.
    pixels : uint8 array, shape (h, w, 3)
        The photograph, at most 640 px long.
    jpeg : bytes
        The same.
    training, test : tuple of Crop
    """

    width: int
    height: int
    pixels: NDArray[np.uint8]
    jpeg: bytes
    training: tuple[Crop, ...]
    test: tuple[Crop, ...]


class Album:
    """The photographs of a data set, by split and row id; those that are gone or changed are not shown.

    Parameters
    ----------
    manifest : Manifest
    scale : Scale
        By which values above 8 bits are shown.
    """

    def __init__(self, manifest: Manifest, scale: Scale = USUAL) -> None:
        self.manifest, self._images, self._scale = manifest, open_shown(manifest.root), scale

    def measure(self) -> NDArray[np.int64]:
        """Width and height of every photograph that can be read, px: int64, shape (n, 2)."""
        found = read_sizes(self._images, [path for rows in self.manifest.splits.values() for path in rows.paths])
        return found[found[:, 0] > 0]

    def resize_side(self, view: Mapping[str, Any]) -> int:
        """Side, px, that a view resizes a photograph's short side to, before it cuts."""
        seen = View.from_spec(view)
        if seen.crop_mode == "border":  # which sets the longest side
            return round(seen.short_side_px)
        return resize_side(seen.res, seen.crop_ratio)

    def thumbnail(self, split: str, row: int) -> bytes | None:
        """A small JPEG of one photograph."""
        image = open_picture(self._images, self.manifest.splits[split], row, self._scale)
        return None if image is None else make_thumbnail(image)

    def principle(
        self, split: str, row: int, train: Mapping[str, Any], test: Mapping[str, Any]
    ) -> Principle | None:
        """One photograph as two views, described as keys hold them, show it."""
        rows = self.manifest.splits[split]
        image = open_picture(self._images, rows, row, self._scale)
        if image is None:
            return None
        return show_principle(image, rows.sha256[row].tobytes(), View.from_spec(train), View.from_spec(test))


def open_shown(root: str) -> Content:
    """What opens the images below a root; none are found if its source is not known here."""
    try:
        return open_content(root)
    except DataError:  # of a source that is not known here: its images are gone
        return Files(root)


def read_sizes(images: Content, paths: Sequence[bytes]) -> NDArray[np.int64]:
    """Width and height of upright images, px, from their headers: int64, shape (n, 2), 0 where unreadable."""
    with warnings.catch_warnings(), ThreadPoolExecutor(images.in_flight or 1) as pool:
        warnings.simplefilter("ignore")
        each = pool.map if images.in_flight else map
        return np.array([*each(partial(_read_size, images), paths)], np.int64).reshape(-1, 2)


def _read_size(images: Content, path: bytes) -> tuple[int, int]:
    try:
        with images.open(path) as file:
            formats = choose_formats(file.read(64))
            file.seek(0)
            with Image.open(file, formats=formats) as image:
                size, turn = image.size, image.getexif().get(_ORIENTATION)
    except (*_HEADER_ERRORS, Image.DecompressionBombError):
        return 0, 0
    return (size[1], size[0]) if turn in _SIDEWAYS else size


def open_picture(images: Content, rows: Rows, row: int, scale: Scale = USUAL) -> Image.Image | None:
    """The upright image of one row; None if its file is gone, is no image, or is not what was hashed."""
    try:
        data = images.read(rows.paths[row])
        same = sha256(data).digest() == rows.sha256[row].tobytes()
        return decode_rgb(data, scale) if same else None
    except (OSError, BadImage):
        return None


def make_thumbnail(image: Image.Image, side_px: int = 176) -> bytes:
    """A JPEG of the image, its longest side at most ``side_px``; never enlarged, no metadata."""
    small = image.copy()
    small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS, reducing_gap=3)
    return _encode_jpeg(small)


def show_principle(image: Image.Image, content: bytes, train: View, test: View) -> Principle:
    """What the training and the test views show of one photograph.

    Parameters
    ----------
    image : PIL image, RGB, upright
    content : bytes
        sha256 of its file: random crops draw from it.
    train, test : View
    """
    small = image.copy()
    small.thumbnail((640, 640), Image.Resampling.LANCZOS)
    shown = (_show_crops(image, content, view) for view in (train, test))
    return Principle(image.width, image.height, np.asarray(small), _encode_jpeg(small), *shown)


def _show_crops(image: Image.Image, content: bytes, view: View) -> tuple[Crop, ...]:
    crops = []
    for crop in plan_crops(view, image.width, image.height, content):
        width, height = crop.resized or image.size
        left, top, right, bottom = crop.box
        box = left / width, top / height, right / width, bottom / height
        pixels = render_crop(image, crop, view)
        seen = (right - left) / width * image.width, (bottom - top) / height * image.height
        scale = float(np.sqrt(crop.out[0] / seen[0] * crop.out[1] / seen[1]))
        crops.append(Crop(box, pixels, _encode_jpeg(Image.fromarray(pixels)), crop.flip, scale))
    return tuple(crops)


def _encode_jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return file.getvalue()
