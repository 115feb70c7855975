"""A user's own module as a trunk: its features, what is in its key, and what is refused."""

from __future__ import annotations

import functools
import importlib.util
import json
import linecache
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from conftest import ROOT
from stub import SilentWatcher, center
from torch import nn
from zoo import list_manifest, write_photos

from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.health import compare_rows
from fixgrid.cache.holdings import find_holdings
from fixgrid.cache.store import FeatureStore
from fixgrid.embed.backends.prepare import prepare_backend
from fixgrid.embed.decode import decode_rgb
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.machine import build_extraction, extract_here
from fixgrid.embed.outcome import Outcome
from fixgrid.embed.prospect import Prospect
from fixgrid.embed.recalibrate import expect_norm
from fixgrid.embed.recompute import Recomputer
from fixgrid.embed.replica import find_trunk, open_trunk
from fixgrid.embed.request import Wanted
from fixgrid.embed.sizing import Machine
from fixgrid.embed.trunks.costs import COSTS_FILE, recall_costs
from fixgrid.embed.trunks.identity import KnownTrunk
from fixgrid.embed.trunks.own import OwnTrunk, identify_own
from fixgrid.embed.views import View, render_view

SIDES = (24, 32)
CODE = """
import torch
from torch import nn

class Mean(nn.Module):
    def forward(self, maps):
        return maps.mean((2, 3))

class Pool(Mean):
    pass

class Net(nn.Module):
    def __init__(self, stride=2, slope=0.1, act=torch.tanh, shift=0.1):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.pool = nn.Conv2d(3, 5, 3, stride), nn.BatchNorm2d(5), Pool()
        self.register_buffer("shift", torch.full((1,), shift), persistent=False)
        self.slope, self.act, self.names = slope, act, {"some", "names", "in", "no", "order"}

    def forward(self, x):
        return self.pool(nn.functional.leaky_relu(self.act(self.norm(self.conv(x))), self.slope)) + self.shift
"""


def import_code(folder: Path, text: str = CODE, name: str = "own_net") -> ModuleType:
    """A module of a file that is written for it."""
    path = folder / f"{name}.py"
    path.write_text(text)
    linecache.checkcache()
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    return module


@pytest.fixture
def net(tmp_path: Path) -> nn.Module:
    """As it came from training: in train mode, wanting gradients, with statistics of its own."""
    made: nn.Module = import_code(tmp_path).Net()
    made(torch.randn(8, 3, 16, 16))
    return made


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    for seed, split in enumerate(("train", "val", "test")):
        write_photos(tmp_path / "data" / split, 6, seed=seed)
    return FeatureStore(tmp_path / "cache")


def own(module: nn.Module, **facts: object) -> OwnTrunk:
    return OwnTrunk(module, native_res=32, **facts)


def extract(
    store: FeatureStore, known: KnownTrunk, backend: str = "auto", **views: object
) -> tuple[Extraction, Outcome]:
    data = store.root.parent / "data"
    manifest = list_manifest(data, {split: split for split in ("train", "val", "test")})
    extraction = build_extraction(store, manifest, known.facts, Wanted(SIDES, **{"train_views": 0, **views}))
    outcome = extract_here([(extraction, known)], SilentWatcher(), Machine(backend, "cpu", "2"))
    return extraction, outcome


def by_hand(module: nn.Module, store: FeatureStore, view: View) -> np.ndarray:
    """Features of the test images, by the module that the user has."""
    files = sorted((store.root.parent / "data" / "test").rglob("*.png"))
    crops = np.stack([render_view(decode_rgb(file.read_bytes()), view, b"")[0] for file in files])
    mean, std = (torch.tensor([float(v) for v in part]) for part in (view.mean, view.std))
    with torch.no_grad():
        return module((((torch.from_numpy(crops) / 255) - mean) / std).permute(0, 3, 1, 2)).numpy()


@pytest.mark.parametrize(("asked", "kind"), [("auto", "onnxruntime"), ("torch", "torch"), ("eager", "eager")])
def test_features_are_those_of_the_module(net: nn.Module, store: FeatureStore, asked: str, kind: str) -> None:
    extraction, _ = extract(store, identify_own(own(net)), asked)
    holdings = find_holdings(store)
    net.eval()
    for (split, view, _), entry in extraction.entries.items():
        assert entry.open().provenance["backend"] == kind
        if split == "test":
            wanted, found = by_hand(net, store, view), holdings.load("test", "center", view.res).X[:, 0]
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    _, again = extract(store, identify_own(own(net)))
    assert again.passes == 0


