"""One decoded image to every wanted crop at every wanted resolution.

A view is data (`fixgrid.cache.view.View`), which crops it gives is arithmetic (`plan_crops`), and only
`render_crop` touches pixels. Boxes are those of torchvision's transforms, pixels within 1/255 of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from fixgrid.cache.view import View, resized_size, whole_size

from .draws import Draws
from .resample import read_pixels, resize_image

SCALE = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
# ColorJitter's brightness = contrast = saturation, of FixRes' kinds "full" and "torch" and of its val_train.
JITTER = {"full": 0.3, "torch": 0.0, "val_train": 0.05}


@dataclass(frozen=True)
class Crop:
    """One crop's geometry and colour.

    With `resized`, the whole image is resized to it and the box (px of the resized image; `fill` outside it) is
    cut; without, the box (px of the image) is cut first and then resized to `out`.

    Attributes
    ----------
    box : (left, top, right, bottom), px
    out : (width, height), px
    resized : (width, height) or None
    flip : bool
    jitter : tuple of (enhancement, factor)
        In order of application; applied to the whole resized image if `resized`, else to the crop.
    fill : (R, G, B)
    """

    box: tuple[int, int, int, int]
    out: tuple[int, int]
    resized: tuple[int, int] | None = None
    flip: bool = False
    jitter: tuple[tuple[str, float], ...] = ()
    fill: tuple[int, int, int] = (0, 0, 0)


def plan_crops(view: View, width: int, height: int, content: bytes) -> list[Crop]:
    """The geometry of every crop of one image, in the order of the cache's axis V.

    Parameters
    ----------
    width, height : int
        Size of the upright image, px.
    content : bytes
        sha256 of the file: the random kinds draw from it.

    Returns
    -------
    list of Crop, length ``view.count``
    """
    if view.kind == "train":
        return [_draw_train(view, width, height, Draws(view.seed, content, v)) for v in range(view.draws)]
    if view.kind == "whole":
        size = whole_size(width, height, view.res)
        return [Crop((0, 0, *size), size, resized=size)]
    resized = resized_size(width, height, view)
    if view.kind == "val_train":
        return [_draw_shifted(view, resized, Draws(view.seed, content, v)) for v in range(view.draws)]
    center = _center_box(resized, view.res)
    if view.kind == "center":
        return [Crop(center, (view.res, view.res), resized, fill=view.fill)]
    boxes = [*_corner_boxes(resized, view.res), center]
    five = [Crop(box, (view.res, view.res), resized) for box in boxes]
    if view.kind == "five":
        return five
    # TenCrop takes the corners of the mirrored image: the mirror's left corners are ours on the right.
    mirrored = [boxes[i] for i in (1, 0, 3, 2)] + [_mirror(_center_box(resized, view.res), resized[0])]
    return five + [Crop(box, (view.res, view.res), resized, flip=True) for box in mirrored]


def draw_box(width: int, height: int, draws: Draws) -> tuple[int, int, int, int]:
    """RandomResizedCrop's (left, top, right, bottom), px, with scale (.08, 1) and ratio (3/4, 4/3)."""
    for _ in range(10):
        area = width * height * draws.uniform(*SCALE)
        aspect = math.exp(draws.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top, left = draws.integer(height - h + 1), draws.integer(width - w + 1)
            return left, top, left + w, top + h
    w, h = width, height
    if width / height < RATIO[0]:
        h = round(w / RATIO[0])
    elif width / height > RATIO[1]:
        w = round(h * RATIO[1])
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def _draw_train(view: View, width: int, height: int, draws: Draws) -> Crop:
    box = draw_box(width, height, draws)
    flip = draws.uniform() < 0.5
    return Crop(box, (view.res, view.res), flip=flip, jitter=_draw_jitter(JITTER[view.jitter], draws))


def _draw_shifted(view: View, resized: tuple[int, int], draws: Draws) -> Crop:
    flip = draws.uniform() < 0.5
    jitter = _draw_jitter(JITTER["val_train"], draws)
    left, top, right, bottom = _center_box(resized, view.res)
    shift = draws.integer(left + 1) if left > 0 else 0
    shift = shift if draws.uniform() < 0.5 else -shift
    box = (left + shift, top, right + shift, bottom)
    # FixRes flips first and then shifts; cutting the mirrored box and flipping it is the same.
    return Crop(_mirror(box, resized[0]) if flip else box, (view.res, view.res), resized, flip, jitter, view.fill)


def _draw_jitter(strength: float, draws: Draws) -> tuple[tuple[str, float], ...]:
    if not strength:
        return ()
    steps = [(name, draws.uniform(1 - strength, 1 + strength)) for name in ("Brightness", "Contrast", "Color")]
    for i in (2, 1):
        j = draws.integer(i + 1)
        steps[i], steps[j] = steps[j], steps[i]
    return tuple(steps)


def _center_box(size: tuple[int, int], res: int) -> tuple[int, int, int, int]:
    left, top = (_center_offset(side, res) for side in size)
    return left, top, left + res, top + res


def _center_offset(side: int, res: int) -> int:
    # torchvision's CenterCrop pads a short side first, with the smaller half in front.
    return round((side - res) / 2) if side >= res else -((res - side) // 2)


def _corner_boxes(size: tuple[int, int], res: int) -> list[tuple[int, int, int, int]]:
    right, bottom = size[0] - res, size[1] - res
    return [(x, y, x + res, y + res) for x, y in ((0, 0), (right, 0), (0, bottom), (right, bottom))]


def _mirror(box: tuple[int, int, int, int], width: int) -> tuple[int, int, int, int]:
    return width - box[2], box[1], width - box[0], box[3]


def render_crop(
    image: Image.Image, crop: Crop, view: View, resized: Image.Image | None = None
) -> NDArray[np.uint8]:
    """The pixels of one crop: those of torchvision's transforms on Pillow images, or on uint8 tensors.

    Parameters
    ----------
    image : PIL image, RGB
    crop : Crop
    view : View
        Says how to resize.
    resized : PIL image, optional
        The image already resized to ``crop.resized``, which several crops may share.

    Returns
    -------
    uint8 array, shape (height, width, 3), RGB
    """
    if crop.resized is None:
        cut = _enhance(_resize(image.crop(crop.box), crop.out, view), crop.jitter)
    else:
        # All of the image, though the crop shows three quarters of it: resizing only these is .26 ms faster of
        # 12, and no longer exact, since Pillow keeps a box in float32 and may turn its two passes round.
        resized = resized or _resize(image, crop.resized, view)
        cut = _cut(_enhance(resized, crop.jitter), crop)
    if crop.flip:
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return read_pixels(cut)


def _cut(image: Image.Image, crop: Crop) -> Image.Image:
    left, top, right, bottom = crop.box
    if not any(crop.fill) or (left >= 0 and top >= 0 and right <= image.width and bottom <= image.height):
        return image.crop(crop.box)
    canvas = Image.new("RGB", crop.out, crop.fill)
    canvas.paste(image.convert("RGB"), (-left, -top))
    return canvas


def _resize(image: Image.Image, size: tuple[int, int], view: View) -> Image.Image:
    return resize_image(image, size, view.interpolation, view.resampler)


def _enhance(image: Image.Image, jitter: tuple[tuple[str, float], ...]) -> Image.Image:
    if jitter and image.mode != "RGB":
        image = image.convert("RGB")  # a fourth byte would be enhanced, too
    for name, factor in jitter:
        image = getattr(ImageEnhance, name)(image).enhance(factor)
    return image


def render_view(image: Image.Image, view: View, content: bytes) -> NDArray[np.uint8]:
    """Every crop of one image in one view.

    Returns
    -------
    uint8 array, shape (V, res, res, 3), RGB (``whole``: shape (1, height, width, 3))
    """
    crops = plan_crops(view, image.width, image.height, content)
    size = crops[0].resized  # one size for all crops of a view
    resized = _resize(image, size, view) if size else None
    pixels = [render_crop(image, crop, view, resized) for crop in crops]
    return np.stack(pixels) if len(pixels) > 1 else pixels[0][None]
