"""TIFF files by their tags: layouts that Pillow lacks, or reads wrongly without a word, and what they are."""

from __future__ import annotations

import struct
from typing import NamedTuple

from PIL import Image

_CODES = {1: "B", 3: "H", 4: "I", 16: "Q"}
_NUMBERS = {1: "integers", 2: "signed integers", 3: "floats", 5: "complex numbers", 6: "complex numbers"}
_COMPRESSIONS = {
    6: "old JPEG",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy raw",
    34925: "LZMA",
    50002: "JPEG XL",
}
_RAW_PHOTOMETRIC = (32803, 34892)  # colour filter array, linear raw: DNG and what cameras write
_MOST = 64  # values of a tag that are read


class Layout(NamedTuple):
    """How a TIFF keeps its pixels, TIFF 6.0: sections 2 to 10 and 19.

    Attributes
    ----------
    bands : int
        SamplesPerPixel.
    bits : tuple of int
        BitsPerSample.
    number : int
        SampleFormat of the first band.
    photometric : int
        PhotometricInterpretation.
    planar : bool
        Whether bands lie one after another.
    compression : int
    """

    bands: int
    bits: tuple[int, ...]
    number: int
    photometric: int
    planar: bool
    compression: int

    def describe(self) -> str:
        """As ``a TIFF of 13 bands of 16-bit integers``."""
        if self.photometric in _RAW_PHOTOMETRIC:
            return "a camera's raw image (TIFF)"
        same = len(set(self.bits)) == 1
        size = f"{self.bits[0]}-bit" if same else "+".join(map(str, self.bits)) + "-bit"
        bands = "one band" if self.bands == 1 else f"{self.bands} bands"
        packed = f", compressed as {_COMPRESSIONS[self.compression]}" if self.compression in _COMPRESSIONS else ""
        apart = ", each apart" * (self.planar and self.bands > 1)
        return f"a TIFF of {bands} of {size} {_NUMBERS.get(self.number, 'values')}{apart}{packed}"


def describe_tiff(data: bytes) -> str:
    """What a TIFF is that cannot be decoded, and what could be."""
    try:
        layout = _read_layout(data)
    except (struct.error, ValueError, IndexError):
        return "a damaged TIFF file: its header cannot be read"
    large = ", BigTIFF" * (43 in data[2:4])
    return f"{layout.describe()}{large}, which cannot be decoded: save it as grey or RGB of 8 or 16 bits"


def find_fault(image: Image.Image) -> str:
    """Why an opened TIFF would be decoded wrongly; empty if it would not, or is none.

    Pillow takes bands that lie apart for 8-bit ones where they are not compressed, gives the first of several that
    are no colours, forgets the byte order of compressed signed and floating numbers, and the sign of 8-bit ones.
    """
    if image.format != "TIFF":
        return ""
    tags = image.tag_v2
    bits = tags.get(258, (1,))
    layout = Layout(
        int(tags.get(277, 1)),
        tuple(bits),
        int(tags.get(339, (1,))[0]),
        int(tags.get(262, 0)),
        tags.get(284, 1) == 2,
        int(tags.get(259, 1)),
    )
    swapped = tags.prefix == b"MM" and layout.compression != 1
    apart = layout.planar and layout.bands > 1
    wrong = (
        (apart and max(bits) != 8 and layout.compression == 1)
        or (apart and layout.bands != len(image.getbands()))
        or (swapped and layout.number in (2, 3) and max(bits) > 8)
        or (layout.number == 2 and max(bits) == 8)
    )
    if not wrong:
        return ""
    order = ", big-endian and compressed" * swapped
    return f"{layout.describe()}{order}, which cannot be decoded: save it as grey or RGB of 8 or 16 bits"


def is_white_zero(image: Image.Image) -> bool:
    """Whether zero is white in an opened TIFF of more than 8 bits, which Pillow does not heed."""
    return image.format == "TIFF" and bool(image.tag_v2.get(262) == 0)


def _read_layout(data: bytes) -> Layout:
    """The layout of the first image, read without Pillow, which does not say why it refuses."""
    order = "<" if data[:2] == b"II" else ">"
    if struct.unpack_from(order + "H", data, 2)[0] == 43:
        (place,) = struct.unpack_from(order + "Q", data, 8)
        (count,), entry, wide = struct.unpack_from(order + "Q", data, place), 20, "Q"
        place += 8
    else:
        (place,) = struct.unpack_from(order + "I", data, 4)
        (count,), entry, wide = struct.unpack_from(order + "H", data, place), 12, "I"
        place += 2
    tags: dict[int, tuple[int, ...]] = {}
    for start in range(place, place + entry * min(count, 4096), entry):
        tag, code = struct.unpack_from(order + "HH", data, start)
        (n,) = struct.unpack_from(order + wide, data, start + 4)
        value = start + 4 + struct.calcsize(order + wide)
        if tag in (258, 259, 262, 277, 284, 339) and code in _CODES:
            values = f"{order}{min(n, _MOST)}{_CODES[code]}"
            if n * struct.calcsize(order + _CODES[code]) > struct.calcsize(order + wide):
                (value,) = struct.unpack_from(order + wide, data, value)
            tags[tag] = struct.unpack_from(values, data, value)
    bits, bands = tags.get(258, (1,)), tags.get(277, (1,))[0]
    return Layout(
        bands,
        bits,
        tags.get(339, (1,))[0],
        tags.get(262, (0,))[0],
        tags.get(284, (1,))[0] == 2,
        tags.get(259, (1,))[0],
    )
