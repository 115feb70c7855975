from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from zoo import encode, encode_tiff

from fixgrid.cache.scale import Scale
from fixgrid.embed.decode import BadImage, decode_image, decode_rgb

RAMP = (np.arange(20 * 24) * 8 + 3).astype("<u2").reshape(20, 24, 1)  # 3 to 3835: twelve bits
COLOURS = np.concatenate([RAMP, RAMP[::-1], RAMP[:, ::-1]], 2)
ALPHA = np.full_like(RAMP, 65535)
TWELVE = Scale(0, 4095)


def encode_png(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits with 1 to 4 bands, which Pillow does not write."""
    height, width, bands = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[bands], 0, 0, 0)
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    parts = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def by_hand(values: np.ndarray, scale: Scale) -> np.ndarray:
    shares = np.clip((values.astype(float) - scale.low) / (scale.high - scale.low), 0, 1)
    found = np.floor(255 * shares + 0.5).astype(np.uint8)
    return np.repeat(found, 3, 2) if found.shape[2] == 1 else found


@pytest.mark.parametrize("scale", [TWELVE, Scale(0, 255), Scale(1000, 2000), Scale(65535, 0)])
@pytest.mark.parametrize(
    ("data", "values"),
    [
        (encode_png(RAMP), RAMP),
        (encode_png(COLOURS), COLOURS),
        (encode_png(np.concatenate([RAMP, ALPHA], 2)), RAMP),
        (encode_png(np.concatenate([COLOURS, ALPHA], 2)), COLOURS),
        (encode_tiff(RAMP.astype(">u2"), packed=True), RAMP),
        (encode_tiff(RAMP.astype("<i4"), number=2), RAMP),
        (encode_tiff(RAMP.astype("<f4"), number=3), RAMP),
        (encode_tiff(COLOURS, 2), COLOURS),
        (encode_tiff(COLOURS.astype(">u2"), 2, packed=True), COLOURS),
    ],
    ids=["png", "png rgb", "png la", "png rgba", "tiff", "tiff int32", "tiff float", "tiff rgb", "tiff rgb packed"],
)
def test_values_above_8_bits_are_seen_on_the_scale_that_is_given(
    data: bytes, values: np.ndarray, scale: Scale
) -> None:
    found, remark = decode_image(data, scale)
    np.testing.assert_array_equal(np.asarray(found), by_hand(values, scale))
    assert (remark.deep, remark.low, remark.high) == (True, values.min(), values.max())


def test_negative_values_have_a_window() -> None:
    hounsfield = (RAMP.astype("<i4") - 1500).astype("<i4")
    data = encode_tiff(hounsfield, number=2)
    with pytest.raises(BadImage, match=r"outside 0 to 65535: .* --scale -1497:2335"):
        decode_rgb(data)
    window = Scale(-1000, 400)
    np.testing.assert_array_equal(np.asarray(decode_rgb(data, window)), by_hand(hounsfield, window))


def test_floats_have_a_range_where_one_is_given() -> None:
    shares = RAMP.astype("<f4") / np.float32(4000)
    data = encode_tiff(shares, number=3)
    with pytest.raises(BadImage, match="--scale 0:1"):
        decode_rgb(data)
    np.testing.assert_array_equal(np.asarray(decode_rgb(data, Scale(0, 1))), by_hand(shares, Scale(0, 1)))
    shares[3, 4] = np.nan
    with pytest.raises(BadImage, match="not finite"):
        decode_rgb(encode_tiff(shares, number=3), Scale(0, 1))


def test_8_bits_know_no_scale() -> None:
    data = encode(Image.fromarray((COLOURS >> 4).astype(np.uint8)), "PNG")
    np.testing.assert_array_equal(np.asarray(decode_rgb(data, TWELVE)), np.asarray(decode_rgb(data)))


@pytest.mark.parametrize(
    ("data", "low", "high"),
    [(encode_png(COLOURS), 0, 3839), (encode_tiff(COLOURS, 2), 0, 3839), (encode_png(RAMP), 3, 3835)],
)
def test_the_range_is_noticed_without_a_scale_too(data: bytes, low: float, high: float) -> None:
    remark = decode_image(data).remark
    assert (remark.deep, remark.low, remark.high) == (True, low, high)
    assert not remark.blank


def test_colours_that_have_no_shades_are_refused_with_a_scale() -> None:
    cmyk = encode_tiff(np.concatenate([COLOURS, RAMP], 2), 5)
    assert decode_rgb(cmyk).size == (24, 20)
    with pytest.raises(BadImage, match="16-bit colours packed as CMYK"):
        decode_rgb(cmyk, TWELVE)


@pytest.mark.parametrize(
    ("data", "noticed"),
    [
        (encode(Image.new("RGB", (9, 8), (3, 4, 5)), "PNG"), ["blank"]),
        (encode(Image.new("L", (9, 8), 7), "JPEG"), ["blank"]),
        (encode(Image.new("RGBA", (9, 8), (3, 4, 5, 0)), "PNG"), ["transparent"]),
        (encode(Image.new("RGBA", (9, 8), (3, 4, 5, 9)), "PNG"), ["blank"]),
        (encode(Image.fromarray(np.full((8, 9), 500, np.uint16)), "PNG"), ["blank", "deep"]),
        (encode_tiff(RAMP, 0), ["inverted", "deep"]),
        (encode_tiff((RAMP >> 4).astype(np.uint8), 0), []),
        (encode(Image.fromarray((COLOURS >> 4).astype(np.uint8)), "PNG"), []),
    ],
    ids=["one colour", "grey", "alpha 0", "alpha 9", "16 bit", "white is zero", "8 bits inverted", "a picture"],
)
def test_what_hardly_tells_images_apart_is_noticed(data: bytes, noticed: list[str]) -> None:
    remark = decode_image(data).remark
    assert [name for name in ("blank", "transparent", "inverted", "deep") if getattr(remark, name)] == noticed


def test_one_pixel_between_the_corners_is_enough_not_to_be_blank() -> None:
    image = Image.new("RGB", (40, 30))
    image.putpixel((17, 3), (0, 0, 1))
    assert not decode_image(encode(image, "PNG")).remark.blank
    assert np.asarray(decode_rgb(encode_tiff((RAMP >> 4).astype(np.uint8), 0))).max() == 255  # Pillow heeds it
