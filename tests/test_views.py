from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F  # noqa: N812 - its own documentation calls it that
from zoo import draw_photo

from fixgrid.cache.view import CROP_MODES, KINDS, View, resize_side, resized_size
from fixgrid.embed.decode import decode_rgb
from fixgrid.embed.draws import Draws
from fixgrid.embed.request import Wanted, choose_views
from fixgrid.embed.trunks.library import find_source
from fixgrid.embed.trunks.look import read_look
from fixgrid.embed.views import draw_box, plan_crops, render_view

FACTS = {"interpolation": "bilinear", "mean": ("0", "0", "0"), "std": ("1", "1", "1")}
CONTENT = bytes(range(32))
SIZES = [
    (500, 375),
    (375, 500),
    (333, 333),
    (97, 134),
    (40, 122),
    (1024, 187),
    (3, 200),
    (200, 3),
    (1, 1),
    (225, 224),
]
RESOLUTIONS = (16, 128, 224, 333)


def make_view(kind: str, res: int = 224, **fields: object) -> View:
    return View(kind, res, **{**FACTS, **fields})


def mode_of(view: View) -> InterpolationMode:
    return InterpolationMode(view.interpolation)


def contents(n: int) -> list[bytes]:
    rng = np.random.default_rng(3)
    return [rng.bytes(32) for _ in range(n)]


def assert_close(ours: np.ndarray, theirs: Image.Image) -> None:
    theirs_pixels = np.asarray(theirs)
    assert ours.shape == theirs_pixels.shape
    assert np.abs(ours.astype(int) - theirs_pixels).max() <= 1


@pytest.fixture(scope="module")
def photographs(shared_data: Path) -> list[Image.Image]:
    files = list(islice(sorted((shared_data / "dogs").rglob("*.jpg")), 0, None, 150))
    assert len(files) >= 8
    return [decode_rgb(file.read_bytes()) for file in files]


def generated() -> Iterator[Image.Image]:
    return (draw_photo(width, height, seed) for seed, (width, height) in enumerate(SIZES))


def their_center(view: View) -> Callable[[Image.Image], Image.Image]:
    side = resize_side(view.res, view.crop_ratio)
    return transforms.Compose([transforms.Resize(side, mode_of(view)), transforms.CenterCrop(view.res)])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("res", "crop_ratio"), [(128, "0.875"), (224, "0.875"), (224, "0.95"), (320, "1.0")])
def test_center_is_resize_and_center_crop_on_photographs(
    photographs: list[Image.Image], interpolation: str, res: int, crop_ratio: str
) -> None:
    view = make_view("center", res, crop_ratio=crop_ratio, interpolation=interpolation)
    for image in photographs:
        assert_close(render_view(image, view, CONTENT)[0], their_center(view)(image))


@pytest.mark.parametrize("res", RESOLUTIONS)
def test_center_is_resize_and_center_crop_at_odd_sizes(res: int) -> None:
    view = make_view("center", res)
    for image in generated():
        assert_close(render_view(image, view, CONTENT)[0], their_center(view)(image))


@pytest.mark.parametrize(
    ("res", "side"),
    [(128, 146), (160, 182), (224, 256), (288, 329), (320, 365), (380, 434), (384, 438), (400, 457), (480, 548)],
)
def test_the_resized_side_is_that_of_fixres(res: int, side: int) -> None:
    assert resize_side(res, "0.875") == side


def fixres_height(image: Image.Image, view: View) -> Image.Image:
    """FixRes' Resize and CenterCrop, as facts: the height is set, the box is centred, outside is black."""
    side = int(256 / 224 * view.res)
    width = max(1, int(side * image.width / image.height))
    return F.center_crop(image.resize((width, side), Image.Resampling.BILINEAR), [view.res, view.res])


@pytest.mark.parametrize("res", [128, 224])
def test_height_sets_the_height_and_pads_portraits(photographs: list[Image.Image], res: int) -> None:
    view = make_view("center", res, resize="height")
    portrait = draw_photo(150, 400, 5)
    for image in [*photographs, *generated(), portrait]:
        assert_close(render_view(image, view, CONTENT)[0], fixres_height(image, view))
    crop = render_view(portrait, view, CONTENT)[0]
    assert (crop[:, 0] == 0).all()
    assert (crop[:, -1] == 0).all()
    assert (render_view(portrait, replace(view, resize="short-side"), CONTENT)[0][:, 0] != 0).any()


def test_whole_has_the_longest_side_and_all_of_the_image(photographs: list[Image.Image]) -> None:
    view = make_view("whole", 224)
    for image in [*photographs, *generated()]:
        longest = max(image.size)
        size = [max(1, int(224 * side / longest)) if side < longest else 224 for side in image.size]
        assert_close(render_view(image, view, CONTENT)[0], image.resize(size, Image.Resampling.BILINEAR))


