"""Copies are told by their pixels, whatever was done to them; pictures of like composition are no copies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps
from zoo import encode, list_manifest

from fixgrid.cache.rows import Manifest
from fixgrid.embed.copies import Copies, Likeness
from fixgrid.embed.decode import decode_grey, decode_rgb


def draw_scene(
    seed: int, *, like: int | None = None, of: int = 1, width: int = 320, height: int = 240
) -> Image.Image:
    """Colours at four scales, the coarsest ``of`` them those of another scene."""
    picture = np.zeros((height, width, 3), np.float32)
    for octave, (side, weight) in enumerate(((4, 0.5), (9, 0.25), (22, 0.25), (60, 0.15))):
        rng = np.random.default_rng([seed if like is None or octave >= of else like, octave])
        layer = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8), "RGB")
        picture += weight * np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    return Image.fromarray((picture - 20).clip(0, 255).astype(np.uint8))


def write_caption(image: Image.Image) -> Image.Image:
    image = image.copy()
    ImageDraw.Draw(image).rectangle((0, 215, 320, 240), fill=(0, 0, 0))
    return image


CHANGES: dict[str, tuple[str, Callable[[Image.Image], Image.Image]]] = {
    "resized": ("copy", lambda image: image.resize((130, 98))),
    "squashed": ("copy", lambda image: image.resize((200, 240))),
    "grey": ("copy", ImageOps.grayscale),
    "darker": ("copy", lambda image: image.point(lambda value: value * 0.5)),
    "mirrored": ("mirrored", ImageOps.mirror),
    "cropped": ("cropped", lambda image: image.crop((40, 10, 310, 200))),
    "cropped and mirrored": ("mirrored", lambda image: ImageOps.mirror(image.crop((30, 20, 320, 240)))),
    "framed": ("cropped", lambda image: ImageOps.expand(image, 20, (255, 255, 255))),
    "letterboxed": ("cropped", lambda image: ImageOps.pad(image, (320, 320), color=(0, 0, 0))),
    "captioned": ("cropped", write_caption),
}


def compare(folder: Path, *files: bytes, cosine: float = 0.6) -> Likeness | None:
    """What two files have in common."""
    for number, data in enumerate(files):
        (folder / f"{number}.jpg").write_bytes(data)
    return Copies(list_manifest(folder)).compare({(("train", 0), ("train", 1)): cosine})[0]


@pytest.mark.parametrize("name", CHANGES)
def test_a_copy_is_proven_and_named_after_what_was_done(name: str, tmp_path: Path) -> None:
    how, change = CHANGES[name]
    scene = draw_scene(1)
    found = compare(tmp_path, encode(scene, "JPEG", quality=90), encode(change(scene), "JPEG", quality=60))
    assert found is not None
    assert found.how == how
    assert found.correlation > 0.9
    back = compare(tmp_path, encode(change(scene), "JPEG", quality=60), encode(scene, "JPEG", quality=90))
    assert back == found


def test_a_scene_whose_details_changed_is_the_same_if_its_features_are_alike(tmp_path: Path) -> None:
    scene = draw_scene(1)
    changed = Image.blend(scene, draw_scene(2, like=1, of=2), 0.75)
    found = [compare(tmp_path, encode(scene), encode(changed), cosine=cosine) for cosine in (0.9, 0.6, 0.4)]
    assert [one is not None and one.how for one in found] == ["scene", "", ""]


@pytest.mark.parametrize("seed", range(2, 8))
def test_pictures_of_like_composition_are_not_taken_for_one(seed: int, tmp_path: Path) -> None:
    found = compare(tmp_path, encode(draw_scene(1)), encode(draw_scene(seed, like=1)))
    assert found is not None
    assert found.how == ""


def test_what_is_gone_changed_damaged_or_too_small_is_not_judged(tmp_path: Path) -> None:
    scene = encode(draw_scene(1))
    assert compare(tmp_path, scene, b"no image") is None
    assert compare(tmp_path, scene, encode(draw_scene(1, width=80, height=63))) is None
    for number in (0, 1):
        (tmp_path / f"{number}.jpg").write_bytes(scene + bytes(number))
    manifest = list_manifest(tmp_path)
    pair = {(("train", 0), ("train", 1)): 0.6}
    assert [found is not None and found.how for found in Copies(manifest).compare(pair)] == ["copy"]
    (tmp_path / "1.jpg").write_bytes(scene)
    assert Copies(manifest).compare(pair) == [None]
    (tmp_path / "1.jpg").unlink()
    assert Copies(manifest).compare(pair) == [None]
    assert Copies(Manifest("gone", "nosuch:place", (), manifest.splits)).compare(pair) == [None]


def test_an_image_on_its_side_is_compared_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    scene = draw_scene(1)
    lying = encode(scene.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    found = compare(tmp_path, encode(scene), lying)
    assert found is not None
    assert found.how == "copy"


def test_flat_images_are_nobodys_copies(tmp_path: Path) -> None:
    flat = [encode(Image.new("RGB", (100, 100), (shade,) * 3)) for shade in (90, 91)]
    assert compare(tmp_path, *flat) == Likeness("", 0.0)
    found = compare(tmp_path, flat[0], encode(draw_scene(1)))
    assert found is not None
    assert found.how == ""


def draw_sky(low: int, high: int, *, house: bool = False) -> Image.Image:
    """Evenly lighter from top to bottom, as if blurred; with a patch of detail below, too small to tell."""
    sky = Image.fromarray(np.linspace(low, high, 240).astype(np.uint8)[:, None].repeat(320, 1)).convert("RGB")
    if house:
        sky.paste(draw_scene(1).crop((0, 0, 80, 60)), (0, 180))
    return sky


def test_images_too_plain_to_tell_are_not_judged_however_well_they_correlate(tmp_path: Path) -> None:
    assert compare(tmp_path, encode(draw_sky(90, 200)), encode(draw_sky(20, 250))) is None
    assert compare(tmp_path, encode(draw_sky(90, 200, house=True)), encode(draw_sky(20, 250, house=True))) is None
    found = compare(tmp_path, encode(draw_sky(90, 200)), encode(draw_scene(1)))
    assert found is not None
    assert found.how == ""


def test_a_sketch_is_small_grey_and_of_length_1_beside_its_mirror_image(tmp_path: Path) -> None:
    scene = draw_scene(1)
    drawn = (scene, ImageOps.mirror(scene), draw_scene(2), Image.new("RGB", (80, 80)), scene.crop((0, 0, 60, 60)))
    for number, image in enumerate(drawn):
        (tmp_path / f"{number}.png").write_bytes(encode(image))
    copies = Copies(list_manifest(tmp_path))
    whole, mirrored = copies.sketch([("train", number) for number in range(5)]).transpose(1, 0, 2)
    assert whole.shape == (5, 256)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), [1, 1, 1, 0, 0], atol=1e-5)
    assert float(whole[0] @ mirrored[1]) > 0.999
    assert float(whole[0] @ whole[2]) < 0.5
    assert not whole[4].any()


def test_each_image_is_read_once_however_many_pairs_it_is_in(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(encode(draw_scene(number)))
    copies = Copies(list_manifest(tmp_path))
    pairs = {(("train", a), ("train", b)): 0.6 for a in range(4) for b in range(a)}
    first = copies.compare(pairs)
    for number in range(4):
        (tmp_path / f"{number}.png").unlink()
    assert copies.compare(pairs) == first
    assert [found is not None for found in first] == [True] * 6
    assert copies.compare({}) == []


def test_a_glance_decodes_few_pixels_and_shows_the_same() -> None:
    data = encode(draw_scene(3, width=1600, height=1200), "JPEG")
    small = decode_grey(data, 96)
    assert small.size == (200, 150)
    whole = np.asarray(decode_rgb(data).convert("L").resize(small.size, Image.Resampling.BOX), np.float32)
    assert np.abs(whole - np.asarray(small, np.float32)).mean() < 1.5
    assert decode_grey(encode(draw_scene(3)), 96).size == (320, 240)
    with pytest.raises(Exception, match="empty"):
        decode_grey(b"", 96)


def test_photographs_are_proven_copies_of_themselves_alone(tmp_path: Path, shared_data: Path) -> None:
    photos = sorted((shared_data / "dogs/train").rglob("*.jpg"))[::60][:12]
    for number, path in enumerate(photos):
        with Image.open(path) as image:
            image = image.convert("RGB")
        (tmp_path / f"{number:02d}a.jpg").write_bytes(encode(image, "JPEG"))
        box = image.width * 0.1, image.height * 0.05, image.width * 0.95, image.height * 0.9
        changed = ImageOps.mirror(ImageOps.autocontrast(image.crop(tuple(map(int, box))), 2))
        (tmp_path / f"{number:02d}b.jpg").write_bytes(encode(changed, "JPEG", quality=50))
    n = 2 * len(photos)
    pairs = {(("train", a), ("train", b)): 0.6 for a in range(n) for b in range(a)}
    found = Copies(list_manifest(tmp_path)).compare(pairs)
    proven = {(b, a) for ((_, a), (_, b)), likeness in zip(pairs, found, strict=True) if likeness and likeness.how}
    assert proven == {(number, number + 1) for number in range(0, n, 2)}
