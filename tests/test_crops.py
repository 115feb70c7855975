"""The Python that cards give for pixels, against the project's own decoding and views, bit for bit."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from zoo import draw_photo, encode, encode_tiff

from fixgrid.cache.scale import USUAL, Scale
from fixgrid.cache.view import View
from fixgrid.embed.decode import BadImage, decode_rgb
from fixgrid.embed.views import render_view
from fixgrid.heads.crops import (
    LIBRARIES,
    choose_library,
    describe_preprocess,
    join_code,
    write_crop,
    write_reading,
)

MEAN = ("0.5", "0.25", "0.125")


def view(res: int = 32, **fields: Any) -> View:
    return View("center", res, **{"interpolation": "bicubic", "mean": MEAN, "std": MEAN, **fields})


VIEWS = {
    "FixRes": view(),
    "odd side": view(33, crop_ratio="0.95", interpolation="bilinear"),
    "whole crop": view(crop_ratio="1.0", interpolation="lanczos"),
    "black frame": view(31, crop_ratio="1.15"),
    "height": view(resize="height"),
    "squash": view(33, crop_mode="squash", interpolation="nearest"),
    "squash in a frame": view(33, crop_mode="squash", crop_ratio="1.2"),
    "border": view(crop_mode="border", crop_ratio="1.0"),
    "border, cut": view(33, crop_mode="border"),
    "tensor": view(resampler="tensor"),
    "tensor, border": view(31, crop_mode="border", resampler="tensor", interpolation="bilinear"),
    "tensor, framed": view(resize="height", resampler="tensor", crop_ratio="1.3"),
}
EXACT = [
    (name, library) for name in VIEWS for library in LIBRARIES if choose_library(VIEWS[name], library) == library
]


def draw_odd(seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Files in every mode and shape, by what is odd about them."""
    photo = draw_photo(61, 37, seed)
    grey, clear = photo.convert("L"), photo.copy()
    alpha = draw_photo(61, 37, seed + 1).convert("L")
    clear.putalpha(alpha)
    palette = photo.quantize(16)
    turned = Image.Exif()
    yield "JPEG", encode(photo, "JPEG")
    for width, height in ((37, 61), (150, 27), (40, 122), (9, 13), (32, 32), (36, 36), (35, 64)):
        yield f"{width} x {height}", encode(draw_photo(width, height, seed))
    for orientation in (3, 5, 6, 8):
        turned[0x0112] = orientation
        yield f"EXIF {orientation}", encode(photo, "JPEG", exif=turned.tobytes())
        yield f"TIFF, EXIF {orientation}", encode(photo, "TIFF", exif=turned)
    yield "grey", encode(grey, "JPEG")
    yield "CMYK", encode(photo.convert("CMYK"), "JPEG")
    yield "1 bit", encode(photo.convert("1"))
    yield "RGBA", encode(clear)
    yield "WebP, RGBA", encode(clear, "WEBP", lossless=True, exif=turned.tobytes())
    yield "LA", encode(Image.merge("LA", (grey, alpha)))
    yield "P", encode(palette)
    yield "P, transparent", encode(palette, transparency=3)
    yield "GIF, transparent", encode(palette, "GIF", transparency=3)
    yield "RGB, transparent", encode(photo, transparency=photo.getpixel((5, 5)))
    deep = np.random.default_rng(seed).integers(0, 65536, (37, 61, 3), np.uint16)
    yield "16-bit grey", encode(Image.fromarray(deep[..., 0]))
    yield "16-bit grey, turned", encode(Image.fromarray(deep[..., 0]), exif=turned.tobytes())
    yield "16-bit grey TIFF, big-endian", encode_tiff(deep[..., :1].astype(">u2"))
    yield "16-bit colours", encode_tiff(deep, 2)


ODD = dict(draw_odd())


def run(code: str, name: str) -> Any:
    names: dict[str, Any] = {}
    exec(code, names)
    return names[name]


def read(data: bytes, scale: Scale = USUAL) -> Image.Image:
    return run(write_reading(scale), "read_rgb")(io.BytesIO(data))