def test_the_users_module_is_not_changed_and_later_training_does_not_reach_the_trunk(net: nn.Module) -> None:
    net.conv.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    known = identify_own(own(net))
    assert [part.training for part in net.modules()] == [True, False, True, True]
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    nn.init.zeros_(net.conv.weight)
    trunk = known.load()
    assert not any(part.training for part in trunk.module.modules())
    assert not any(parameter.requires_grad for parameter in trunk.module.parameters())
    assert torch.equal(trunk.module.state_dict()["conv.weight"], before["conv.weight"])


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_same_module_in_another_process_has_the_same_key(tmp_path: Path, seed: str) -> None:
    facts = identify_own(own(import_code(tmp_path).Net())).facts
    code = (
        "import own_net; from fixgrid.embed.trunks.own import OwnTrunk, identify_own\n"
        "facts = identify_own(OwnTrunk(own_net.Net(), native_res=32)).facts\n"
        "print(facts.architecture, facts.weights_sha256)"
    )
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [facts.architecture, facts.weights_sha256]
    assert facts.architecture.startswith("module:Net@")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.slope))", "2 * self.slope))"),
        ("maps.mean((2, 3))", "maps.amax((2, 3))"),  # of the class that a part's class stems from
    ],
)
def test_a_changed_forward_changes_the_key(tmp_path: Path, old: str, new: str) -> None:
    assert CODE.count(old) == 1
    first = identify_own(own(import_code(tmp_path).Net())).facts
    other = identify_own(own(import_code(tmp_path, CODE.replace(old, new)).Net())).facts
    assert other.architecture != first.architecture
    assert identify_own(own(import_code(tmp_path).Net())).facts == first


@pytest.mark.parametrize("setting", [{"stride": 1}, {"slope": 0.2}, {"act": torch.sigmoid}, {"shift": -1}])
def test_a_changed_setting_changes_the_key(tmp_path: Path, setting: dict[str, object]) -> None:
    """Also one that no parameter, no line of its representation and no buffer of its state dict tells."""
    made = import_code(tmp_path).Net
    first, other = (identify_own(own(module)).facts for module in (made(), made(**setting)))
    assert other.architecture != first.architecture
    assert other.weights_sha256 == first.weights_sha256


def test_another_weight_is_another_key_of_the_same_architecture(net: nn.Module) -> None:
    first = identify_own(own(net)).facts
    with torch.no_grad():
        net.conv.bias[0] += 1e-6
    other = identify_own(own(net, name="mine")).facts
    assert (other.architecture, other.weights_sha256) != (first.architecture, first.weights_sha256)
    assert other.architecture == first.architecture
    assert (first.name, other.name) == ("Net", "mine")


class Settings:
    """No module, yet a part of one."""

    def __init__(self, value: object) -> None:
        self.value, self.itself = value, self


class Holder(nn.Module):
    """Keeps anything beside its layers."""

    def __init__(self, held: object) -> None:
        super().__init__()
        self.held = held

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def draw_linear(seed: int) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(2, 2)


def double(x: int) -> int:
    return 2 * x


def treble(x: int) -> int:
    return 3 * x


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ([torch.ones(2)], [torch.zeros(2)]),
        (np.ones(2), np.zeros(2)),
        ({"a": 1, "b": {3, "x"}}, {"a": 1, "b": {4, "x"}}),
        ([draw_linear(0)], [draw_linear(1)]),
        (functools.partial(double, x=1), functools.partial(double, x=2)),
        (double, treble),
        (Settings(1), Settings(2)),
        (Settings(1).__init__, Settings(1).__eq__),
        (torch.relu, torch.tanh),
        (nn.functional.relu, nn.functional.gelu),
    ],
)
def test_what_a_module_holds_is_in_its_key(one: object, two: object) -> None:
    first, again, other = (identify_own(own(Holder(held))).facts.architecture for held in (one, one, two))
    assert first == again != other


def test_a_traced_module_is_told_from_another_by_its_code(tmp_path: Path) -> None:
    mean = torch.fx.symbolic_trace(import_code(tmp_path).Pool())
    top = torch.fx.symbolic_trace(import_code(tmp_path, CODE.replace("maps.mean(", "maps.amax(")).Pool())
    first, again, other = (identify_own(own(module, name="pool")).facts for module in (mean, mean, top))
    assert first == again
    assert first.architecture != other.architecture
    assert first.weights_sha256 == other.weights_sha256


def define(text: str, file: str) -> Callable[[], nn.Module]:
    names: dict[str, Callable[[], nn.Module]] = {"__name__": "__cell__"}
    exec(compile(text, file, "exec"), names)
    return names["Net"]


