"""What README shows of photographs that are not as they should be: ``python -m tests.altered SHARED WHAT OUT``.

WHAT is ``flipped``, a table of the dogs with a twentieth of the labels wrong at random; ``blurred``, a folder of
their test images blurred by 2 px; or ``new``, two dogs and two photographs of other things.
"""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

_SHARE, _BLUR_PX = 0.05, 2
_NEW = (
    "data/dogs/test/n02085620-Chihuahua/n02085620_11337.jpg",
    "data/dogs/test/n02085620-Chihuahua/n02085620_3826.jpg",
    "data/flowers/test/tulip/116343334_9cb4acdc57_n.jpg",
    "data/odd/huge_2848x2136_n07697100_25048.jpg",
)


def write_flipped(shared: Path, out: Path) -> None:
    """A table ``path,label,split,breed``: the last has the labels as they were."""
    root = shared / "data/dogs"
    files = sorted(file for split in ("train", "val", "test") for file in (root / split).glob("*/*.jpg"))
    rng, breeds = np.random.default_rng(0), sorted({file.parent.name for file in files})
    wrong = set(rng.choice(len(files), round(_SHARE * len(files)), replace=False).tolist())
    with out.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(["path", "label", "split", "breed"])
        for i, file in enumerate(files):
            breed = file.parent.name
            label = str(rng.choice([other for other in breeds if other != breed])) if i in wrong else breed
            writer.writerow([str(file.relative_to(root)), label, file.parts[-3], breed])


def write_blurred(shared: Path, out: Path) -> None:
    """The test images, without their classes."""
    out.mkdir()
    for file in sorted((shared / "data/dogs/test").glob("*/*.jpg")):
        with Image.open(file) as image:
            image.convert("RGB").filter(ImageFilter.GaussianBlur(_BLUR_PX)).save(out / file.name, quality=95)


def copy_new(shared: Path, out: Path) -> None:
    """Photographs that the head of the dogs has not learnt from."""
    out.mkdir()
    for name in _NEW:
        shutil.copy(shared / name, out / Path(name).name.removeprefix("huge_2848x2136_"))


if __name__ == "__main__":
    {"flipped": write_flipped, "blurred": write_blurred, "new": copy_new}[sys.argv[2]](
        Path(sys.argv[1]), Path(sys.argv[3])
    )
