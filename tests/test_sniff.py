from __future__ import annotations

import sys

import numpy as np
import pytest
from zoo import draw_photo, encode

from fixgrid.embed import decode
from fixgrid.embed.decode import BadImage, choose_formats, decode_rgb
from fixgrid.embed.sniff import HEIC, is_heic, name_kind


def box(*brands: bytes) -> bytes:
    """The first box of an ISO media file."""
    content = brands[0] + bytes(4) + b"".join(brands[1:])
    return (len(content) + 8).to_bytes(4, "big") + b"ftyp" + content + bytes(100)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<!doctype HTML>\n<title>Sign in</title>", "an HTML page, not an image"),
        (b"\xef\xbb\xbf  <html lang='en'>", "an HTML page"),
        (b"<?xml version='1.0'?>\n<svg width='9'/>", "an SVG drawing, not pixels"),
        (b"Too Many Requests\n", "a text, not an image: it begins with Too Many Requests"),
        (b'{"error": "\x1b[31mno\x1b[0m"}', "not a JPEG, PNG, WebP, AVIF"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\x1f\x8b\x08" + bytes(50), "gzip-compressed data: unpack it first"),
        (b"PK\x03\x04" + bytes(50), "a ZIP archive: unpack it first"),
        (b"\x93NUMPY\x01\0", "a NumPy array"),
        (bytes(128) + b"DICM" + bytes(9), "a DICOM file: convert its pixels to 16-bit PNG or TIFF, see --scale"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image: convert it"),
        (b"\xff\x0a" + bytes(20), "a JPEG XL image: convert it"),
        (box(b"mp42", b"isom"), "a video (MP4 or QuickTime)"),
        (box(b"avif", b"mif1"), "an AVIF image that is damaged"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer, not the image: run git lfs pull"),
        (bytes(4096), "nothing but zero bytes"),
        (b"\x89PNG\n\x1a\n" + bytes(20), "a damaged PNG file: its header cannot be read"),
        (bytes(range(128, 256)), "not a JPEG, PNG, WebP, AVIF, BMP, TIFF or GIF image"),
    ],
)
def test_what_is_no_image_is_named_by_what_it_is(data: bytes, what: str) -> None:
    assert name_kind(data).startswith(what)
    with pytest.raises(BadImage) as caught:
        decode_rgb(data)
    assert caught.value.reason.startswith(what)


@pytest.mark.parametrize(
    ("brands", "heic"),
    [((b"heic", b"mif1"), True), ((b"mif1", b"heic"), True), ((b"mif1", b"avif"), False), ((b"isom",), False)],
)
def test_heic_is_known_by_its_brands(brands: tuple[bytes, ...], heic: bool) -> None:
    assert is_heic(box(*brands)[:64]) is heic


def test_without_its_package_heic_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    decode._register_heif.cache_clear()
    with pytest.raises(BadImage) as caught:
        decode_rgb(box(b"heic", b"mif1"))
    decode._register_heif.cache_clear()
    assert caught.value.reason == HEIC
    assert "pip install 'fixgrid[heic]'" in HEIC


def test_with_its_package_heic_is_decoded() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    photo = draw_photo(40, 30, 1)
    data = encode(photo, "HEIF", quality=95)
    assert choose_formats(data[:64]) == ("HEIF",)
    found = np.asarray(decode_rgb(data)).astype(int)
    assert np.abs(found - np.asarray(photo)).mean() < 10


def test_a_text_is_shown_without_what_a_terminal_would_obey() -> None:
    assert "\u202e" not in name_kind("moved \u202e permanently".encode())
