from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2
from zoo import draw_photo

from fixgrid.cache.errors import UsageError
from fixgrid.cache.view import INTERPOLATIONS, View
from fixgrid.embed import resample
from fixgrid.embed.resample import expect_resampler, read_pixels, resize_image
from fixgrid.embed.views import render_view

VIEW = View("center", 64, "bicubic", ("0", "0", "0"), ("1", "1", "1"))
SIZES = [((500, 375), (341, 256)), ((97, 134), (224, 309)), ((3, 200), (8, 40)), ((333, 333), (64, 64))]


def by_torchvision(image: Image.Image, size: tuple[int, int], interpolation: str) -> np.ndarray:
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    mode = v2.InterpolationMode(interpolation)
    return v2.functional.resize(pixels, list(size[::-1]), mode, antialias=True).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "out"), SIZES)
def test_tensor_is_torchvisions_resize_of_tensors(
    size: tuple[int, int], out: tuple[int, int], interpolation: str
) -> None:
    image = draw_photo(*size, 1)
    ours = read_pixels(resize_image(image, out, interpolation, "tensor"))
    assert ours.shape == (out[1], out[0], 3)
    np.testing.assert_array_equal(ours, by_torchvision(image, out, interpolation))


def test_an_image_in_several_blocks_of_memory_is_resized_alike() -> None:
    image = draw_photo(4200, 1100, 4)
    with pytest.raises(ValueError, match="contiguous"):
        image.__arrow_c_array__()
    ours = read_pixels(resize_image(image, (420, 110), "bicubic", "tensor"))
    np.testing.assert_array_equal(ours, by_torchvision(image, (420, 110), "bicubic"))


def test_a_resized_image_outlives_what_it_was_made_of() -> None:
    image = draw_photo(500, 375, 5)
    wanted = by_torchvision(image, (200, 150), "bilinear")
    resized = resize_image(image, (200, 150), "bilinear", "tensor")
    del image
    for seed in range(6, 12):  # what had been let go would be written over
        resize_image(draw_photo(500, 375, seed), (200, 150), "bilinear", "tensor")
    np.testing.assert_array_equal(read_pixels(resized), wanted)


@pytest.mark.parametrize(("size", "out"), SIZES)
def test_pillow_is_pillow_and_tensor_is_near_it(size: tuple[int, int], out: tuple[int, int]) -> None:
    image = draw_photo(*size, 2)
    exact, near = (
        read_pixels(resize_image(image, out, "bicubic", name)).astype(int) for name in ("pillow", "tensor")
    )
    np.testing.assert_array_equal(exact, np.asarray(image.resize(out, Image.Resampling.BICUBIC)))
    assert np.abs(exact - near).max() <= 2


@pytest.mark.parametrize("kind", ["center", "train", "val_train", "whole", "ten"])
def test_every_kind_of_view_is_resized_as_it_says(kind: str) -> None:
    view = replace(VIEW, kind=kind, draws=2, jitter="full", interpolation="bilinear")
    image = draw_photo(300, 200, 3)
    exact = render_view(image, view, bytes(32))
    near = render_view(image, replace(view, resampler="tensor"), bytes(32))
    assert near.shape == exact.shape
    assert 0 < np.abs(near.astype(int) - exact).max() <= 3  # jitter stretches a difference


def test_the_key_names_it_unless_it_is_pillow() -> None:
    assert "resampler" not in VIEW.to_spec()
    tensor = replace(VIEW, resampler="tensor")
    assert tensor.to_spec() == {**VIEW.to_spec(), "resampler": "tensor"}
    assert View.from_spec(tensor.to_spec()) == tensor


@pytest.mark.parametrize("interpolation", sorted(set(INTERPOLATIONS) - {"bilinear", "bicubic"}))
def test_an_interpolation_that_tensors_lack_is_refused(interpolation: str) -> None:
    expect_resampler("pillow", interpolation)
    with pytest.raises(UsageError, match="--resampler pillow"):
        expect_resampler("tensor", interpolation)


def test_an_unknown_resampler_is_refused() -> None:
    with pytest.raises(UsageError, match="pillow, tensor"):
        expect_resampler("opencv", "bilinear")


def test_pillow_simd_is_not_taken_for_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resample, "HAS_PILLOW_SIMD", True)
    expect_resampler("tensor", "bilinear")
    with pytest.raises(UsageError, match="Pillow-SIMD"):
        expect_resampler("pillow", "bilinear")
