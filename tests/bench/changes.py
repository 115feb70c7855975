"""Copies of photographs as data sets have them: saved again, resized, mirrored, recoloured, cropped, written on."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def save_again(image: Image.Image, rng: np.random.Generator, low: int = 30, high: int = 95) -> Image.Image:
    """As JPEG at a quality drawn from [low, high]."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(rng.integers(low, high + 1)))
    return Image.open(file).convert("RGB")


def resize(low: float, high: float) -> Change:
    """To a share of its sides."""

    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        share = rng.uniform(low, high)
        size = [max(8, round(side * share)) for side in image.size]
        return image.resize(size, Image.Resampling.BICUBIC)

    return change


def squash(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """To another ratio of sides, up to a quarter off."""
    width, height = image.size
    return image.resize((round(width * rng.uniform(0.75, 1.25)), height), Image.Resampling.BICUBIC)


def mirror(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Left for right."""
    return ImageOps.mirror(image)


def enhance(kind: type, low: float, high: float) -> Change:
    """Brightness, contrast or saturation times a factor."""
    return lambda image, rng: kind(image).enhance(rng.uniform(low, high))


def turn_hue(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Hue turned by up to 60 degrees."""
    hue, *rest = image.convert("HSV").split()
    step = int(rng.integers(10, 43)) * int(rng.choice((-1, 1)))
    turned = hue.point([(value + step) % 256 for value in range(256)])
    return Image.merge("HSV", (turned, *rest)).convert("RGB")


def grey(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Without colours."""
    return image.convert("L").convert("RGB")


def sepia(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """As old prints are."""
    return ImageOps.colorize(image.convert("L"), (40, 20, 0), (255, 240, 200))


def balance(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Each colour times a factor of its own."""
    pixels = np.asarray(image, np.float32) * rng.uniform(0.75, 1.25, 3)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def bend(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Another gamma, .6 to 1.6."""
    gamma = float(np.exp(rng.uniform(np.log(0.6), np.log(1.6))))
    return image.point([round(255 * (value / 255) ** gamma) for value in range(256)] * 3)


def crop(low: float, high: float) -> Change:
    """A share of the width and of the height gone, from wherever."""

    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = image.size
        off = rng.uniform(low, high, 2)
        left, top = off * rng.uniform(0, 1, 2)
        return image.crop(
            (
                round(width * left),
                round(height * top),
                round(width * (1 - off[0] + left)),
                round(height * (1 - off[1] + top)),
            )
        )

    return change


def crop_side(low: float, high: float) -> Change:
    """A share gone from one side alone."""

    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = image.size
        off = [0.0] * 4
        off[int(rng.integers(4))] = rng.uniform(low, high)
        box = width * off[0], height * off[1], width * (1 - off[2]), height * (1 - off[3])
        return image.crop(tuple(map(round, box)))

    return change


def border(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A frame of 2 to 8 % of the width in one colour."""
    colour = tuple(rng.integers(0, 256, 3).tolist()) if rng.random() < 0.3 else int(rng.choice((0, 255)))
    colour = (colour,) * 3 if isinstance(colour, int) else colour
    return ImageOps.expand(image, round(image.width * rng.uniform(0.02, 0.08)), colour)


def letterbox(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """On black or white, as a square."""
    side = max(image.size)
    return ImageOps.pad(image, (side, side), color=(int(rng.choice((0, 255))),) * 3)


def caption(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A bar of text below, on the photograph."""
    image = image.copy()
    draw, top = ImageDraw.Draw(image), round(image.height * rng.uniform(0.86, 0.93))
    draw.rectangle((0, top, image.width, image.height), fill=(0, 0, 0) if rng.random() < 0.5 else (255, 255, 255))
    draw.text(
        (8, top + 2),
        "A good dog, photographed at the show",
        fill=(200, 60, 60),
        font_size=max(8, image.height // 18),
    )
    return image


def watermark(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Large half transparent text across the middle."""
    over = Image.new("RGBA", image.size)
    size = max(10, image.height // 6)
    ImageDraw.Draw(over).text(
        (image.width * 0.05, image.height * rng.uniform(0.3, 0.6)),
        "SAMPLE photo",
        fill=(255, 255, 255, 130),
        font_size=size,
    )
    return Image.alpha_composite(image.convert("RGBA"), over).convert("RGB")


def rotate(low: float, high: float) -> Change:
    """By some degrees, the corners cut off."""

    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        angle = rng.uniform(low, high) * rng.choice((-1, 1))
        turned = image.rotate(angle, Image.Resampling.BICUBIC)
        lost = np.sin(np.radians(abs(angle)))
        dx, dy = round(image.height * lost / 2) + 1, round(image.width * lost / 2) + 1
        return turned.crop((dx, dy, image.width - dx, image.height - dy))

    return change


def move(low: float, high: float) -> Change:
    """The same scene a moment later: the camera a little aside, what is in the middle moved and bent."""

    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        from scipy.ndimage import gaussian_filter, map_coordinates

        pixels = np.asarray(crop(0.005, 0.03)(image, rng), np.float32)
        height, width = pixels.shape[:2]
        y, x = np.mgrid[:height, :width].astype(np.float32)
        middle = np.exp(-(((y / height - 0.55) / 0.3) ** 2 + ((x / width - 0.5) / 0.3) ** 2) * 1.5)
        amount = rng.uniform(low, high) * max(width, height)
        field = []
        for _ in range(2):
            rough = gaussian_filter(rng.standard_normal((24, 24)), 3)
            rough = rough / rough.std() * 0.5 + rng.choice((-1, 1)) * 0.7
            big = np.asarray(
                Image.fromarray(rough.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
            )
            field.append(big * middle * amount)
        moved = [
            map_coordinates(pixels[..., c], (y + field[0], x + field[1]), order=1, mode="nearest") for c in range(3)
        ]
        return Image.fromarray(np.stack(moved, -1).clip(0, 255).astype(np.uint8))

    return change


def chain(*changes: Change) -> Change:
    """One after another."""

    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        for one in changes:
            image = one(image, rng)
        return image

    return change


CHANGES: dict[str, Change] = {
    "saved again, q 60-95": lambda image, rng: save_again(image, rng, 60, 95),
    "saved again, q 30-60": lambda image, rng: save_again(image, rng, 30, 60),
    "resized .3-.6": resize(0.3, 0.6),
    "resized .6-2": resize(0.6, 2),
    "squashed": squash,
    "mirrored": mirror,
    "brightness": enhance(ImageEnhance.Brightness, 0.6, 1.5),
    "contrast": enhance(ImageEnhance.Contrast, 0.6, 1.6),
    "saturation": enhance(ImageEnhance.Color, 0, 2),
    "hue": turn_hue,
    "grey": grey,
    "sepia": sepia,
    "white balance": balance,
    "gamma": bend,
    "cropped 2-5 %": crop(0.02, 0.05),
    "cropped 5-10 %": crop(0.05, 0.1),
    "cropped 10-20 %": crop(0.1, 0.2),
    "cropped 20-30 %": crop(0.2, 0.3),
    "one side 5-15 %": crop_side(0.05, 0.15),
    "one side 15-30 %": crop_side(0.15, 0.3),
    "bordered": border,
    "letterboxed": letterbox,
    "captioned": caption,
    "watermarked": watermark,
    "rotated 1-3 deg": rotate(1, 3),
    "mirrored, contrast, cropped 10 %": chain(mirror, enhance(ImageEnhance.Contrast, 0.7, 1.4), crop(0.08, 0.12)),
    "mirrored, grey": chain(mirror, grey),
    "cropped 5-15 %, resized .4-.8, gamma": chain(crop(0.05, 0.15), resize(0.4, 0.8), bend),
    "moved 2-4 %": move(0.02, 0.04),
    "moved 4-8 %": move(0.04, 0.08),
}
