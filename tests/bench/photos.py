"""The photographs that everything in one run is measured on."""

from __future__ import annotations

import shutil
from itertools import chain, zip_longest
from pathlib import Path

from fixgrid.embed.sources.sample import write_sample

DOGS = Path("../shared/data/dogs")
SUFFIXES = (".jpg", ".jpeg", ".png")


def list_photos(data: Path | None, scratch: Path) -> tuple[str, list[Path]]:
    """What the photographs are, and their files, the classes taking turns so that every prefix holds many.

    Parameters
    ----------
    data : Path or None
        Folder whose files lie in a folder per class, at any depth; without one, the dogs beside the project or
        the built-in digits.
    scratch : Path
        Where the digits are written.
    """
    folder = data or (DOGS if DOGS.is_dir() else write_sample(scratch / "sample"))
    classes: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            classes.setdefault(path.parent.name, []).append(path)
    turns = chain.from_iterable(zip_longest(*(classes[name] for name in sorted(classes))))
    return str(folder), [path for path in turns if path]


def lay_out(photos: list[Path], n: int, folder: Path) -> Path:
    """An image folder with `n` training photographs, and one each for the splits that must not be empty."""
    train = photos[:n]
    known = {path.parent.name for path in train}
    others = [path for path in photos[n:] if path.parent.name in known][:2]
    for split, files in (("train", train), ("val", others[:1]), ("test", others[1:])):
        for path in files:
            place = folder / split / path.parent.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    return folder
