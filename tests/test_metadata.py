from __future__ import annotations

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import PngImagePlugin
from zoo import draw_photo, encode

from fixgrid.embed.decode import BadImage, decode_rgb
from fixgrid.embed.metadata import shorten_metadata

PHOTO = draw_photo(40, 30, 1)
LONG = "a note, " * (200 << 10)  # 1.6 MB
XMP = f'<x:xmpmeta tiff:Orientation="6">{LONG}</x:xmpmeta>'


def with_text(key: str, text: str, *, zipped: bool = True, international: bool = True) -> bytes:
    info = PngImagePlugin.PngInfo()
    (info.add_itxt if international else info.add_text)(key, text, zip=zipped)
    return encode(PHOTO, "PNG", pnginfo=info)


def insert_chunk(data: bytes, name: bytes, body: bytes) -> bytes:
    """A PNG with a chunk more, behind its header."""
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return data[:33] + chunk + data[33:]


@pytest.mark.parametrize(
    "data",
    [
        with_text("Comment", LONG),
        with_text("Comment", LONG, international=False),
        encode(PHOTO, "PNG", icc_profile=bytes(3 << 20)),
        insert_chunk(with_text("Comment", LONG), b"zTXt", b"Other\0\0" + zlib.compress(LONG.encode())),
    ],
    ids=["iTXt", "zTXt", "iCCP", "two"],
)
def test_pixels_are_read_whatever_is_written_beside_them(data: bytes) -> None:
    assert shorten_metadata(data) is not None
    np.testing.assert_array_equal(np.asarray(decode_rgb(data)), np.asarray(PHOTO))


def test_a_long_text_may_still_say_how_the_image_is_turned() -> None:
    assert decode_rgb(with_text("XML:com.adobe.xmp", XMP)).size == (30, 40)


def test_a_text_that_inflates_without_end_takes_no_memory() -> None:
    data = insert_chunk(encode(PHOTO, "PNG"), b"zTXt", b"Comment\0\0" + zlib.compress(bytes(40 << 20), 9))
    tracemalloc.start()
    decode_rgb(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_what_is_short_or_no_png_is_left_as_it_is() -> None:
    for data in (encode(PHOTO, "PNG"), encode(PHOTO, "JPEG"), b""):
        assert shorten_metadata(data) is None


def test_a_damaged_png_with_a_long_text_stays_damaged() -> None:
    data = with_text("Comment", LONG)
    with pytest.raises(BadImage):
        decode_rgb(data[: len(data) - 500])
