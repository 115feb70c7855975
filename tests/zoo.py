"""Generated photographs and data sets: small, seeded, and as odd as a test asks for."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zlib
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


def encode_tiff(
    pixels: np.ndarray, photometric: int = 1, *, number: int = 1, planar: bool = False, packed: bool = False
) -> bytes:
    """A TIFF of (height, width, bands), in the byte order of its dtype, as Pillow cannot write it.

    ``number`` is its SampleFormat; ``planar`` lays its bands one after another, ``packed`` compresses it.
    """
    height, width, bands = pixels.shape
    order, bits = ">" if pixels.dtype.byteorder == ">" else "<", 8 * pixels.itemsize
    strips = [
        (np.moveaxis(pixels, 2, 0)[band] if planar else pixels).tobytes() for band in range(bands if planar else 1)
    ]
    strips = [zlib.compress(strip) for strip in strips] if packed else strips
    tags = {
        256: ("I", [width]), 257: ("I", [height]), 258: ("H", [bits] * bands), 259: ("H", [8 if packed else 1]),
        262: ("H", [photometric]), 273: ("I", [0] * len(strips)), 277: ("H", [bands]), 278: ("I", [height]),
        279: ("I", [len(strip) for strip in strips]), 284: ("H", [1 + planar]), 339: ("H", [number] * bands),
    }  # fmt: skip
    end = 8 + 2 + 12 * len(tags) + 4
    room = end + sum(len(v) * struct.calcsize(k) for k, v in tags.values() if len(v) * struct.calcsize(k) > 4)
    tags[273] = "I", [room + sum(map(len, strips[:i])) for i in range(len(strips))]
    head, beside = struct.pack(f"{order}2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(tags)), b""
    for tag, (kind, values) in tags.items():
        value = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(value) > 4:
            value, beside = struct.pack(f"{order}I", end + len(beside)), beside + value
        head += struct.pack(f"{order}HHI", tag, {"H": 3, "I": 4}[kind], len(values)) + value.ljust(4, b"\0")
    return head + bytes(4) + beside + b"".join(strips)


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
