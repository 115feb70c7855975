"""Heads of class names: CLIP's logits to the digit, on normalised features wherever a head is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stub import SilentWatcher
from test_hints import type_in
from test_script import CODE, LAYERS
from zoo import draw_photo, encode, write_splits

import fixgrid
from fixgrid.cache.errors import CacheError, DataError, UsageError
from fixgrid.embed.backends.probe import make_probe
from fixgrid.embed.export import Classifier, export_onnx
from fixgrid.embed.trunks.trunk import load_trunk
from fixgrid.heads.artifact import SavedHead, load_head, save_head
from fixgrid.heads.card import write_card
from fixgrid.heads.card_code import CardFacts
from fixgrid.heads.linear import LinearHead
from fixgrid.heads.predictions import score_images
from fixgrid.heads.zero_shot import TEMPLATES, build_head, read_names, write_prompts

TOWER = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"width": 16, "heads": 2, "layers": 1, "context_length": 16, "vocab_size": 49408},
}
QUICK = {"workers": 1, "engine": "inline"}
ONE = ["a photo of a {}."]


def normalised(**more: Any) -> SavedHead:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((3, 8)).astype(np.float32)
    return SavedHead(build_head(vectors, 5.0), ("a", "b", "c"), normalised=True, **more)


def test_names_are_asked_for_with_blanks_or_in_other_words() -> None:
    assert read_names(["great_dane", " cat ", "x=y = z"]) == {
        "great_dane": "great dane",
        "cat": "cat",
        "x": "y = z",
    }


@pytest.mark.parametrize(
    "asked", [[], ["cat"], ["cat", ""], ["cat", "dog", "cat"], ["cat", "dog="], ["=cat", "dog"]]
)
def test_what_names_no_two_classes_is_refused(asked: list[str]) -> None:
    with pytest.raises(UsageError, match="expected two or more different names, as in --classes cat,dog"):
        read_names(asked)


def test_each_class_has_each_prompt() -> None:
    assert write_prompts(["cat", "{}"], ["a {}.", "{} {}"]) == [["a cat.", "cat cat"], ["a {}.", "{} {}"]]
    assert [len(part) for part in write_prompts(["cat", "dog"], TEMPLATES)] == [7, 7]
    for wrong in ([], ["a photo"], ["{}", ""]):
        with pytest.raises(UsageError, match=r"expected a \{\} for the class in it"):
            write_prompts(["cat"], wrong)


def test_a_normalised_head_takes_directions_and_no_lengths(tmp_path: Path) -> None:
    save_head(tmp_path / "h", normalised())
    saved = load_head(tmp_path / "h")
    assert saved.normalised
    assert json.loads((tmp_path / "h.json").read_text())["format"] == "fixgrid-head-2"
    X = np.random.default_rng(1).standard_normal((4, 1, 8)).astype(np.float32)
    lengths = np.array([1e-3, 1, 7, 1e3], np.float32)[:, None, None]
    unit = X[:, 0] / np.linalg.norm(X[:, 0], axis=1, keepdims=True)
    for found in (score_images(saved, X), score_images(saved, X * lengths)):
        np.testing.assert_allclose(found, unit @ saved.head.coef.T, atol=1e-5)


def test_a_normalised_head_is_exported_as_it_scores(tmp_path: Path) -> None:
    import onnxruntime

    trunk = load_trunk("timm:test_efficientnet", random_seed=0)
    coef = np.random.default_rng(0).standard_normal((3, trunk.dim)).astype(np.float32)
    classifier = Classifier(trunk, 9 * coef, np.zeros(3, np.float32), 1.0, normalised=True)
    export_onnx(classifier, 32, {}, tmp_path / "x.onnx")
    pixels = make_probe(32)
    with torch.no_grad():
        features = classifier.trunk(torch.from_numpy(pixels)).numpy()
    saved = SavedHead(LinearHead(9 * coef, np.zeros(3, np.float32), 0.0), ("a", "b", "c"), normalised=True)
    scores = score_images(saved, features[:, None])
    wanted = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "x.onnx"))
    np.testing.assert_allclose(session.run(None, {"pixels": pixels})[0], wanted, atol=1e-5)


@pytest.mark.parametrize("to", ["sklearn", "safetensors"])
def test_what_cannot_normalise_is_no_place_for_such_a_head(tmp_path: Path, to: str) -> None:
    save_head(tmp_path / "h", normalised())
    with pytest.raises(UsageError, match=f"divided by their length, which --to {to} has no place for"):
        fixgrid.export(tmp_path / "h", to, tmp_path / "net")
    assert not list(tmp_path.glob("net*"))


def test_the_card_says_that_no_image_was_learnt_from() -> None:
    figures = {"family": "zero-shot", "templates": ["a {}."], "logit_scale": 5.0}
    said = write_card(normalised(figures=figures), CardFacts("", "f", "r", "", "", "0"))
    assert "no image was learnt from" in said
    assert "fitted on val" not in said
    assert "chosen on val; test" not in said


def test_a_trunk_without_a_text_tower_is_refused_with_one_that_has_it(tmp_path: Path) -> None:
    write_splits(tmp_path / "data")
    (tmp_path / "script_layers.py").write_text(LAYERS)
    (tmp_path / "nets.py").write_text(CODE)
    fixgrid.extract(
        tmp_path / "data", trunk=f"{tmp_path}/nets.py:plain", res=24, train_views=0, cache=tmp_path / "c", **QUICK
    )
    line = r"has no text tower; expected one of open_clip, .*--trunk open_clip:\S+ --features projected"
    with pytest.raises(UsageError, match=line):
        fixgrid.zero_shot(cache=tmp_path / "c")
    with pytest.raises(UsageError, match="found the template 'cat'"):
        fixgrid.zero_shot(cache=tmp_path / "c", templates="cat")


@pytest.fixture(scope="module")
def open_clip() -> Any:
    return pytest.importorskip("open_clip")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, open_clip: Any) -> tuple[Path, Any]:
    """Images with labels and loose ones, seen by a model of both towers, of random weights."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("towers")
    torch.manual_seed(0)
    model = open_clip.CLIP(**TOWER).eval()
    (folder / "model").mkdir()
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, folder / "model/open_clip_model.safetensors"
    )
    config = {
        "model_cfg": TOWER,
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.3] * 3, "resize_mode": "shortest"},
    }
    (folder / "model/open_clip_config.json").write_text(json.dumps(config))
    write_splits(folder / "data")
    (folder / "loose").mkdir()
    for i in range(5):
        (folder / "loose" / f"{i}.png").write_bytes(encode(draw_photo(40, 36, 70 + i)))
    asked = {
        "trunk": name(folder),
        "features": "projected,pooled",
        "train_views": 0,
        "cache": folder / "c",
        **QUICK,
    }
    for data in ("data", "loose"):
        fixgrid.extract(folder / data, **asked)
    return folder, model


