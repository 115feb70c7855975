"""File bytes to an upright RGB image, once per run; a file that cannot be one gets a status and a reason."""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from functools import cache

import numpy as np
from PIL import Image

from fixgrid.cache.shard import Status

from .metadata import shorten_metadata
from .sniff import HEIC, is_heic, name_kind
from .tiff import find_fault

# PNG and TIFF named .jpg, and the reverse, are common and fine: the content decides, within this list. A stereo
# pair (MPO) is a JPEG to Pillow, and gives its first picture.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "TIFF", "GIF")
MAX_PIXELS = 50_000_000
# A strip of 1 x 50,000 px is no photograph, and resizing its short side would make it a thousand times larger.
MAX_ASPECT = 100
BACKGROUND = (255, 255, 255)

# What changes pixels here, for the cache key.
POLICY = {
    "exif": "apply",
    "alpha": "over white",
    "16 bit": "/257",
    "frames": "first",
    "max_pixels": MAX_PIXELS,
    "max_aspect": MAX_ASPECT,
}

# A line of Pillow's on the terminal names no file; the reason of a bad image says the same, and more.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_EXIF_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Everything Pillow's decoders have been seen to raise on 600 damaged files, and their kin.
_DECODER_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


class BadImage(Exception):  # noqa: N818 - it judges a file, it is not a failure of the run
    """A file that cannot become an image: the row keeps its place with `status` and `reason`."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def decode_rgb(data: bytes) -> Image.Image:
    """An upright 8-bit RGB image.

    EXIF orientation is applied (invalid values mean upright), transparency is laid over white, 16-bit grey is
    divided by 257, animations give their first frame.

    Parameters
    ----------
    data : bytes
        A whole JPEG, PNG, WebP, AVIF, BMP, TIFF or GIF file; HEIC where the package pillow-heif is installed.

    Returns
    -------
    PIL image, mode RGB, loaded

    Raises
    ------
    BadImage
        With status ``TOO_LARGE`` above 50 million pixels or sides in a ratio over 100, read from the header before
        a pixel is decoded; else ``DECODE``.
    """
    if not data:
        raise BadImage(Status.DECODE, "empty file")
    try:
        try:
            return _decode(data)
        except ValueError:
            shorter = shorten_metadata(data)
            if shorter is None:
                raise
            return _decode(shorter)
    except Image.DecompressionBombError as error:
        raise BadImage(Status.TOO_LARGE, str(error)) from error
    except _DECODER_ERRORS as error:
        raise BadImage(Status.DECODE, _explain(error, data)) from error


def _decode(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=choose_formats(data[:64])) as image:
            _expect_size(image.width, image.height)
            if fault := find_fault(image):
                raise BadImage(Status.DECODE, fault)
            # After loading: Pillow turns a TIFF by itself, and then forgets its orientation.
            image.load()
            turn = _TURNS.get(_read_orientation(image))
            rgb = _to_rgb(image)
    return rgb.transpose(turn) if turn is not None else rgb


def choose_formats(head: bytes) -> tuple[str, ...]:
    """Pillow's formats that a file which begins so may be; of HEIC only where pillow-heif is installed."""
    return ("HEIF",) if is_heic(head) and _register_heif() else FORMATS


@cache
def _register_heif() -> bool:
    """Whether HEIC can be decoded, by this process from now on."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _expect_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BadImage(Status.TOO_LARGE, f"{width} x {height} px, over {MAX_PIXELS // 1_000_000} million")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadImage(Status.TOO_LARGE, f"{width} x {height} px, sides in a ratio over {MAX_ASPECT}")


def _read_orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except _DECODER_ERRORS:
        return 1  # damaged EXIF says nothing about the pixels, which may be fine


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy() if image.readonly else image
    if image.mode.startswith("I"):
        return _from_16_bit(image)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        over = Image.new("RGBA", rgba.size, (*BACKGROUND, 255))
        return Image.alpha_composite(over, rgba).convert("RGB")
    return image.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    # Pillow's own convert("RGB") clips 16-bit grey at 255: nearly everything comes out white.
    grey = np.asarray(image).astype(np.int64)
    if grey.min() < 0 or grey.max() > 0xFFFF:
        raise ValueError("integer pixels outside 0 to 65535")
    return Image.fromarray(((grey + 128) // 257).astype(np.uint8), "L").convert("RGB")


def _explain(error: BaseException, data: bytes) -> str:
    if is_heic(data[:64]) and not _register_heif():
        return HEIC
    if isinstance(error, Image.UnidentifiedImageError):
        return name_kind(data)
    return (str(error) or type(error).__name__).splitlines()[0][:200]
