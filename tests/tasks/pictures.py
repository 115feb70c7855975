"""Data sets of every task, made of the photographs of flowers beside the project: pictures and a table each."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

SPLITS = {"train": 300, "val": 100, "test": 100}
SIDE = 192  # px
BLUR = {"sharp": 0.0, "soft": 1.0, "blurred": 2.0, "dim": 4.0, "fog": 8.0}  # radius in px of SIDE, in this order


def list_photos(flowers: Path, split: str) -> list[Path]:
    """Photographs of one split, in the order of names."""
    return sorted((flowers / split).glob("*/*.jpg"))


def open_square(photo: Path, side: int = SIDE) -> Image.Image:
    """The middle of a photograph as a square."""
    image = Image.open(photo).convert("RGB")
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    return image.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + edge, top + edge))


def make_montages(flowers: Path, folder: Path) -> Path:
    """Several labels: four photographs in one picture, of one to four classes."""
    rows = []
    for number, split, rng in _list_pictures():
        photos = list_photos(flowers, split)
        names = sorted({photo.parent.name for photo in photos})
        chosen = rng.choice(names, rng.integers(1, 4), replace=False).tolist()
        pool = [photo for photo in photos if photo.parent.name in chosen]
        first = [rng.choice([photo for photo in pool if photo.parent.name == name]) for name in chosen]
        taken = [*first, *rng.choice(pool, 4 - len(first)).tolist()]
        picture = Image.new("RGB", (SIDE, SIDE))
        for place, photo in enumerate(taken):
            picture.paste(open_square(photo, SIDE // 2), (place % 2 * SIDE // 2, place // 2 * SIDE // 2))
        rows.append([_save(picture, folder, number), "|".join(chosen), split])
    return _write_table(folder, ("path", "labels", "split"), rows)


def measure_brightness(flowers: Path, folder: Path) -> Path:
    """Numbers: the mean brightness of a photograph, 0 to 255."""
    rows = []
    for number, split, rng in _list_pictures():
        picture = open_square(rng.choice(list_photos(flowers, split)))
        brightness = float(np.asarray(picture.convert("L"), np.float64).mean())
        rows.append([_save(picture, folder, number), f"{brightness:.3f}", split])
    return _write_table(folder, ("path", "label", "split"), rows)


def blur_photos(flowers: Path, folder: Path) -> Path:
    """Ordered classes: a photograph blurred in five steps."""
    rows = []
    for number, split, rng in _list_pictures():
        step = list(BLUR)[number % len(BLUR)]
        picture = open_square(rng.choice(list_photos(flowers, split))).filter(ImageFilter.GaussianBlur(BLUR[step]))
        rows.append([_save(picture, folder, number), step, split])
    return _write_table(folder, ("path", "label", "split"), rows)


def take_bursts(flowers: Path, folder: Path) -> Path:
    """Groups: six pictures of one photograph each, which no split may part; no splits are given."""
    rng, rows = np.random.default_rng(4), []
    for photo in list_photos(flowers, "train")[::4]:
        for shot in range(6):
            picture = open_square(photo, SIDE + 24)
            left, top = rng.integers(0, 24, 2).tolist()
            name = f"{photo.stem}-{shot}"
            rows.append(
                [_save(picture.crop((left, top, left + SIDE, top + SIDE)), folder, name), photo.parent.name]
            )
            rows[-1].append(photo.stem)
    return _write_table(folder, ("path", "label", "group"), rows)


def _list_pictures() -> Sequence[tuple[int, str, np.random.Generator]]:
    splits = [split for split, n in SPLITS.items() for _ in range(n)]
    return [(number, split, np.random.default_rng([5, number])) for number, split in enumerate(splits)]


def _save(picture: Image.Image, folder: Path, name: int | str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name:>04}.jpg"
    picture.save(file, quality=92)
    return file.name


def _write_table(folder: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return folder / "labels.csv"