def render_timm(name: str, image: Image.Image, **changes: object) -> tuple[View, np.ndarray]:
    """The center view that a timm name asks for, and the pixels of timm's own transform for it."""
    import timm

    cfg = {**timm.get_pretrained_cfg(name).to_dict(), **changes}
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, pretrained_cfg=cfg), normalize=False)
    given = read_look(cfg["mean"], crop_ratio=cfg["crop_pct"], crop_mode=changes.get("crop_mode"))
    look = find_source("timm:" + name).preprocess.override(given)
    return choose_views(look, ["val"], Wanted())["val"][0], transform(image).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (333, 250), (900, 901), (5, 4)])
@pytest.mark.parametrize(
    ("name", "changes", "mode"),
    [
        ("tf_efficientnet_lite0.in1k", {}, "center"),
        ("convnext_tiny.fb_in22k_ft_in1k_384", {}, "squash"),
        ("convnext_tiny.fb_in22k_ft_in1k_384", {"crop_pct": 0.9}, "squash"),
        ("resnet18.a1_in1k", {"crop_mode": "border"}, "border"),
        ("resnet18.a1_in1k", {"crop_mode": "border", "crop_pct": 1.0}, "border"),
    ],
)
def test_every_crop_mode_has_the_pixels_of_timms_own_transform(
    name: str, changes: dict[str, object], mode: str, size: tuple[int, int]
) -> None:
    image = draw_photo(*size, 1)
    view, theirs = render_timm(name, image, **changes)
    assert view.crop_mode == mode
    np.testing.assert_array_equal(render_view(image, view, CONTENT)[0], theirs)
    tensor = render_view(image, replace(view, resampler="tensor"), CONTENT)[0]
    assert np.abs(tensor.astype(int) - theirs).max() <= 3


@pytest.mark.parametrize("mode", ["squash", "border"])
def test_shifted_crops_move_within_what_a_crop_mode_leaves(mode: str) -> None:
    """None here: a flip and colours are all that is left of FixRes' val_train."""
    view = make_view("val_train", 96, draws=8, crop_mode=mode, crop_ratio="1.0", mean=("0.5",) * 3)
    for crop in plan_crops(view, 300, 100, CONTENT):
        assert (crop.box[2] - crop.box[0], crop.box[0]) == (96, 0)
    top = render_view(Image.new("RGB", (300, 100)), view, CONTENT)[:, 0, 0]
    assert (top == (128 if mode == "border" else 0)).all()  # colours change, the border does not


@pytest.mark.parametrize(("kind", "crop"), [("five", transforms.FiveCrop), ("ten", transforms.TenCrop)])
@pytest.mark.parametrize("res", [128, 224])
def test_five_and_ten_are_those_of_torchvision(
    photographs: list[Image.Image], kind: str, crop: Callable[[int], Callable[..., object]], res: int
) -> None:
    view = make_view(kind, res)
    for image in [*photographs, draw_photo(225, 224, 1), draw_photo(40, 122, 2)]:
        ours = render_view(image, view, CONTENT)
        theirs = crop(res)(F.resize(image, resize_side(res, "0.875"), InterpolationMode.BILINEAR))
        assert len(ours) == len(theirs) == view.count
        for our, their in zip(ours, theirs, strict=True):
            assert_close(our, their)


class Stream:
    """torch's random functions, fed by our draws."""

    def __init__(self, draws: Draws) -> None:
        self.draws = draws

    def empty(self, n: int) -> Stream:
        return self

    def uniform_(self, low: object, high: object) -> torch.Tensor:
        return torch.tensor([self.draws.uniform(float(low), float(high))], dtype=torch.float64)

    def randint(self, low: int, high: int, size: tuple[int]) -> torch.Tensor:
        return torch.tensor([low + self.draws.integer(high - low)])


@pytest.mark.parametrize("size", SIZES)
def test_boxes_are_those_of_random_resized_crop(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    image = Image.new("RGB", size)
    double = torch.tensor
    for content in contents(200):
        stream = Stream(Draws(0, content, 0))
        with monkeypatch.context() as patch:
            patch.setattr(torch, "empty", stream.empty)
            patch.setattr(torch, "randint", stream.randint)
            # torchvision takes the logarithm of the ratio in float32, which could round a side otherwise.
            patch.setattr(torch, "tensor", lambda values, **options: double(values, dtype=torch.float64))
            top, left, height, width = transforms.RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3])
        box = draw_box(*size, Draws(0, content, 0))
        assert box == (left, top, left + width, top + height)


def test_train_is_crop_resize_and_flip(photographs: list[Image.Image]) -> None:
    view = make_view("train", 128, draws=4)
    flips = 0
    for image, content in zip(photographs, contents(len(photographs)), strict=True):
        crops = plan_crops(view, *image.size, content)
        for crop, ours in zip(crops, render_view(image, view, content), strict=True):
            left, top, right, bottom = crop.box
            theirs = F.resized_crop(image, top, left, bottom - top, right - left, [128, 128], mode_of(view))
            assert_close(ours, F.hflip(theirs) if crop.flip else theirs)
            flips += crop.flip
    assert 0 < flips < 4 * len(photographs)


