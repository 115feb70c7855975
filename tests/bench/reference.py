"""The loop everyone writes: ``python -m tests.bench.reference FOLDER TRUNK tuned|default RES:IMAGES...``.

torchvision's ImageFolder and transforms, a DataLoader with worker processes, the timm model in eager float32.
"""

from __future__ import annotations

import json
import sys
import time

import torch
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import ImageFolder

from fixgrid.cache.view import resize_side
from fixgrid.embed.trunks.trunk import Trunk, load_trunk

from .facts import count_cores

BATCH = 32


def time_loop(trunk: Trunk, folder: str, res: int, images: int) -> float:
    """Seconds per image until the last feature; imports, the model and starting workers are not counted."""
    preprocess = trunk.preprocess
    steps = [
        transforms.Resize(resize_side(res, preprocess.crop_ratio), transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(res),
        transforms.ToTensor(),
        transforms.Normalize([float(x) for x in preprocess.mean], [float(x) for x in preprocess.std]),
    ]
    photos = ImageFolder(folder, transforms.Compose(steps))
    spread = [i * len(photos) // images for i in range(images)]  # files come sorted by class
    loader = DataLoader(Subset(photos, spread), batch_size=BATCH, num_workers=count_cores())
    features = []
    batches = iter(loader)  # starts the worker processes
    began = time.perf_counter()
    with torch.no_grad():
        for batch, _ in batches:
            features.append(trunk.module(batch))
    return (time.perf_counter() - began) / len(torch.cat(features))


def main(folder: str, name: str, memory: str, *sizes: str) -> None:
    """Every resolution in turn, as its users run it."""
    if memory == "tuned":
        from fixgrid.embed.backends.torch_backend import reuse_large_blocks

        reuse_large_blocks()
    trunk = load_trunk(name)
    pairs = [(int(res), int(images)) for res, _, images in (size.partition(":") for size in sizes)]
    print(json.dumps({str(res): time_loop(trunk, folder, res, images) for res, images in pairs}))


if __name__ == "__main__":
    main(*sys.argv[1:])
