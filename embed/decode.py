"""File bytes to an upright RGB image, once per run; a file that cannot be one gets a status and a reason."""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from functools import cache
from typing import NamedTuple

from PIL import Image

from fixgrid.cache.remarks import Remark
from fixgrid.cache.scale import FIELD, USUAL, Scale
from fixgrid.cache.shard import Status

from .deep import bound_colours, find_half, join_halves, read_grey, squeeze, take_lower
from .metadata import shorten_metadata
from .sniff import HEIC, is_heic, name_kind
from .tiff import find_fault, is_white_zero

# PNG and TIFF named .jpg, and the reverse, are common and fine: the content decides, within this list. A stereo
# pair (MPO) is a JPEG to Pillow, and gives its first picture.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "TIFF", "GIF")
MAX_PIXELS = 50_000_000
# A strip of 1 x 50,000 px is no photograph, and resizing its short side would make it a thousand times larger.
MAX_ASPECT = 100
BACKGROUND = (255, 255, 255)


def describe_policy(scale: Scale) -> dict[str, str | int]:
    """What changes pixels here, for the cache key."""
    return {
        "exif": "apply",
        "alpha": "over white",
        FIELD: scale.to_spec(),
        "frames": "first",
        "max_pixels": MAX_PIXELS,
        "max_aspect": MAX_ASPECT,
    }


POLICY = describe_policy(USUAL)
"""Where nobody asked for another."""

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


class Decoded(NamedTuple):
    """An upright 8-bit RGB image, loaded, and what was noticed of it."""

    image: Image.Image
    remark: Remark


def decode_rgb(data: bytes, scale: Scale = USUAL) -> Image.Image:
    """The image that `decode_image` gives."""
    return decode_image(data, scale).image


def decode_image(data: bytes, scale: Scale = USUAL) -> Decoded:
    """An upright 8-bit RGB image, and what was noticed of it.

    EXIF orientation is applied (invalid values mean upright), transparency is laid over white, values above 8 bits
    are scaled, animations give their first frame.

    Parameters
    ----------
    data : bytes
        A whole JPEG, PNG, WebP, AVIF, BMP, TIFF or GIF file; HEIC where the package pillow-heif is installed.
    scale : Scale
        Of values above 8 bits; usually 16 bits are divided by 257.

    Raises
    ------
    BadImage
        With status ``TOO_LARGE`` above 50 million pixels or sides in a ratio over 100, read from the header before
        a pixel is decoded; else ``DECODE``.
    """
    return _attempt(data, scale)


def _attempt(data: bytes, scale: Scale, least_px: int = 0) -> Decoded:
    if not data:
        raise BadImage(Status.DECODE, "empty file")
    try:
        try:
            return _decode(data, scale, least_px)
        except ValueError:
            shorter = shorten_metadata(data)
            if shorter is None:
                raise
            return _decode(shorter, scale, least_px)
    except Image.DecompressionBombError as error:
        raise BadImage(Status.TOO_LARGE, str(error)) from error
    except _DECODER_ERRORS as error:
        raise BadImage(Status.DECODE, _explain(error, data)) from error


def decode_grey(data: bytes, least_px: int, scale: Scale = USUAL) -> Image.Image:
    """The upright image in grey, for a glance: a JPEG is decoded no larger than leaves both sides ``least_px``.

    Its pixels are not quite those that a trunk sees. Raises as `decode_image` does.
    """
    return _attempt(data, scale, least_px).image.convert("L")


def _decode(data: bytes, scale: Scale, least_px: int = 0) -> Decoded:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _open(data) as image:
            _expect_size(image.width, image.height)
            if fault := find_fault(image):
                raise BadImage(Status.DECODE, fault)
            packing = find_half(image)
            if least_px:
                image.draft("L", (least_px, least_px))
            # After loading: Pillow turns a TIFF by itself, and then forgets its orientation.
            image.load()
            turn = _TURNS.get(_read_orientation(image))
            if packing:
                rgb, remark = _from_colours(data, image, packing, scale)
            elif image.mode.startswith("I") or image.mode == "F":
                rgb, remark = _from_grey(image, scale)
            else:
                rgb, remark = _to_rgb(image)
    return Decoded(rgb.transpose(turn) if turn is not None else rgb, remark)


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=choose_formats(data[:64]))


def choose_formats(head: bytes) -> tuple[str, ...]:
    """Pillow's formats that a file which begins so may be; of HEIC only where pillow-heif is installed."""
    return ("HEIF",) if is_heic(head) and _register_heif() else FORMATS


def is_curable(reason: str) -> bool:
    """Whether an image that was refused for a reason may be decoded by now: by this version, or a package."""
    return "MAX_TEXT_" in reason or (reason == HEIC and _register_heif())


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


def _to_rgb(image: Image.Image) -> Decoded:
    if image.mode == "RGB" and "transparency" not in image.info:
        rgb = image.copy() if image.readonly else image
        return Decoded(rgb, Remark(blank=_is_blank(rgb)))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        transparent = not rgba.getchannel("A").getextrema()[1]
        over = Image.new("RGBA", rgba.size, (*BACKGROUND, 255))
        rgb = Image.alpha_composite(over, rgba).convert("RGB")
        return Decoded(rgb, Remark(blank=not transparent and _is_blank(rgb), transparent=transparent))
    rgb = image.convert("RGB")
    return Decoded(rgb, Remark(blank=_is_blank(rgb)))


def _from_grey(image: Image.Image, scale: Scale) -> Decoded:
    # Pillow's own convert("RGB") clips 16-bit grey at 255: nearly everything comes out white.
    values = read_grey(image, scale)
    low, high = float(values.min()), float(values.max())
    rgb = Image.fromarray(squeeze(values, scale), "L").convert("RGB")
    return Decoded(rgb, Remark(blank=low == high, inverted=is_white_zero(image), deep=True, low=low, high=high))


def _from_colours(data: bytes, image: Image.Image, packing: str, scale: Scale) -> Decoded:
    """Colours of 16 bits: the upper half of each value, as it was in all versions, unless a scale is given."""
    low, high = bound_colours(image)
    if not scale.is_usual:
        with _open(data) as lower:
            take_lower(lower)
            lower.load()
            values = join_halves(image, lower, packing)
        low, high = float(values.min()), float(values.max())
        scaled = Image.fromarray(squeeze(values, scale), "RGB")
        if image.mode == "RGBA":
            scaled.putalpha(image.getchannel("A"))
        image = scaled
    rgb, remark = _to_rgb(image)
    narrow = remark.blank and high - low <= 255  # what Pillow keeps of it tells no shades apart
    return Decoded(rgb, remark._replace(blank=remark.blank and not narrow, deep=True, low=low, high=high))


def _is_blank(rgb: Image.Image) -> bool:
    """Whether all pixels are of one colour; the middle and the corners tell nearly always that they are not."""
    right, lower = rgb.width - 1, rgb.height - 1
    places = ((0, 0), (right // 2, lower // 2), (right, 0), (0, lower), (right, lower))
    return len({rgb.getpixel(place) for place in places}) == 1 and all(a == b for a, b in rgb.getextrema())


def _explain(error: BaseException, data: bytes) -> str:
    if is_heic(data[:64]) and not _register_heif():
        return HEIC
    if isinstance(error, Image.UnidentifiedImageError):
        return name_kind(data)
    if "MAX_TEXT_" in str(error):
        return "texts of more than 64 MB beside the pixels: save it without them"
    return (str(error) or type(error).__name__).splitlines()[0][:200]
