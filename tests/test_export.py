from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.view import View
from fixgrid.embed import export
from fixgrid.embed.backends.probe import make_probe
from fixgrid.embed.export import Classifier, expect_center, export_onnx, export_torch
from fixgrid.embed.export_state import describe_timm, export_state
from fixgrid.embed.trunks.trunk import Trunk, load_trunk

ARCHITECTURE = "timm:test_efficientnet"
FACTS = {"interpolation": "bicubic", "mean": ("0.5", "0.5", "0.5"), "std": ("0.5", "0.5", "0.5")}


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    return load_trunk(ARCHITECTURE, random_seed=0)


@pytest.fixture(scope="module")
def classifier(trunk: Trunk) -> Classifier:
    rng = np.random.default_rng(0)
    coef, intercept = rng.standard_normal((3, trunk.dim)), rng.standard_normal(3)
    return Classifier(trunk, coef.astype(np.float32), intercept.astype(np.float32), 1.5)


def by_definition(trunk: Trunk, classifier: Classifier, pixels: np.ndarray) -> np.ndarray:
    mean, std = (torch.tensor([float(v) for v in part]) for part in (trunk.preprocess.mean, trunk.preprocess.std))
    batch = ((torch.from_numpy(pixels) / 255 - mean) / std).permute(0, 3, 1, 2)
    scores = trunk.module(batch) @ classifier.head.weight.T + classifier.head.bias
    return torch.softmax(scores / 1.5, dim=1).numpy()


PIXELS = np.concatenate([make_probe(32), make_probe(32)[::-1], make_probe(32)[:1]])


def test_an_onnx_file_gives_the_probabilities_for_any_batch(
    trunk: Trunk, classifier: Classifier, tmp_path: Path
) -> None:
    import onnxruntime

    classes = json.dumps(["a\n", '"', "\udcff"])
    export_onnx(classifier, 32, {"classes": classes}, tmp_path / "x.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "x.onnx"))
    assert session.get_modelmeta().custom_metadata_map["classes"] == classes
    (found,) = session.run(None, {"pixels": PIXELS})
    np.testing.assert_allclose(found, by_definition(trunk, classifier, PIXELS), atol=1e-5)


def test_a_torch_program_gives_the_probabilities_for_any_batch(
    trunk: Trunk, classifier: Classifier, tmp_path: Path
) -> None:
    export_torch(classifier, 32, {"classes": "[]"}, tmp_path / "x.pt2")
    extra = {"fixgrid.json": ""}
    module = torch.export.load(tmp_path / "x.pt2", extra_files=extra).module()
    assert json.loads(extra["fixgrid.json"]) == {"classes": "[]"}
    found = module(torch.from_numpy(PIXELS)).numpy()
    np.testing.assert_allclose(found, by_definition(trunk, classifier, PIXELS), atol=1e-5)


def test_a_state_dict_loads_into_timm_and_gives_the_probabilities(
    trunk: Trunk, classifier: Classifier, tmp_path: Path
) -> None:
    import timm
    from safetensors.torch import load_file

    record = describe_timm(ARCHITECTURE, View("center", 32, **FACTS), ("a", "b", "c"), 1.5)
    export_state(classifier, ARCHITECTURE, 32, record, tmp_path / "x")
    said = json.loads((tmp_path / "x.json").read_text())
    model = timm.create_model(said["architecture"], num_classes=said["num_classes"]).eval()
    model.load_state_dict(load_file(tmp_path / "x.safetensors"))
    mean, std = (torch.tensor([float(v) for v in part]) for part in (trunk.preprocess.mean, trunk.preprocess.std))
    batch = ((torch.from_numpy(PIXELS) / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.inference_mode():
        found = torch.softmax(model(batch) / said["temperature"], dim=1).numpy()
    np.testing.assert_allclose(found, by_definition(trunk, classifier, PIXELS), atol=1e-5)
    assert said["pretrained_cfg"]["input_size"] == [3, 32, 32]


@pytest.mark.parametrize("write", [export_onnx, export_torch])
def test_a_file_with_other_probabilities_is_refused_and_not_kept(
    write, classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(UsageError, match="nothing was written"):
        write(classifier, 32, {}, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_a_trunk_that_one_onnx_file_cannot_hold_is_refused(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_ONNX_BYTES", 1000)
    with pytest.raises(UsageError, match="--to torch"):
        export_onnx(classifier, 32, {}, tmp_path / "x.onnx")


def test_another_trunks_head_and_other_views_are_refused(trunk: Trunk) -> None:
    with pytest.raises(CacheError, match="not its head"):
        Classifier(trunk, np.zeros((3, trunk.dim + 1), np.float32), np.zeros(3, np.float32), 1.0)
    with pytest.raises(UsageError, match="expected center"):
        expect_center(View("five", 32, **FACTS))
