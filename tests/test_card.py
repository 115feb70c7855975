from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fixgrid.cache.text import escape_markdown
from fixgrid.embed.trunks.library import open_library
from fixgrid.heads.artifact import SavedHead
from fixgrid.heads.calibration import Calibration
from fixgrid.heads.card import write_card
from fixgrid.heads.card_code import CardFacts
from fixgrid.heads.linear import LinearHead
from fixgrid.heads.uses import list_uses

HOSTILE = "![x](http://e.vil)\n# <b>`\x1b[2J"
FIGURES = {"val": {"value": 0.9, "low": 0.8, "high": 0.95}, "n_val": 10, "train_res": 128, "test_res": 224}


USES = list_uses("softmax")
LIBRARY_USES = {name: open_library(name).use for name in ("timm", "torchvision")}


def card(use: str = "onnx", *, leak: bool = True, **trunk: object) -> str:
    head = LinearHead(np.zeros((2, 3), np.float32), np.zeros(2, np.float32), 0.1)
    saved = SavedHead(
        head,
        (HOSTILE, "b"),
        trunk={"trunk": "t", "imagenet_labels": leak, "weights_sha256": "f" * 64, **trunk},
        view={"kind": "center", "res": 224},
        figures=FIGURES,
        data={"source": HOSTILE, "splits": {"test": {"images": 7, "rows_sha256": "e" * 64}}},
    )
    return write_card(
        saved,
        CardFacts({**USES, **LIBRARY_USES}[use], "x```\n.onnx", "x.json", "CC BY-NC 4.0", "Leak: seen.", "9.9"),
    )


@pytest.mark.parametrize("use", [*USES, *LIBRARY_USES])
def test_the_code_block_is_python(use: str) -> None:
    code = card(use).split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")


def test_hostile_names_add_no_markup() -> None:
    text = card()
    assert text.count("```") == 2
    outside = text.split("```")[0] + text.split("```")[2]
    assert "![x]" not in outside
    assert "<b>" not in outside.replace("\\<b\\>", "")
    assert "\x1b" not in text
    assert sum(line.startswith("# ") for line in text.splitlines()) == 1


def test_figures_licence_digests_and_leak_are_said() -> None:
    text = card()
    for said in (
        "90.00 % \\[80.00, 95.00\\] on 10 images",
        "CC BY-NC 4.0",
        "e" * 64,
        "f" * 64,
        "7 images",
        "**Leak",
    ):
        assert said in text
    assert "Leak" not in card(leak=False)


def test_a_recalibrated_trunk_names_the_one_it_stems_from() -> None:
    text = card(recalibrated={"weights_sha256": "d" * 64, "norm": "<b>2", "res": 320})
    assert f"{'f' * 64}: those of sha256 {'d' * 64}" in text
    assert "training images at 320 px" in text
    assert "<b>" not in text
    assert "replaced" not in card(recalibrated="no mapping")


def show_pixels(use: str = "onnx", crops_by: str = "pillow", decode: object = None, **view: object) -> str:
    """A card whose head sees a whole view."""
    spec = {"kind": "center", "res": 64, "interpolation": "bicubic", "mean": ["0"] * 3, "std": ["1"] * 3, **view}
    head = LinearHead(np.zeros((2, 3), np.float32), np.zeros(2, np.float32), 0.1)
    saved = SavedHead(head, ("a", "b"), trunk={"decode": decode or {}}, view=spec)
    return write_card(saved, CardFacts({**USES, **LIBRARY_USES}[use], "x.onnx", "x.json", "", "", "9", crops_by))


def test_the_pixels_are_made_where_they_are_used() -> None:
    for use, first in (("onnx", "pillow"), ("torch", "torchvision"), ("timm", "torchvision"), ("sklearn", "")):
        blocks = [block.split("```")[0] for block in show_pixels(use, first).split("```python\n")[1:]]
        for block in blocks:
            compile(block, "card", "exec")
        seen = blocks[0] if first else blocks[1]
        assert "def read_rgb(path)" in seen
        assert ("v2.CenterCrop(64)" in seen) == (first == "torchvision")
        assert ("v2.CenterCrop(64)" in blocks[-1]) == (first != "torchvision")
        assert ('crop(read_rgb("photo.jpg"))' in blocks[0]) == bool(first)


