"""Photographs are shown upright, small and unchanged; what is gone, changed or no image is not shown."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stub import center, train
from zoo import draw_photo, encode, list_manifest

from fixgrid.cache.rows import Manifest
from fixgrid.embed.pictures import Album, make_thumbnail, open_picture, read_sizes, show_principle
from fixgrid.embed.sources.content import Files


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """A wide photograph, one on its side, and one that is none."""
    folder = tmp_path / "test" / "a"
    folder.mkdir(parents=True)
    (folder / "0.png").write_bytes(encode(draw_photo(400, 200, 1)))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    (folder / "1.jpg").write_bytes(encode(draw_photo(400, 200, 2), "JPEG", exif=exif))
    (folder / "2.png").write_bytes(b"no image")
    return list_manifest(tmp_path, {"test": "test"})


def test_sizes_are_those_of_upright_photographs(manifest: Manifest) -> None:
    rows = manifest.splits["test"]
    assert read_sizes(Files(manifest.root), [*rows.paths, b"gone"]).tolist() == [
        [400, 200],
        [200, 400],
        [0, 0],
        [0, 0],
    ]
    assert read_sizes(Files(manifest.root), []).shape == (0, 2)
    assert Album(manifest).measure().tolist() == [[400, 200], [200, 400]]


def test_a_thumbnail_is_upright_small_and_without_metadata(manifest: Manifest) -> None:
    jpeg = Album(manifest).thumbnail("test", 1)
    assert jpeg is not None
    with Image.open(io.BytesIO(jpeg)) as image:
        assert (image.size, image.format, dict(image.getexif())) == ((88, 176), "JPEG", {})
    with Image.open(io.BytesIO(make_thumbnail(draw_photo(20, 10, 0)))) as image:
        assert image.size == (20, 10)


def test_what_is_gone_changed_or_no_image_is_not_shown(manifest: Manifest) -> None:
    album, rows = Album(manifest), manifest.splits["test"]
    assert album.thumbnail("test", 2) is None
    place = Path(manifest.root) / "test/a/0.png"
    place.write_bytes(encode(draw_photo(400, 200, 3)))
    assert album.thumbnail("test", 0) is None
    assert album.principle("test", 0, train(64).to_spec(), center(64).to_spec()) is None
    place.unlink()
    assert open_picture(Files(manifest.root), rows, 0) is None


def test_a_crop_is_shown_where_it_was_cut_and_as_large_as_it_becomes(manifest: Manifest) -> None:
    shown = Album(manifest).principle("test", 0, train(64, draws=2).to_spec(), center(64).to_spec())
    assert shown is not None
    assert (shown.width, shown.height, len(shown.training), len(shown.test)) == (400, 200, 2, 1)
    (middle,) = shown.test
    left, top, right, bottom = middle.box
    assert (left + right, top + bottom) == pytest.approx((1, 1), abs=1.01 / 73)  # a whole px
    assert (right - left) * 400 == pytest.approx((bottom - top) * 200, rel=0.01)
    assert middle.scale == pytest.approx(73 / 200, rel=0.01)  # the short side becomes int(256 / 224 * 64) px
    assert not middle.flip
    for crop in (*shown.training, *shown.test):
        assert (crop.pixels.shape, crop.pixels.dtype) == ((64, 64, 3), np.uint8)
        assert crop.jpeg.startswith(b"\xff\xd8")


def test_random_crops_depend_on_content_alone() -> None:
    photo = draw_photo(60, 40, 0)
    boxes = [
        [crop.box for crop in show_principle(photo, bytes([seed]) * 32, train(16), center(16)).training]
        for seed in (1, 1, 2)
    ]
    assert boxes[0] == boxes[1] != boxes[2]


def test_the_side_is_that_of_the_view(manifest: Manifest) -> None:
    assert Album(manifest).resize_side(center(224).to_spec()) == 256
