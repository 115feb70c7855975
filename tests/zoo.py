"""Generated photographs and data sets: small, seeded, and as odd as a test asks for."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from fixgrid.cache.rows import Manifest, Rows


def draw_photo(width: int, height: int, seed: int) -> Image.Image:
    """A smooth random RGB image: no two seeds look alike, and resampling has something to do."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), "RGB")
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """A whole file of that format."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def write_photos(folder: Path, n: int, *, seed: int = 0) -> None:
    """`n` PNG files of 24 x 20 px in two class folders."""
    for i in range(n):
        path = folder / "ab"[i % 2] / f"{i:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(draw_photo(24, 20, seed * 10_000 + i)))


def touch(folder: Path, *names: str) -> Path:
    """Empty files, and folders where a name ends in ``/``: a listing opens none."""
    for name in names:
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.touch()
    return folder


def write_splits(folder: Path) -> None:
    """Twelve of them in each of ``train``, ``val`` and ``test``, all different."""
    for seed, split in enumerate(("train", "val", "test")):
        write_photos(folder / split, 12, seed=seed)


def list_rows(root: Path, folder: Path | None = None) -> Rows:
    """The rows of every file below a folder, in order of name; the class is the parent folder."""
    files = sorted(path for path in (folder or root).rglob("*") if path.is_file())
    names = sorted({path.parent.name for path in files})
    data = [path.read_bytes() for path in files]
    return Rows(
        paths=tuple(os.fsencode(path.relative_to(root)) for path in files),
        sizes=np.array([len(item) for item in data], dtype=np.int64),
        sha256=np.frombuffer(b"".join(hashlib.sha256(item).digest() for item in data), np.uint8).reshape(-1, 32),
        labels=np.array([names.index(path.parent.name) for path in files], dtype=np.int64),
    )


def list_manifest(root: Path, splits: Mapping[str, str] | None = None) -> Manifest:
    """A manifest of a folder: all of it as train, or the given folder of each split."""
    rows = {split: list_rows(root, root / name) for split, name in (splits or {"train": "."}).items()}
    return Manifest(str(root), str(root), ("a", "b"), rows)
