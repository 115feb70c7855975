"""A library of trunks is one file and one line of a table; so is a backend."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from stub import SilentWatcher, center
from zoo import list_manifest, write_photos

from fixgrid.cache.errors import UsageError
from fixgrid.cache.holdings import find_holdings
from fixgrid.cache.store import FeatureStore
from fixgrid.embed.backends.probe import make_probe, run_eager
from fixgrid.embed.backends.spec import BACKENDS
from fixgrid.embed.decode import decode_rgb
from fixgrid.embed.export import Classifier, export_onnx
from fixgrid.embed.export_state import describe_timm, export_state
from fixgrid.embed.machine import build_extraction, extract_here
from fixgrid.embed.prospect import Prospect
from fixgrid.embed.recalibrate import recalibrate_here
from fixgrid.embed.request import Wanted
from fixgrid.embed.sizing import Machine
from fixgrid.embed.trunks.costs import recall_costs
from fixgrid.embed.trunks.identity import KnownTrunk, find_weights, identify_trunk, sketch_trunk
from fixgrid.embed.trunks.library import LIBRARIES, find_source, find_use, list_versions
from fixgrid.embed.trunks.sizes import expect_sizes
from fixgrid.embed.trunks.trunk import count_costs, load_trunk
from fixgrid.embed.versions import library_versions
from fixgrid.embed.views import render_view

LIBRARY = '''
"""Trunks of one convolution, with weights in a file."""

from pathlib import Path

from fixgrid.embed.trunks.preprocess import Preprocess
from fixgrid.embed.trunks.source import IMAGENET, Headless, TrunkSource

packages = ("click",)
rule = ""
use = "import toy_library; model = toy_library.build_whole(RECORD, 2)  # FILE RES\\n"
WEIGHTS = Path(__file__).with_name("toy.safetensors")


def list_names():
    return ["toy_tiny", "toy_fixed"]


def find(model):
    look = Preprocess(*IMAGENET, "bilinear", "0.875", 32, fixed_size=model == "toy_fixed")
    return TrunkSource(f"toy:{model}", "a file", look, imagenet_labels=False)


def build_whole(model, n_classes):
    from torch import nn

    parts = {"conv": nn.Conv2d(3, 6, 3), "norm": nn.BatchNorm2d(6), "pool": nn.AdaptiveAvgPool2d(1)}
    module = nn.Sequential()
    for name, part in (*parts.items(), ("flat", nn.Flatten())):
        module.add_module(name, part)
    if n_classes:
        module.add_module("fc", nn.Linear(6, n_classes))
    return module


def build(model):
    return Headless(build_whole(model, 0), 6, ("fc",))


def locate(source):
    return WEIGHTS if WEIGHTS.exists() else None


def load(source):
    return WEIGHTS
'''

RUNTIME = """
from fixgrid.embed.backends.torch_runtime import forget, list_errors, open_backend, write_files

package, batch, devices, precisions = "numpy", 2, ("cpu",), ("fp32",)
"""

WRONG = """

