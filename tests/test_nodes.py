"""Tests for embed/trunks/nodes.py and tap.py: kinds of features, several from one pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from stub import run_stub
from torch import Tensor, nn
from zoo import list_manifest, write_photos

from fixgrid.cache.errors import UsageError
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import View
from fixgrid.embed.backends.prepare import prepare_backend
from fixgrid.embed.backends.probe import make_probe, run_eager
from fixgrid.embed.backends.spec import open_backend
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.keys import TrunkKey
from fixgrid.embed.trunks.nodes import Part, read_nodes, read_parts
from fixgrid.embed.trunks.tap import Tap, count_widths
from fixgrid.embed.trunks.trunk import Trunk, load_trunk

KINDS = ("pooled", "cls", "patch_mean", "cls+patch_mean", "last2", "last2+patch_mean", "gem", "patch_mean@blocks.1")
RES = 160


@pytest.fixture(scope="module")
def vit() -> Trunk:
    return load_trunk("timm:test_vit", random_seed=0)


@pytest.fixture(scope="module")
def seen(vit: Trunk) -> dict[str, Tensor]:
    """What each kind is, by timm's own functions."""
    x = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    module = vit.module
    with torch.inference_mode():
        tokens = module.forward_features(x)
        last = module.get_intermediate_layers(x, n=2, return_prefix_tokens=True, norm=True)
        block = module.get_intermediate_layers(x, n=[1])[0]
        kinds = {
            "x": x,
            "pooled": module(x),
            "cls": tokens[:, 0],
            "patch_mean": tokens[:, 1:].mean(1),
            "last2": torch.cat([prefix[:, 0] for _, prefix in last], 1),
            "gem": tokens[:, 1:].clamp(1e-6).pow(3).mean(1).pow(1 / 3),
            "patch_mean@blocks.1": block.mean(1),
        }
    kinds["cls+patch_mean"] = torch.cat([kinds["cls"], kinds["patch_mean"]], 1)
    kinds["last2+patch_mean"] = torch.cat([kinds["last2"], last[-1][0].mean(1)], 1)
    return kinds


def test_each_kind_is_what_timm_gives_for_it(vit: Trunk, seen: dict[str, Tensor]) -> None:
    tap = Tap("it", vit.module, KINDS)
    with torch.inference_mode():
        found = dict(zip(KINDS, tap.take(seen["x"]), strict=True))
    for kind in KINDS:
        torch.testing.assert_close(found[kind], seen[kind], rtol=1e-5, atol=1e-6)
    assert count_widths("it", vit.module, KINDS, 160) == {kind: seen[kind].shape[1] for kind in KINDS}


@pytest.mark.parametrize("name", ["timm:test_resnet", "timm:test_convnext", "timm:swin_tiny_patch4_window7_224"])
def test_the_map_of_a_trunk_without_tokens_is_pooled_over_its_cells(name: str) -> None:
    module = load_trunk(name, random_seed=0).module
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        cells = module.forward_features(x)
        axes = (1, 2) if "swin" in name else (2, 3)
        found = Tap("it", module, ["patch_mean", "gem", "pooled"]).take(x)
        wanted = [cells.mean(axes), cells.clamp(1e-6).pow(3).mean(axes).pow(1 / 3), module(x)]
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["onnxruntime", "torch", "eager"])
def test_every_backend_gives_all_kinds_side_by_side(vit: Trunk, kind: str, tmp_path: Path) -> None:
    trunk = vit.take(KINDS)
    spec = prepare_backend(trunk, [RES], kind=kind, folder=tmp_path)
    found, wanted = open_backend(spec, RES)(make_probe(RES)), run_eager(trunk, make_probe(RES))
    assert (spec.kind, found.shape[1], wanted.shape[1]) == (kind, trunk.dim, trunk.dim)
    assert np.linalg.norm(found - wanted) < 1e-4 * np.linalg.norm(wanted)


