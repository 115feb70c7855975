"""How pixels are prepared, from the option to the head in use: what is said of it, and that nothing loses it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from stub import SilentWatcher
from torch import nn
from zoo import write_splits

import fixgrid
from fixgrid import FixgridError, OwnTrunk
from fixgrid.cache.view import View
from fixgrid.embed.backends.probe import run_eager
from fixgrid.embed.decode import decode_rgb
from fixgrid.embed.trunks.trunk import load_trunk
from fixgrid.embed.views import render_view

LITE = "efficientnet_lite0"
GIVEN = {"mean": 0.25, "std": "0.5,0.25,0.5", "interpolation": "bilinear", "crop_ratio": 1, "crop_mode": "squash"}
HERE = {"device": "cpu", "workers": 1}


class Watching(SilentWatcher):
    """Keeps what was settled, too."""

    def settle(self, **settings: tuple[object, str]) -> None:
        self.settled = settings


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_splits(tmp_path / "data")
    return tmp_path / "data"


def plan(data: Path, **asked: object) -> tuple[dict[str, object], Watching]:
    """The line of the plan, and who was told."""
    watcher = Watching()
    found = fixgrid.plan(data, res=32, device="cpu", cache=data.parent / "features", watcher=watcher, **asked)
    return {item.what: item for item in found.items}["preprocessing"]._asdict(), watcher


def test_a_plan_says_what_is_used_and_whose_word_it_is(data: Path) -> None:
    line, watcher = plan(data)
    whose = f"fixgrid's metadata of {LITE}"
    words = "mean 0.5; std 0.5; bicubic; crop ratio 0.875; center crop"
    assert (line["value"], line["unit"], line["note"]) == ("center", "crop", f"{words} ({whose})")
    assert watcher.settled["preprocessing"] == (words, whose)
    assert watcher.notices == []
    line, watcher = plan(data, mean=0.25, crop_mode="squash")
    assert line["value"] == "squash"
    assert line["note"] == (
        f"mean 0.25 (your --mean); std 0.5; bicubic; crop ratio 0.875 ({whose}); squash crop (your --crop-mode)"
    )
    assert watcher.settled["preprocessing"][1] == f"your --mean, --crop-mode; {whose}"


def test_of_a_module_it_is_what_was_given_with_it_or_a_default(data: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    line, _ = plan(data, trunk=OwnTrunk(module, crop_ratio=1.0, std=(1, 1, 1)), std=0.5)
    assert line["note"] == (
        "mean 0.485, 0.456, 0.406 (the default of a module); std 0.5 (your --std); "
        "bilinear (the default of a module); crop ratio 1.0 (given with the module); "
        "center crop (the default of a module)"
    )


def test_weights_of_a_file_are_said_to_be_prepared_as_those_of_the_name(data: Path) -> None:
    from safetensors.torch import save_file

    weights = data.parent / "w.safetensors"
    save_file(load_trunk(LITE, random_seed=0).module.state_dict(), weights)
    line, watcher = plan(data, trunk=LITE, weights=weights, mean=0.25)
    assert line["note"].endswith(f"(fixgrid's metadata of {LITE}, assumed)")
    assert watcher.notices == [
        f"note: {weights} says nothing of its preprocessing; that of {LITE} is assumed (std 0.5; "
        "bicubic; crop ratio 0.875; center crop): if it was trained on other pixels, give --std, --interpolation, "
        "--crop-ratio, --crop-mode"
    ]
    assert plan(data, trunk=LITE, weights=weights, **GIVEN)[1].notices == []


def test_what_no_pixels_can_have_is_refused_before_anything_is_read(data: Path) -> None:
    with pytest.raises(FixgridError, match="found the mean 128"):
        fixgrid.extract(data / "none", mean=128)
    with pytest.raises(FixgridError, match="found the crop mode 'all'"):
        fixgrid.grid(cache=data, crop_mode="all")


def test_a_head_sees_what_it_was_fitted_on_whatever_the_weights_say(data: Path) -> None:
    """Extract, grid, fit-head, predict, evaluate, export and verify with pixels prepared otherwise."""
    import onnxruntime

    cache, out = data.parent / "features", data.parent / "head"
    done = fixgrid.extract(data, res=32, train_views=1, cache=cache, **GIVEN, **HERE)
    views = {view for split, view, _ in done.extractions[0].entries if split == "test"}
    (view,) = views
    assert view == View("center", 32, "bilinear", ("0.25",) * 3, ("0.5", "0.25", "0.5"), "1.0", crop_mode="squash")
    images = sorted((data / "test").rglob("*.png"))
    pixels = np.concatenate([render_view(decode_rgb(image.read_bytes()), view, b"") for image in images])
    trunk = load_trunk(LITE)
    module = nn.Sequential(Normalise(view), trunk.module)
    with torch.inference_mode():
        wanted = module(torch.from_numpy(pixels)).numpy()
    stored = fixgrid.open(cache).load("test", 32).X
    np.testing.assert_allclose(stored, wanted, atol=1e-4)
    assert not np.allclose(stored, run_eager(trunk, pixels), atol=0.01)
    fixgrid.extract(data, res=32, train_views=1, cache=cache, **HERE)
    with pytest.raises(FixgridError, match=r"choose with .*--mean"):
        fixgrid.grid(cache=cache)
    kept = fixgrid.fit_head(cache=cache, out=out, mean=0.25)
    assert json.loads(out.with_suffix(".json").read_text())["view"]["mean"] == ["0.25"] * 3
    for folder in (cache, data.parent / "other"):  # from its rows, and computed again
        score = fixgrid.evaluate(out, data, cache=folder, **HERE).figures.top1.value
        assert score == pytest.approx(kept.record["test"]["value"])
    said = fixgrid.predict(out, images, cache=data.parent / "third", top=2, **HERE).predictions
    fixgrid.export(out, "onnx", data.parent / "all.onnx")
    session = onnxruntime.InferenceSession(str(data.parent / "all.onnx"))
    (shares,) = session.run(None, {"pixels": pixels})
    np.testing.assert_allclose(shares.max(1), [one.top[0][1] for one in said], atol=1e-4)
    assert "all of the image to 32 x 32 px" in (data.parent / "all.onnx.md").read_text()
    fixgrid.verify_cache(cache, sample=1)


class Normalise(nn.Module):
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W), as a view says."""

    def __init__(self, view: View) -> None:
        super().__init__()
        channels = ([float(value) for value in part] for part in (view.mean, view.std))
        self.mean, self.std = (torch.tensor(part)[:, None, None] for part in channels)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return (pixels.permute(0, 3, 1, 2) / 255 - self.mean) / self.std
