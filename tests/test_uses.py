"""The Python of model cards, taken from the cards that export wrote and run as a user would, against predict."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import venv
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file
from test_crops import ODD
from zoo import write_splits

import fixgrid
from fixgrid.embed.trunks.trunk import load_trunk
from fixgrid.heads.artifact import SavedHead, load_head, save_head
from fixgrid.heads.linear import LinearHead

ALONE = ("onnxruntime", "numpy", "pillow")
"""What an ONNX file's users need to have."""

TRUNK = "timm:test_efficientnet"
IMAGES = ("JPEG", "150 x 27", "9 x 13", "EXIF 6", "CMYK", "RGBA", "P, transparent", "16-bit grey")

# Runs a card's Python once for each image, as if it were the file that the card names.
DRIVER = """
import contextlib, io, pathlib, shutil, sys

for missing in ("torch", "torchvision", "fixgrid", "sklearn"):
    try:
        __import__(missing)
    except ImportError:
        continue
    sys.exit(f"{missing} is here")
code = compile(pathlib.Path("use.py").read_text(), "use.py", "exec")
for image in sorted(pathlib.Path("images").iterdir()):
    shutil.copy(image, "photo.jpg")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(code, {})
    print(repr(said.getvalue()))
"""
HEADS: dict[str, dict[str, Any]] = {
    "classes": {},
    "order": {"task": "ordinal", "classes": ("low", "mid", "`high`\n")},
    "labels": {"task": "multilabel", "thresholds": np.float32([0.3, 0.5, 0.6])},
    "number": {"task": "regression", "classes": ("age",)},
    "squashed": {"view": {"crop_mode": "squash", "interpolation": "bilinear"}},
    "framed": {"view": {"crop_mode": "border", "crop_ratio": "1.0", "res": 33}},
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Heads of every kind on one trunk, and odd images to see."""
    folder = tmp_path_factory.mktemp("work")
    write_splits(folder / "data")
    weights = folder / "weights.safetensors"
    save_file(load_trunk(TRUNK, random_seed=0).module.state_dict(), weights)
    fixgrid.extract(
        folder / "data", trunk=TRUNK, weights=weights, res=32, train_views=0, cache=folder / "cache", workers=1
    )
    fixgrid.fit_head(cache=folder / "cache", out=folder / "fitted")
    saved, X = load_head(folder / "fitted"), fixgrid.open(folder / "cache").load("train", 32).X
    for name, fields in HEADS.items():
        save_head(folder / name, vary(saved, X, **fields))
    (folder / "images").mkdir()
    for name in IMAGES:
        (folder / "images" / name).write_bytes(ODD[name])
    return folder


def vary(
    saved: SavedHead, X: np.ndarray, *, classes: tuple[str, ...] = ("a", "b", "c"), **fields: Any
) -> SavedHead:
    """Such a head with coefficients that tell pictures apart, though the trunk is random."""
    coef = np.random.default_rng(len(classes)).standard_normal((len(classes), X.shape[1]))
    scores = X @ coef.T
    coef /= scores.std(0)[:, None]
    head = LinearHead(coef.astype(np.float32), (-scores.mean(0) / scores.std(0)).astype(np.float32), 1.0)
    view = {**saved.view, **fields.pop("view", {})}
    return replace(saved, head=head, classes=classes, temperature=1.5, view=view, **fields)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has `ALONE`, what these need, and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    waiting, found = list(ALONE), dict[str, Any]()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = distribution(name)
            needed = [line for line in found[name].requires or () if "extra ==" not in line]
            waiting += [re.split(r"[^\w.-]", line)[0] for line in needed]
    (folder / "packages").mkdir()
    for one in found.values():
        for top in {file.parts[0] for file in one.files if file.parts[0] not in ("..", "__pycache__")}:
            (folder / "packages" / top).symlink_to(one.locate_file(top))
    venv.create(folder / "venv", symlinks=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "packages.pth").write_text(f"{folder / 'packages'}\n")
    return folder / "venv" / "bin" / "python"


def take_code(card: Path) -> str:
    """The Python under "How to use it"."""
    return card.read_text().split("## How to use it\n\n```python\n")[1].split("```")[0]


def answer(python: Path | str, folder: Path, code: str, driver: str = DRIVER) -> list[list[tuple[str, float]]]:
    """What a card's Python prints of each image: names with their values."""
    (folder / "use.py").write_text(code)
    done = subprocess.run([str(python), "-c", driver], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = [ast.literal_eval(line) for line in done.stdout.splitlines()]
    return [[(name, float(value)) for name, value in re.findall(r"(?s)(.*?) (\S+)\n", text)] for text in said]


def ask_predict(work: Path, name: str) -> list[list[tuple[str, float]]]:
    images = sorted((work / "images").iterdir())
    found = fixgrid.predict(work / name, images, cache=work / "cache", top=3, workers=1).predictions
    assert [one.status for one in found] == ["ok"] * len(images)
    if HEADS[name].get("task") == "multilabel":
        return [sorted(pair for pair in one.top if pair[0] in one.labels) for one in found]
    return [list(one.top[:1]) for one in found]


def expect_same(found: list[list[tuple[str, float]]], wanted: list[list[tuple[str, float]]]) -> None:
    assert [[name for name, _ in one] for one in found] == [[name for name, _ in one] for one in wanted]
    values = [[value for one in answers for _, value in one] for answers in (found, wanted)]
    np.testing.assert_allclose(*values, atol=1e-5)
    assert np.ptp(values[1]) > 0.1  # the images are told apart


@pytest.mark.parametrize("name", HEADS)
def test_an_onnx_files_card_answers_as_predict_where_nothing_else_is_installed(
    work: Path, alone: Path, name: str
) -> None:
    done = fixgrid.export(work / name, "onnx", work / f"{name}-net.onnx", cache=work / "cache")
    expect_same(answer(alone, work, take_code(done.card)), ask_predict(work, name))


@pytest.mark.parametrize("to", ["torch", "safetensors"])
def test_the_cards_of_torchs_files_answer_as_predict(work: Path, to: str) -> None:
    done = fixgrid.export(work / "classes", to, work / f"classes-{to}", cache=work / "cache")
    code, here = take_code(done.card), DRIVER.replace('("torch", "torchvision", "fixgrid", "sklearn")', "()")
    assert "from torchvision.transforms import v2" in code
    here = here.replace('("images").iterdir())', '("images").iterdir())[:3]')  # reading a program takes a second
    expect_same(answer(sys.executable, work, code, here), ask_predict(work, "classes")[:3])