def test_a_class_of_a_notebook_cell_has_the_key_of_the_same_class_in_a_file(tmp_path: Path) -> None:
    text = CODE.replace("    pass\n", "    def pool(self): ...\n")
    linecache.cache["<cell-1>"] = (len(text), None, text.splitlines(keepends=True), "<cell-1>")
    cell, file = identify_own(own(define(text, "<cell-1>")())), identify_own(own(import_code(tmp_path, text).Net()))
    assert cell.facts == file.facts


def test_a_class_of_a_notebook_cell_without_functions_is_what_it_holds() -> None:
    found = []
    for held in ("pass", "scale = 2", "scale = 3", "scale: float = 3"):
        text = CODE.replace("    pass\n", f"    {held}\n")
        linecache.cache["<cell-2>"] = (len(text), None, text.splitlines(keepends=True), "<cell-2>")
        found.append(identify_own(own(define(text, "<cell-2>")())).facts.architecture)
    assert found[2] == found[3]
    assert len(set(found)) == 3
    with pytest.raises(UsageError, match="found no source of Pool"):
        identify_own(own(define(CODE.replace("    pass\n", "    scale = property(id)\n"), "<cell-2>")()))


def test_a_class_without_source_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"found no source of Net, .* define the class in a file or a notebook cell"
    ):
        identify_own(own(define(CODE, "<nowhere>")()))