def open_backend(spec, res):
    return lambda pixels: pixels.mean((1, 2)).astype("float32")
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the library, whose line is in the table."""
    (tmp_path / "toy_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "toy_library", raising=False)
    monkeypatch.setitem(LIBRARIES, "toy", "toy_library")
    return tmp_path


@pytest.fixture
def store(toy: Path) -> FeatureStore:
    """With the weights in their place, and photographs to see."""
    from safetensors.torch import save_file

    save_file(load_trunk("toy:toy_tiny", random_seed=0).module.state_dict(), toy / "toy.safetensors")
    for seed, split in enumerate(("train", "val", "test")):
        write_photos(toy / "data" / split, 6, seed=seed)
    return FeatureStore(toy / "cache")


def list_data(store: FeatureStore) -> object:
    return list_manifest(store.root.parent / "data", {split: split for split in ("train", "val", "test")})


@pytest.mark.parametrize("name", ["toy:toy_tiny", "toy_tiny"])
def test_its_names_are_found(toy: Path, name: str) -> None:
    assert find_source(name).architecture == "toy:toy_tiny"
    assert not find_weights(name)
    with pytest.raises(
        UsageError, match=r"no trunk named 'toy:toy_tinny' in timm, torchvision, .* or toy: .* toy_tiny"
    ):
        find_source("toy:toy_tinny")


@pytest.mark.parametrize(("backend", "kind"), [("auto", "onnxruntime"), ("eager", "eager")])
def test_its_trunks_are_extracted(store: FeatureStore, backend: str, kind: str) -> None:
    """By workers, which have no such line in their table."""
    assert find_weights("toy_tiny")
    facts, load = identify_trunk("toy_tiny", None, store.root / "trunks")
    extraction = build_extraction(store, list_data(store), facts, Wanted((24, 32), train_views=0))
    extract_here([(extraction, KnownTrunk(facts, load))], SilentWatcher(), Machine(backend, "cpu", "2"))
    holdings = find_holdings(store)
    for (split, view, _), entry in extraction.entries.items():
        if split == "test":
            files = sorted((store.root.parent / "data" / "test").rglob("*.png"))
            crops = np.concatenate([render_view(decode_rgb(file.read_bytes()), view, b"") for file in files])
            wanted = run_eager(load(), crops)
            np.testing.assert_allclose(holdings.load("test", "center", view.res).X[:, 0], wanted, atol=1e-5)
        assert entry.open().provenance["backend"] == kind
        assert entry.open().provenance["versions"].keys() == library_versions("timm:resnet18").keys() | {"click"}
    known, one = KnownTrunk(facts, load), Machine(device="cpu", workers="1")
    assert recalibrate_here(extraction, known, SilentWatcher(), one)[24].decoded == 12


def test_its_trunks_are_planned_and_counted(store: FeatureStore) -> None:
    facts = sketch_trunk("toy:toy_tiny", None, store)
    extraction = build_extraction(store, list_data(store), facts, Wanted((24, 32), train_views=0))
    items = {item.what: item for item in Prospect(extraction, facts, Machine(device="cpu")).list_items()}
    assert (items["to run"].value, items["weights"].value) == (36, 0.0)
    macs = {res: 27 * 6 * (res - 2) ** 2 for res in (24, 32)}
    assert count_costs("toy_tiny").macs == macs[32]
    memo = store.root / "costs.json"
    assert recall_costs("toy:toy_tiny", [24, 32], memo) == (27 * 6 + 6 + 12, macs)
    assert json.loads(memo.read_bytes())["versions"] == [version("torch"), *list_versions()]
    assert version("click") in list_versions()


def test_a_size_that_it_does_not_take_is_refused_before_anything_is_loaded(toy: Path) -> None:
    source = find_source("toy:toy_fixed")
    for res in (31, 33):
        with pytest.raises(UsageError, match=f"found {res} px for toy:toy_fixed, expected 32: it takes no other"):
            expect_sizes("toy:toy_fixed", source.architecture, source.preprocess, [32, res])


def test_its_heads_are_exported(store: FeatureStore, tmp_path: Path) -> None:
    import onnxruntime
    import torch
    import toy_library
    from safetensors.torch import load_file

    trunk, rng = load_trunk("toy:toy_tiny"), np.random.default_rng(0)
    coef, intercept = rng.standard_normal((2, 6)).astype(np.float32), np.zeros(2, np.float32)
    classifier = Classifier(trunk, coef, intercept, 2.0)
    pixels = make_probe(32)
    with torch.inference_mode():
        wanted = classifier(torch.from_numpy(pixels)).numpy()
    export_onnx(classifier, 32, {}, tmp_path / "x.onnx")
    (found,) = onnxruntime.InferenceSession(str(tmp_path / "x.onnx")).run(None, {"pixels": pixels})
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    record = describe_timm(trunk.architecture, center(32), ("a", "b"), 2.0)
    export_state(classifier, trunk.architecture, 32, record, tmp_path / "x")
    whole = toy_library.build_whole("toy_tiny", 2)
    whole.load_state_dict(load_file(tmp_path / "x.safetensors"))
    assert json.loads((tmp_path / "x.json").read_text())["library"] == "toy"
    assert find_use(trunk.architecture) == toy_library.use


def test_a_line_that_leads_nowhere_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIBRARIES, "gone", "no_such_library")
    with pytest.raises(UsageError, match=r"found no module no_such_library, .* take the library's line out"):
        find_source("gone:anything")


def test_only_a_librarys_own_file_imports_it() -> None:
    trunks = {path.name: path.read_text() for path in (ROOT / "embed" / "trunks").glob("*.py")}
    found = {
        name for name, text in trunks.items() if re.search(r"^ *(import|from) (timm|torchvision)\b", text, re.M)
    }
    assert found == {"timm_trunks.py", "torchvision_trunks.py", "hub_trunks.py"}


@pytest.mark.parametrize(("more", "kind"), [("", "mine"), (WRONG, "torch")])
def test_a_backend_is_a_file_and_a_line(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, more: str, kind: str
) -> None:
    """Workers open it without such a line in their table, and one that gives something else is passed over."""
    (store.root.parent / "my_runtime.py").write_text(RUNTIME + more)
    monkeypatch.delitem(sys.modules, "my_runtime", raising=False)
    monkeypatch.setitem(BACKENDS, "mine", "my_runtime")
    facts, load = identify_trunk("toy_tiny", None, store.root / "trunks")
    extraction = build_extraction(store, list_data(store), facts, Wanted((24,), train_views=0))
    watcher = SilentWatcher()
    extract_here([(extraction, KnownTrunk(facts, load))], watcher, Machine("mine", "cpu", "2"))
    assert {entry.open().provenance["backend"] for entry in extraction.entries.values()} == {kind}
    reason = "mine not used: it gives shape (2, 3) at 24 px, the trunk (2, 6)"
    assert (reason in watcher.notices) is (kind == "torch")