def test_what_is_not_exact_is_said() -> None:
    assert "1 or 2 of 255 off" in show_pixels(resampler="tensor")
    assert "antialias=True" in show_pixels(resampler="tensor").split("```")[1]
    assert "Image.Resampling" not in show_pixels(resampler="tensor")
    assert "Colours of 16 bits are refused" in show_pixels(decode={"16 bit": "0:4095"})
    assert "refused, for" not in show_pixels()
    assert "read_rgb" not in show_pixels("sklearn", "", kind="five")


def test_escaped_text_is_one_line() -> None:
    assert escape_markdown("a\n|b|_c_") == "a\\\\n\\|b\\|\\_c\\_"


def test_the_images_that_it_was_trained_on_are_said() -> None:
    head = LinearHead(np.zeros((2, 3), np.float32), np.zeros(2, np.float32), 0.1)
    trained = {"train": {"images": 1000, "dropped": 3}, "val": {"images": 45}}
    text = write_card(SavedHead(head, ("a", "b"), trained_on=trained), CardFacts("", "x", "y", "", "", "9"))
    assert "Trained on: 1,000 images of train and 45 of val, 3 dropped that val or test holds as well" in text
    assert "Trained on" not in card()


def keep_doubts(task: str, **figures: dict[str, float]) -> str:
    head = LinearHead(np.zeros((2, 3), np.float32), np.zeros(2, np.float32), 0.1)
    known = Calibration(
        np.linspace(0, 1, 10, dtype=np.float32), np.zeros(10, np.float32), np.ones((2, 3), np.float32)
    )
    measured = {**FIGURES, "metric": {"regression": "r2"}.get(task, "accuracy"), **figures}
    saved = SavedHead(head, ("a", "b"), view={"kind": "center", "res": 224}, figures=measured, task=task)
    facts = CardFacts("FILE", "x.onnx", "x.json", "", "", "9.9")
    assert "--unknown" not in write_card(saved, facts)
    return write_card(replace(saved, calibration=known), facts)


def test_what_the_head_does_not_know_is_said() -> None:
    share = {"value": 0.91, "low": 0.9, "high": 0.92}
    size = {"value": 1.23, "low": 1.1, "high": 1.3}
    text = keep_doubts("multiclass", coverage_90=share, set_size_90=size, unknown_5=share)
    limit = np.exp(-1)  # the tenth of ten
    assert f"1.23 classes on average: all with a probability of {limit:.3g} or more, and the most" in text
    assert "Called unknown at 5 %: 91.00 %" in text
    assert "--unknown" in text
    assert "1 either way" in keep_doubts("regression", coverage_90=share)
    between = "the most probable one, and all between these"
    assert between in keep_doubts("ordinal", coverage_90=share, set_size_90=size)
    assert between not in text


def test_a_head_of_folds_was_not_chosen_on_val() -> None:
    head = LinearHead(np.zeros((2, 3), np.float32), np.zeros(2, np.float32), 0.1)
    folds = {"n": 3, "seed": 0, "repeats": 1, "images": "f" * 64, "of": ["train", "val"]}
    kept = SavedHead(
        head,
        ("a", "b"),
        figures={**FIGURES, "n_val": 68, "folds": folds},
        task="multilabel",
        thresholds=np.full(2, 0.4, np.float32),
    )
    text = write_card(kept, CardFacts("FILE", "x", "y", "", "", "9"))
    judges = "what 3 folds of train and val held out in turn"
    assert f"Top-1 on {judges}: 90.00 % \\[80.00, 95.00\\] on 68 images, chosen on it" in text
    assert f"Temperature: 1.0000, fitted on {judges}; it" in text
    assert f"fitted on {judges} for each" in text
    assert f"Both were chosen on {judges}; test had no say." in text
    assert "on val" not in text
    often = replace(kept, figures={**kept.figures, "folds": {**folds, "repeats": 4}})
    assert f"{judges}, dealt 4 times; test" in write_card(often, CardFacts("FILE", "x", "y", "", "", "9"))
    assert "Both were chosen on val; test" in card()
