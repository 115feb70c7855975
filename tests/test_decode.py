from __future__ import annotations

import csv
import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from zoo import draw_photo, encode

from fixgrid.cache.shard import Status
from fixgrid.embed.decode import BadImage, decode_rgb

PHOTO = draw_photo(40, 30, 1)
PIXELS = np.asarray(PHOTO)


def with_orientation(kind: str, value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return encode(PHOTO, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))


def png_bomb(width: int, height: int) -> bytes:
    """A small file that says it is a large image."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def animate(kind: str) -> bytes:
    return encode(PHOTO, kind, save_all=True, append_images=[draw_photo(40, 30, 2)], duration=50)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "AVIF", "JPEG"])
def test_every_format_gives_an_rgb_image(kind: str) -> None:
    image = decode_rgb(encode(PHOTO, kind))
    assert (image.mode, image.size) == ("RGB", (40, 30))
    error = np.abs(np.asarray(image).astype(int) - PIXELS).mean()
    assert error == 0 if kind in ("PNG", "BMP", "TIFF") else error < 20


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_is_applied_once(kind: str, value: int) -> None:
    data = with_orientation(kind, value)
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    np.testing.assert_array_equal(np.asarray(decode_rgb(data)), np.asarray(upright))


@pytest.mark.parametrize("value", [0, 9, 255])
def test_an_orientation_that_is_none_means_upright(value: int) -> None:
    assert decode_rgb(with_orientation("PNG", value)).size == (40, 30)


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("P", "GIF"), ("CMYK", "JPEG"), ("YCbCr", "TIFF")]
)
def test_every_mode_becomes_rgb_as_pillow_does_it(mode: str, kind: str) -> None:
    data = encode(PHOTO.convert(mode), kind)
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == mode
        expected = image.convert("RGB")
    np.testing.assert_array_equal(np.asarray(decode_rgb(data)), np.asarray(expected))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_alpha_is_laid_over_white(mode: str) -> None:
    image = PHOTO.convert("RGBA")
    image.putalpha(100)
    if mode == "LA":
        image = image.convert("LA")
        image.putalpha(100)
    found = np.asarray(decode_rgb(encode(image, "PNG"))).astype(int)
    base = PIXELS if mode != "LA" else np.asarray(PHOTO.convert("L").convert("RGB"))
    expected = base * (100 / 255) + 255 * (155 / 255)
    assert np.abs(found - expected).max() <= 1.5


@pytest.mark.parametrize("mode", ["P", "RGB", "L"])
def test_a_transparent_colour_is_white(mode: str) -> None:
    image = Image.new(mode, (4, 4), 0 if mode != "RGB" else (10, 20, 30))
    data = encode(image, "PNG", transparency=0 if mode != "RGB" else (10, 20, 30))
    assert (np.asarray(decode_rgb(data)) == 255).all()


@pytest.mark.parametrize(("kind", "dtype"), [("PNG", "<u2"), ("TIFF", "<u2")])
def test_16_bits_are_scaled_not_clipped(kind: str, dtype: str) -> None:
    ramp = np.linspace(0, 65535, 40 * 30).reshape(30, 40).astype(dtype)
    found = np.asarray(decode_rgb(encode(Image.fromarray(ramp), kind)))
    assert np.abs(found[..., 0] - ramp / 257).max() <= 0.51
    assert (found[..., 0] == found[..., 2]).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    found = np.asarray(decode_rgb(animate(kind))).astype(int)
    assert np.abs(found - PIXELS).mean() < np.abs(found - np.asarray(draw_photo(40, 30, 2))).mean()


JPEG, PNG = encode(PHOTO, "JPEG"), encode(PHOTO, "PNG")
BAD = {
    "empty": (b"", Status.DECODE, "empty file"),
    "html": (b"<!DOCTYPE html><html></html>", Status.DECODE, "an HTML page"),
    "zeros": (bytes(1000), Status.DECODE, "zero bytes"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", Status.DECODE, "run git lfs pull"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Status.DECODE, "an SVG drawing"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", Status.DECODE, "a PostScript drawing"),
    "half a jpeg": (JPEG[: len(JPEG) // 2], Status.DECODE, "runcated"),
    "half a png": (PNG[: len(PNG) // 2], Status.DECODE, "truncated"),
    "a jpeg without its end": (JPEG[:-2], Status.DECODE, "truncated"),
    "a png with a wrong checksum": (PNG[:60] + b"\0\0" + PNG[62:], Status.DECODE, ""),
    "floats": (encode(Image.new("F", (9, 9)), "TIFF"), Status.DECODE, "say it, as in --scale 0:1"),
    "negative integers": (encode(Image.new("I", (9, 9), -5), "TIFF"), Status.DECODE, "outside 0 to 65535"),
    "60 million px": (png_bomb(10_000, 6_000), Status.TOO_LARGE, "10000 x 6000 px, over 50 million"),
    "400 million px": (png_bomb(20_000, 20_000), Status.TOO_LARGE, "exceeds limit"),
    "a strip": (
        encode(Image.new("RGB", (1, 101)), "PNG"),
        Status.TOO_LARGE,
        "1 x 101 px, sides in a ratio over 100",
    ),
}


@pytest.mark.parametrize(("data", "status", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_gets_a_status_and_a_reason(data: bytes, status: Status, reason: str) -> None:
    with pytest.raises(BadImage) as caught:
        decode_rgb(data)
    assert caught.value.status == status
    assert reason in caught.value.reason
    assert "\n" not in caught.value.reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_a_mutated_file_is_an_image_or_a_bad_one_and_nothing_else(kind: str) -> None:
    whole, rng = encode(PHOTO, kind), np.random.default_rng(7)
    for _ in range(100):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 3).tolist():
            data[place] = int(rng.integers(0, 256))
        with suppress(BadImage):
            assert decode_rgb(bytes(data[: rng.integers(1, len(data) + 1)])).mode == "RGB"


def test_decoded_pixels_outlive_their_file() -> None:
    for kind in ("PNG", "JPEG", "BMP", "TIFF"):
        image = decode_rgb(encode(PHOTO, kind))
        image.resize((8, 8)).tobytes()


REFUSED = {"git_lfs_pointer.jpg": "run git lfs pull", "truncated.jpg": "truncated", "broken.png": ""}


def test_every_odd_file_gets_the_verdict_that_its_list_expects(shared_data: Path) -> None:
    with open(shared_data / "odd" / "ODD.tsv", encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file, delimiter="\t")]
    assert len(names) == 30
    verdicts: dict[str, str] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for name in names:
        try:
            image = decode_rgb((shared_data / "odd" / name).read_bytes())
            sizes[name] = image.size
        except BadImage as bad:
            verdicts[name] = bad.reason
    assert verdicts.keys() == REFUSED.keys()
    assert all(reason in verdicts[name] for name, reason in REFUSED.items())
    assert sizes["exif_orientation6_n02951585_can_opener.JPEG"] == (294, 392)
    assert sizes["exif_landscape_6.jpg"] == (1800, 1200)
    assert sizes["exif_orientation0_n01728572_thunder_snake.JPEG"] == (500, 333)
    assert sizes["mpo_two_frames_named.jpg"] == (640, 480)
