"""``python -m tests.bench.shards N [--classes 1000] [--dealt]``: many tiny JPEGs in tar shards, from plan to grid.

Images are made up: 16 x 16 px, of a colour of their class with noise, so that a head has something to learn; a
hundred shards with the class beside each image, as WebDataset has them. Every command is a process of its own;
printed are its seconds, the most that it and all of its children held at once, and how much of that comes with a
row: what it is more than of 20,000 rows.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .children import measure_family

SHARDS, SIDE, FEW = 100, 16, 20_000
TRUNK = """
import torch
from torch import nn


def build(num_classes=0):
    torch.manual_seed(0)
    seen = nn.Conv2d(3, 16, 4, 4), nn.ReLU(), nn.Conv2d(16, 64, 2, 2), nn.ReLU()
    return nn.Sequential(*seen, nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
SPLITS = ("train",) * 8 + ("val", "test")


def write_shards(folder: Path, n: int, classes: int, dealt: bool) -> int:
    """All shards, a tenth of them val and a tenth test unless the splits are to be dealt; their bytes."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    colours = rng.integers(40, 216, (classes, 3))
    for shard in range(SHARDS):
        split = "all" if dealt else SPLITS[shard % 10]
        rows = range(n * shard // SHARDS, n * (shard + 1) // SHARDS)
        labels = rng.integers(0, classes, len(rows))
        noise = rng.integers(-40, 40, (len(rows), SIDE, SIDE, 3))
        pixels = (colours[labels][:, None, None] + noise).astype(np.uint8)
        with tarfile.open(folder / f"{split}-{shard:05d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for i, label in enumerate(labels.tolist()):
                file = io.BytesIO()
                Image.fromarray(pixels[i]).save(file, "JPEG")
                for suffix, data in (("jpg", file.getvalue()), ("cls", str(label).encode())):
                    member = tarfile.TarInfo(f"{rows[i]:08d}.{suffix}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    return sum(file.stat().st_size for file in folder.iterdir())


def run(words: Sequence[str]) -> tuple[float, int, str]:
    """Seconds and most bytes of a command with its children, and the last line that it says."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([sys.executable, "cli.py", *words], stdout=said, stderr=subprocess.STDOUT)
        peak = 0
        while process.poll() is None:
            peak = max(peak, measure_family(process.pid))
            time.sleep(0.2)
        said.seek(0)
        lines = said.read().strip().splitlines()
    if process.returncode:
        raise SystemExit("\n".join(lines[-20:]))
    return time.perf_counter() - began, peak, lines[-1]


def main() -> None:
    """Make the shards and run all commands on the first of them, then on all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.shards", description=__doc__)
    parser.add_argument("n", type=int)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--dealt", action="store_true")
    parser.add_argument("--folder", type=Path, help="where to put them; a temporary folder if not given")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=told.folder) as name:
        few: dict[str, int] = {}
        Path(name, "net.py").write_text(TRUNK)
        for n in dict.fromkeys((min(FEW, told.n), told.n)):
            size = write_shards(Path(name, f"{n}"), n, told.classes, told.dealt)
            print(f"{n:,} images in {SHARDS} shards of {size / 1e9:.2f} GB in all", flush=True)
            data, cache = ("--data", f"{name}/{n}"), ("--cache", f"{name}/cache-{n}")
            look = ("--trunk", f"{name}/net.py:build", "--res", f"{SIDE}", "--train-views", "0")
            commands = {
                "plan": ("plan", *data, *look, *cache),
                "extract": ("extract", *data, *look, *cache),
                "extract again": ("extract", *data, *look, *cache),
                "grid": ("grid", *data, *cache, "--heads", "ridge,lda,mean"),
            }
            for what, words in commands.items():
                seconds, peak, said = run(words)
                few.setdefault(what, peak)
                row = f"{(peak - few[what]) / (n - FEW):6.0f} bytes a row" if n > FEW else ""
                print(f"{what:<14} {seconds:8.1f} s {peak / 2**20:7.0f} MB {row}   {said[:90]}", flush=True)
            shutil.rmtree(f"{name}/{n}")


if __name__ == "__main__":
    main()