class Gives(nn.Module):
    """Gives what it is told to."""

    def __init__(self, make: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: torch.Tensor) -> object:
        return self.make(x)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda x: x, r"Gives gives float32 of shape \(2, 3, 32, 32\) for 2 images; expected float32 .* \(2, D\)"),
        (lambda x: x.mean((0, 2, 3)), r"shape \(3,\)"),
        (lambda x: x.mean((2, 3)).double(), "gives float64"),
        (lambda x: x.mean((1, 2))[:1], r"shape \(1, 32\)"),
        (lambda x: (x,), "gives a tuple; expected a float32 tensor"),
        (lambda x: x.view(7, 7), r"cannot run at 32 px \(shape"),
    ],
)
def test_what_gives_no_features_is_refused_in_one_line(make: Callable[[torch.Tensor], object], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        identify_own(own(Gives(make)))
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*deprecated")
def test_what_cannot_be_copied_is_refused() -> None:
    held = Holder(torch.ones(1, requires_grad=True) * 2)
    with pytest.raises(UsageError, match="cannot be copied"):
        identify_own(own(held))
    with pytest.raises(UsageError, match=r"cannot be copied and frozen \(requires_grad_ is not supported"):
        identify_own(own(torch.jit.script(nn.Flatten())))


def test_what_timm_says_of_a_module_counts_and_what_is_given_counts_more() -> None:
    import timm

    module = timm.create_model("test_vit", num_classes=0)
    said = OwnTrunk(module).preprocess
    assert (said.mean, said.crop_ratio, said.interpolation) == (("0.5", "0.5", "0.5"), "0.95", "bicubic")
    assert (said.native_res, said.fixed_size) == (160, False)  # timm calls it fixed, and it runs at any size
    for built, res in ({}, 160), ({"img_size": 96}, 96):
        fixed = timm.create_model("test_vit", num_classes=0, dynamic_img_size=False, **built)
        said = OwnTrunk(fixed).preprocess
        assert (said.native_res, said.fixed_size) == (res, True)
    given = OwnTrunk(module, mean=(0, 0.25, 1), interpolation="bilinear", crop_ratio=1.0).preprocess
    assert (given.mean, given.interpolation, given.crop_ratio) == (("0", "0.25", "1"), "bilinear", "1.0")
    assert OwnTrunk(module, mean=(0, 0.25, 1), crop_mode="squash").preprocess.crop_mode == "squash"
    assert OwnTrunk(module, crop_mode="squash").origins == {
        **dict.fromkeys(("mean", "std", "interpolation", "crop_ratio"), "the module's metadata"),
        "crop_mode": "given with the module",
    }
    assert set(OwnTrunk(nn.Identity()).origins.values()) == {"the default of a module"}
    plain = OwnTrunk(nn.Identity()).preprocess
    assert (plain.mean, plain.std) == (("0.485", "0.456", "0.406"), ("0.229", "0.224", "0.225"))
    assert (plain.interpolation, plain.crop_ratio, plain.native_res) == ("bilinear", "0.875", 224)


@pytest.mark.parametrize(
    "facts",
    [
        {"mean": (1, 2)},
        {"std": (1, 0, 1)},
        {"mean": ("a", "b", "c")},
        {"mean": 0.5},
        {"crop_ratio": 2},
        {"crop_ratio": 0},
        {"mean": (123.7, 116.3, 103.5)},
        {"crop_mode": "stretch"},
        {"interpolation": "cubic"},
        {"native_res": 0},
        {"native_res": "224"},
    ],
)
def test_facts_that_no_input_can_have_are_refused(facts: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="expected"):
        identify_own(replace(OwnTrunk(nn.Identity()), **facts))


def test_whole_images_and_recalibration_are_refused(net: nn.Module, store: FeatureStore) -> None:
    known = identify_own(own(net))
    with pytest.raises(UsageError, match="found the view whole for Net"):
        extract(store, known, extra=["whole"])
    data = list_manifest(store.root.parent / "data")
    with pytest.raises(UsageError, match="found the module Net, expected a trunk of a library"):
        expect_norm(build_extraction(store, data, known.facts, Wanted((32,))), known.facts)
    assert not store.root.exists()


def test_a_size_that_the_module_cannot_run_at_ends_in_one_line(tmp_path: Path, store: FeatureStore) -> None:
    text = CODE.replace("self.pool(", "self.pool(x.view(len(x), 3, 32, 32) * 0) + self.pool(").replace(
        "5, 3", "3, 3"
    )
    module = import_code(tmp_path, text.replace("BatchNorm2d(5)", "BatchNorm2d(3)")).Net()
    with pytest.raises(UsageError, match="found 24 px for Net, expected 32"):
        extract(store, identify_own(own(module)))
    with pytest.raises(UsageError, match="Net cannot run at 24 px"):
        prepare_backend(identify_own(own(module)).load(), [24], folder=tmp_path)


@pytest.fixture
def described(net: nn.Module) -> dict[str, object]:
    """The trunk as a head's file has it."""
    facts = identify_own(own(net)).facts
    kept = {name: getattr(facts, name) for name in ("architecture", "weights_sha256")}
    return {**kept, "node": "pooled", "trunk": facts.name, "precision": "fp32"}


def look(trunk: OwnTrunk) -> View:
    return replace(center(32), mean=trunk.preprocess.mean, std=trunk.preprocess.std)


def test_a_head_is_used_again_with_the_module_that_it_was_fitted_on_alone(
    net: nn.Module, described: dict[str, object], tmp_path: Path
) -> None:
    mine = own(net)
    view = look(mine)
    known = find_trunk(described, [view], None, tmp_path, own=mine)
    opened = open_trunk(described, view, None, own=mine)
    assert {known.facts.weights_sha256, opened.weights_sha256} == {described["weights_sha256"]}
    for other in (
        own(import_code(tmp_path, CODE.replace("2, 3", "3, 2")).Net()),
        own(import_code(tmp_path).Net(1)),
    ):
        with pytest.raises(CacheError, match=r"on which the head was fitted; give that module\."):
            open_trunk(described, view, None, own=other)
    for ask in (lambda: find_trunk(described, [view], None, tmp_path), lambda: open_trunk(described, view, None)):
        with pytest.raises(UsageError, match=r"Net, a module of one's own; give it as trunk=\.\.\. to fixgrid"):
            ask()
    with pytest.raises(UsageError, match="give none"):
        open_trunk({**described, "architecture": "timm:resnet18"}, view, None, own=mine)


def test_its_rows_are_computed_again_by_the_module_that_is_given(net: nn.Module, store: FeatureStore) -> None:
    extraction, _ = extract(store, identify_own(own(net)))
    entry = next(iter(extraction.entries.values())).open()
    compare_rows(entry, [0, 1], Recomputer(store, own=own(net)))
    with pytest.raises(CacheError, match="Net is a module of one's own"):
        Recomputer(store)(entry, [0])
    nn.init.zeros_(net.conv.weight)
    with pytest.raises(CacheError, match="the weights of Net are not those"):
        Recomputer(store, own=own(net))(entry, [0])


def test_it_is_planned_and_its_costs_are_remembered(net: nn.Module, store: FeatureStore) -> None:
    known = identify_own(own(net))
    manifest = list_manifest(store.root.parent / "data")
    extraction = build_extraction(store, manifest, known.facts, Wanted((32,), train_views=0))
    planned = Prospect(extraction, known.facts, Machine(device="cpu"), known.load)
    items = {item.what: item for item in planned.list_items()}
    assert items["to run"].value == 18
    assert "module's own" in items["weights"].note
    memo = store.root / COSTS_FILE
    with pytest.raises(UsageError, match="found no costs of module:Net@"):
        recall_costs(known.facts.architecture, [32], memo)
    extract(store, known)
    parameters, macs = recall_costs(known.facts.architecture, SIDES, memo)
    assert parameters == 3 * 5 * 9 + 5 + 2 * 5
    assert macs == {24: 11 * 11 * 27 * 5, 32: 15 * 15 * 27 * 5}
    assert json.loads(memo.read_bytes())["counts"].keys() >= {known.facts.architecture}
