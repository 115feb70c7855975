from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from zoo import encode_tiff

from fixgrid.embed.decode import BadImage, decode_rgb
from fixgrid.embed.tiff import describe_tiff

RAMP = (np.arange(20 * 24) * 130 + 7).astype("<u2").reshape(20, 24, 1)
COLOURS = np.concatenate([RAMP, RAMP[::-1], RAMP[:, ::-1]], 2)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (encode_tiff(np.repeat(RAMP, 8, 2)), "a TIFF of 8 bands of 16-bit integers, which cannot be decoded"),
        (
            encode_tiff(COLOURS.astype("<f4"), 2, number=3),
            "3 bands of 32-bit floats, which cannot be decoded",
        ),
        (encode_tiff(COLOURS[..., :2]), "a TIFF of 2 bands of 16-bit integers, which cannot be decoded"),
        (encode_tiff(RAMP.astype("<f8"), number=3), "a TIFF of one band of 64-bit floats, which cannot be decoded"),
        (encode_tiff(RAMP.astype(">u4")), "a TIFF of one band of 32-bit integers, which cannot be decoded"),
        (encode_tiff(COLOURS, 2, planar=True), "3 bands of 16-bit integers, each apart, which cannot be decoded"),
        (encode_tiff(np.repeat(RAMP, 5, 2), planar=True, packed=True), "5 bands of 16-bit integers, each apart"),
        (
            encode_tiff(RAMP.astype(">i2"), number=2, packed=True),
            "one band of 16-bit signed integers, big-endian and compressed, which cannot be decoded",
        ),
        (
            encode_tiff(RAMP.astype("i1"), number=2),
            "one band of 8-bit signed integers, which cannot be decoded",
        ),
    ],
)
def test_a_layout_that_cannot_be_read_rightly_is_named(
    data: bytes, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadImage) as caught:
        decode_rgb(data)
    assert what in caught.value.reason
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("packed", [False, True])
def test_16_bits_are_the_same_in_every_order_and_packing(order: str, packed: bool) -> None:
    grey = encode_tiff(RAMP.astype(f"{order}u2"), packed=packed)
    expected = np.repeat((RAMP.astype(int) + 128) // 257, 3, 2)
    np.testing.assert_array_equal(np.asarray(decode_rgb(grey)), expected)
    colours = encode_tiff(COLOURS.astype(f"{order}u2"), 2, packed=packed)
    np.testing.assert_array_equal(np.asarray(decode_rgb(colours)), COLOURS >> 8)


def test_bands_of_8_bits_may_lie_apart() -> None:
    pixels = (COLOURS >> 8).astype(np.uint8)
    for packed in (False, True):
        found = decode_rgb(encode_tiff(pixels, 2, planar=True, packed=packed))
        np.testing.assert_array_equal(np.asarray(found), pixels)


@pytest.mark.parametrize("stop", range(8, 140, 7))
def test_a_header_that_is_cut_off_is_damaged(stop: int) -> None:
    assert describe_tiff(encode_tiff(RAMP)[:stop]).startswith("a damaged TIFF file")


def test_a_tiff_that_says_it_has_billions_of_values_is_described_all_the_same() -> None:
    data = bytearray(encode_tiff(np.repeat(RAMP, 8, 2)))
    place = data.index((258).to_bytes(2, "little") + (3).to_bytes(2, "little")) + 4
    data[place : place + 4] = b"\xff\xff\xff\xff"
    assert describe_tiff(bytes(data)).startswith("a TIFF of 8 bands of ")


def test_pillow_reads_what_the_writer_of_these_tests_writes() -> None:
    with Image.open(io.BytesIO(encode_tiff(RAMP))) as image:
        np.testing.assert_array_equal(np.asarray(image), RAMP[..., 0])