THEIR_JITTER = {"Brightness": F.adjust_brightness, "Contrast": F.adjust_contrast, "Color": F.adjust_saturation}


def test_full_jitters_colours_as_torchvision_does(photographs: list[Image.Image]) -> None:
    view, orders = make_view("train", 96, draws=3, jitter="full"), set()
    for image, content in zip(photographs, contents(len(photographs)), strict=True):
        crops = plan_crops(view, *image.size, content)
        for crop, ours in zip(crops, render_view(image, view, content), strict=True):
            left, top, right, bottom = crop.box
            theirs = F.resized_crop(image, top, left, bottom - top, right - left, [96, 96], mode_of(view))
            theirs = F.hflip(theirs) if crop.flip else theirs
            for name, factor in crop.jitter:
                assert 0.7 <= factor <= 1.3
                theirs = THEIR_JITTER[name](theirs, factor)
            assert_close(ours, theirs)
            orders.add(tuple(name for name, _ in crop.jitter))
    assert len(orders) > 3
    assert all(set(order) == THEIR_JITTER.keys() for order in orders)


def test_val_train_is_fixres_shifted_center_crop(photographs: list[Image.Image]) -> None:
    """Resize, flip, jitter, and a centre crop moved sideways by at most its own margin."""
    view, shifts = make_view("val_train", 128, draws=4), set()
    for image, content in zip(photographs, contents(len(photographs)), strict=True):
        resized = F.resize(image, resize_side(128, "0.875"), InterpolationMode.BILINEAR)
        margin = round((resized.width - 128) / 2)
        for crop, ours in zip(
            plan_crops(view, *image.size, content), render_view(image, view, content), strict=True
        ):
            theirs = F.hflip(resized) if crop.flip else resized
            for name, factor in crop.jitter:
                assert 0.95 <= factor <= 1.05
                theirs = THEIR_JITTER[name](theirs, factor)
            left = resized.width - crop.box[2] if crop.flip else crop.box[0]
            assert abs(left - margin) <= margin
            assert crop.box[1] == round((resized.height - 128) / 2)
            assert_close(ours, theirs.crop((left, crop.box[1], left + 128, crop.box[1] + 128)))
            shifts.add(left - margin)
    assert min(shifts) < 0 < max(shifts)


def test_draws_depend_on_seed_content_and_number_alone() -> None:
    def first(seed: int = 0, content: bytes = CONTENT, draw: int = 0) -> float:
        return Draws(seed, content, draw).uniform()

    assert first() == first()
    assert len({first(), first(seed=1), first(draw=1), first(content=b"other")}) == 4
    view = make_view("train", 64, draws=3)
    assert plan_crops(view, 500, 375, CONTENT)[:2] == plan_crops(replace(view, draws=2), 500, 375, CONTENT)


def test_draws_never_move() -> None:
    """Another stream would be another view under the same key."""
    draws = Draws(7, CONTENT, 2)
    assert [draws.uniform(), draws.integer(1000), draws.integer(1000)] == [0.1412868343438336, 468, 276]


def test_the_same_image_is_cropped_alike_at_every_resolution() -> None:
    small, large = (plan_crops(make_view("train", res, draws=5), 500, 375, CONTENT) for res in (128, 320))
    assert [(crop.box, crop.flip) for crop in small] == [(crop.box, crop.flip) for crop in large]


def test_draws_are_uniform() -> None:
    values = np.array([Draws(0, content, 0).uniform() for content in contents(4000)])
    assert abs(values.mean() - 0.5) < 0.02
    assert abs(values.std() - 1 / math.sqrt(12)) < 0.01
    integers = [Draws(0, content, 1).integer(5) for content in contents(4000)]
    assert np.bincount(integers, minlength=5).min() > 700
    assert max(integers) == 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("crop_mode", CROP_MODES)
@pytest.mark.parametrize("resize", ["short-side", "height"])
def test_no_view_fails_at_any_size(kind: str, crop_mode: str, resize: str) -> None:
    for size in [*SIZES, (1, 100), (100, 1)]:
        for res in (8, 96):
            view = make_view(kind, res, resize=resize, crop_mode=crop_mode, draws=2)
            pixels = render_view(Image.new("RGB", size, (255, 0, 0)), view, CONTENT)
            assert pixels.dtype == np.uint8
            assert len(pixels) == view.count
            assert pixels.shape[1:] == (res, res, 3) or (kind == "whole" and max(pixels.shape[1:3]) == res)


def test_sizes_floor_as_torchvision_does() -> None:
    assert resized_size(500, 375, make_view("center")) == (341, 256)
    assert resized_size(375, 500, make_view("center")) == (256, 341)
    assert resized_size(375, 500, make_view("center", resize="height")) == (192, 256)