@pytest.mark.parametrize("what", ODD)
def test_reading_gives_the_decoded_pixels(what: str) -> None:
    found, wanted = read(ODD[what]), decode_rgb(ODD[what])
    assert (found.mode, found.size) == ("RGB", wanted.size)
    assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize(("name", "library"), EXACT)
def test_cropping_gives_the_views_pixels(name: str, library: str) -> None:
    seen = VIEWS[name]
    crop = run(join_code(write_crop(seen, library)), "crop")
    for what, data in ODD.items():
        found, (wanted,) = crop(read(data)), render_view(decode_rgb(data), seen, b"")
        assert (found.dtype, found.shape) == (np.uint8, (seen.res, seen.res, 3))
        assert (found == wanted).all(), what


def test_a_scale_is_exact_for_grey_and_refuses_colours_of_16_bits() -> None:
    for what, scale in (("16-bit grey", Scale(0, 4095)), ("16-bit grey TIFF, big-endian", Scale(60000, -1000))):
        found, wanted = read(ODD[what], scale), decode_rgb(ODD[what], scale)
        assert found.tobytes() == wanted.tobytes()
        assert found.tobytes() != decode_rgb(ODD[what]).tobytes()
    floats = encode(Image.fromarray(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)), "TIFF")
    assert read(floats, Scale(0, 1)).tobytes() == decode_rgb(floats, Scale(0, 1)).tobytes()
    with pytest.raises(ValueError, match="colours of 16 bits"):
        read(ODD["16-bit colours"], Scale(0, 4095))
    assert read(ODD["RGBA"], Scale(0, 4095)).tobytes() == decode_rgb(ODD["RGBA"]).tobytes()


@pytest.mark.parametrize("values", [np.float32([[0, 0.5]]), np.int32([[-1, 7]]), np.int32([[0, 70000]])])
def test_grey_without_a_known_range_is_refused_as_decoding_refuses_it(values: np.ndarray) -> None:
    data = encode(Image.fromarray(values), "TIFF")
    with pytest.raises(BadImage):
        decode_rgb(data)
    with pytest.raises(ValueError, match="not of 16 bits"):
        read(data)


def test_real_photographs_are_read_and_cropped_alike(shared_data: Path) -> None:
    few = [(name, library) for name, library in EXACT if name in ("FixRes", "border", "tensor")]
    crops = [(VIEWS[name], run(join_code(write_crop(VIEWS[name], library)), "crop")) for name, library in few]
    files = [file for file in sorted((shared_data / "odd").iterdir()) if not file.name.startswith("huge")]
    compared = 0
    for file in files:
        try:
            wanted = decode_rgb(file.read_bytes())
        except BadImage:
            continue
        found = run(write_reading(), "read_rgb")(file)
        assert found.tobytes() == wanted.tobytes(), file
        for seen, crop in crops:
            assert (crop(found) == render_view(wanted, seen, b"")[0]).all(), (file, seen)
        compared += 1
    assert compared > 20


def test_an_exported_file_says_how_its_pixels_are_made() -> None:
    seen = view(96, crop_ratio="0.95")
    said = describe_preprocess(seen.to_spec(), {"exif": "apply"})
    assert said["input"] == "uint8 (B, 96, 96, 3), RGB"
    assert (said["resized_side"], said["view"], said["decode"]) == (101, seen.to_spec(), {"exif": "apply"})
    for code in said["python"].values():
        image = run(code, "read_rgb")(io.BytesIO(ODD["EXIF 6"]))
        wanted = render_view(decode_rgb(ODD["EXIF 6"]), seen, b"")[0]
        assert (run(code, "crop")(image) == wanted).all()
    assert list(describe_preprocess(VIEWS["tensor"].to_spec(), {})["python"]) == ["torchvision"]
    assert describe_preprocess(replace(seen, kind="five").to_spec(), {}) == {}
    assert describe_preprocess({"kind": "center", "res": 32}, {}) == {}


def test_pieces_are_joined_with_each_import_once() -> None:
    parts = (
        "import numpy as np\nfrom PIL import Image, ImageOps\n\n\na = 1\n",
        "import json\nfrom PIL import Image\n\nb = 2\n",
    )
    assert (
        join_code(*parts)
        == "import json\n\nimport numpy as np\nfrom PIL import Image, ImageOps\n\n\na = 1\n\n\nb = 2\n"
    )