def name(folder: Path) -> str:
    return f"open_clip:local-dir:{folder}/model"


def make(folder: Path, data: str, out: str, **asked: Any) -> Any:
    return fixgrid.zero_shot(folder / data, cache=folder / "c", out=folder / out, **asked)


@pytest.mark.parametrize("templates", [list(TEMPLATES), ONE])
def test_the_head_is_open_clips_own_zero_shot_classifier(
    work: tuple[Path, Any], open_clip: Any, templates: Any
) -> None:
    folder, model = work
    made = make(folder, "data", "own", classes=["cat", "great_dane"], templates=templates)
    tokenizer = open_clip.get_tokenizer(name(folder).removeprefix("open_clip:"))
    weights = open_clip.build_zero_shot_classifier(model, tokenizer, ["cat", "great dane"], templates)
    wanted = (model.logit_scale.exp() * weights.T).detach().numpy()
    np.testing.assert_allclose(made.saved.head.coef, wanted, atol=1e-5 * model.logit_scale.exp().item())


def test_a_data_sets_own_names_are_scored_on_test_once(work: tuple[Path, Any]) -> None:
    folder, _ = work
    made = make(folder, "data", "scored")
    assert made.saved.classes == ("a", "b")
    assert made.figures.n == made.record["n_test"] == 12
    assert made.record["test"]["value"] == made.figures.main.value.value
    assert "12 test images" in made.format()
    again = fixgrid.evaluate(folder / "scored", folder / "data", cache=folder / "c", **QUICK)
    assert again.figures.main.value == made.figures.main.value
    swapped = make(folder, "data", "swapped", classes="b,a")
    assert swapped.figures.main.value == made.figures.main.value


def test_loose_images_are_told_apart_by_names_alone(work: tuple[Path, Any]) -> None:
    folder, _ = work
    (folder / "names.txt").write_text("cat\n\ngreat_dane=big dog\n")
    watcher = SilentWatcher()
    made = make(folder, "loose", "loose-head", classes=folder / "names.txt", watcher=watcher)
    assert (made.saved.classes, made.figures) == (("cat", "great_dane"), None)
    assert any("is not scored: it has no labels" in line for line in watcher.notices)
    found = fixgrid.predict(folder / "loose-head", folder / "loose", cache=folder / "c", **QUICK)
    assert found.outcome.decoded == 0
    fixgrid.export(folder / "loose-head", "onnx", folder / "loose.onnx")
    assert {prediction.top[0][0] for prediction in found.predictions} <= {"cat", "great_dane"}
    with pytest.raises(DataError, match=r"found no class names in .*loose; expected some: --classes cat,dog"):
        make(folder, "loose", "none")


def test_labels_of_other_classes_are_not_scored(work: tuple[Path, Any]) -> None:
    folder, _ = work
    watcher = SilentWatcher()
    assert make(folder, "data", "other", classes="a,c", watcher=watcher).figures is None
    assert any("is not scored: b is none of the classes" in line for line in watcher.notices)


def test_the_command_keeps_a_head_beside_the_features(work: tuple[Path, Any]) -> None:
    folder, _ = work
    asked = ("zero-shot", "--data", f"{folder}/data", "--cache", f"{folder}/c", "--template", *ONE)
    said = type_in(*asked, "--format", "json")
    assert '"templates": [\n    "a photo of a {}."\n  ]' in said
    (record,) = fixgrid.list_heads(folder / "c")
    assert (record["family"], record["pair"]) == ("zero-shot", "text:32")


def test_features_before_the_projection_are_not_enough(work: tuple[Path, Any], tmp_path: Path) -> None:
    folder, _ = work
    fixgrid.extract(folder / "data", trunk=name(folder), train_views=0, cache=tmp_path / "c", **QUICK)
    with pytest.raises(CacheError, match=r"no features of projected; .*: run .*extract .*--features projected"):
        fixgrid.zero_shot(cache=tmp_path / "c")


def test_a_file_without_a_text_tower_is_one_line(work: tuple[Path, Any], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from fixgrid.embed.trunks.text_tower import encode_classes

    folder, model = work
    images = {k: v.contiguous() for k, v in model.state_dict().items() if k.startswith("visual")}
    save_file(images, tmp_path / "images.safetensors")
    with pytest.raises(UsageError, match=r"cannot read the text tower of .*model in .*images.safetensors"):
        encode_classes(name(folder), tmp_path / "images.safetensors", [["cat"], ["dog"]])