@pytest.mark.parametrize(
    ("name", "node", "said"),
    [
        ("timm:test_resnet", "cls", "found no class token in it; choose pooled"),
        ("timm:test_resnet", "last2", "found no blocks with a class token in it, expected 2"),
        ("timm:test_vit", "last9", "found 2 blocks|found [0-9]+ blocks in it, expected 9"),
        ("timm:test_vit", "gem@layer4", "found no layer 'layer4' in it; choose one of its own, such as"),
        ("timm:test_vit", "projected", "found no projection in it"),
        ("torchvision:resnet18", "gem", "found no last layer of cells that is known in it; name one"),
        ("timm:test_resnet", "gem@global_pool", "found no cells to pool there, but one vector"),
    ],
)
def test_a_kind_that_a_trunk_has_not_is_refused_in_a_line(name: str, node: str, said: str) -> None:
    module = load_trunk(name, random_seed=0).module
    with pytest.raises(UsageError, match=said) as caught:
        count_widths("it", module, [node], 160)
    assert "\n" not in str(caught.value)


def test_a_layer_of_any_module_can_be_pooled() -> None:
    module = load_trunk("torchvision:resnet18", random_seed=0).module
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        pooled, mean = Tap("it", module, ["pooled", "patch_mean@layer4"]).take(x)
        torch.testing.assert_close(pooled, module(x))
    torch.testing.assert_close(mean, pooled)  # that is how this one pools
    assert not any(part._forward_hooks for part in module.modules())


def test_words_for_kinds_are_read() -> None:
    assert read_nodes(None) == read_nodes("") == ("pooled",)
    assert read_nodes("cls, pooled,cls") == ("cls", "pooled")
    assert read_parts("last4+gem@layer3.1") == [Part("last", "", 4), Part("gem", "layer3.1")]


@pytest.mark.parametrize("text", ["max", "cls@", "last0", "last", "pooled@layer4", "cls+", "projected@x"])
def test_words_for_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected some of pooled"):
        read_nodes(text)


class Counting:
    """Gives 6 columns: the crop's mean and its first pixel; counts the crops."""

    batch = 1
    crops = 0

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        Counting.crops += len(pixels)
        mean = pixels.reshape(len(pixels), -1, 3).mean(axis=1)
        return np.concatenate([mean, pixels[:, 0, 0]], axis=1).astype(np.float32)


def test_one_pass_fills_the_keys_of_all_kinds(tmp_path: Path) -> None:
    write_photos(tmp_path / "data", 5)
    manifest, store = list_manifest(tmp_path / "data"), FeatureStore(tmp_path / "cache")
    view = View("center", 16, interpolation="bilinear", mean=("0",) * 3, std=("1",) * 3)

    def extract(*nodes: str) -> tuple[dict[str, np.ndarray], int]:
        key = TrunkKey("stub", "stub", "0" * 64, tuple((node, 6 if node == "both" else 3) for node in nodes))
        extraction = Extraction(store, manifest, key, {"train": [view]})
        Counting.crops = 0

        def open_backends(views: Sequence[View]) -> object:
            return lambda view: Counting()

        outcome = run_stub(extraction, open_backends, engine="inline")  # type: ignore[arg-type]
        rows = manifest.splits["train"]
        assert outcome.forwards == Counting.crops
        return {n: e.open().load(rows).X[:, 0] for (_, _, n), e in extraction.entries.items()}, Counting.crops

    n = len(manifest.splits["train"])
    found, crops = extract("first", "second")
    whole, _ = extract("both")
    assert crops == n
    np.testing.assert_array_equal(np.concatenate([found["first"], found["second"]], axis=1), whole["both"])
    _, again = extract("second", "third")  # what is there stays, what is new is one more pass
    assert again == n
    assert extract("first", "third")[1] == 0


def test_a_node_whose_module_is_shared_is_seen_once(vit: Trunk) -> None:
    assert isinstance(vit.take(["cls"]).at(RES), nn.Module)
    assert vit.take(["pooled"]) is vit
