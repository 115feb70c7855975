"""A trunk that a function of a user's file builds, and one in an ONNX file, from extract to export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from test_cli import run
from test_onnx_graph import write_graph
from test_own import import_code
from zoo import write_splits

import fixgrid
from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import read_view
from fixgrid.embed.backends.probe import make_probe
from fixgrid.embed.decode import decode_rgb
from fixgrid.embed.trunks.files import is_file, read_trunk
from fixgrid.embed.trunks.own import OwnTrunk, identify_own
from fixgrid.embed.views import render_view

CODE = """
import torch
from torch import nn
from script_layers import Pool

class Net(nn.Module):
    def __init__(self, num_classes=10, act=None):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 8, 3, 2), Pool()
        self.act = act or twist
        self.fc = nn.Linear(8, num_classes) if num_classes else nn.Identity()

    def forward(self, x):
        return self.fc(self.pool(self.act(self.conv(x))))

def twist(x):
    return torch.relu(x) + .1

def build(num_classes=10):
    return Net(num_classes)

def plain():
    from fixgrid import OwnTrunk
    return OwnTrunk(Net(0), mean=(.5, .5, .5), std=(.5, .5, .5), native_res=24)

def fails():
    raise ValueError("no such\\nlayer")

def wanting(depth):
    return Net(depth)

def text():
    return "a"

def maps():
    return nn.Conv2d(3, 8, 3)

number = 3
"""
LAYERS = """
from torch import nn

class Pool(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "script_layers.py").write_text(LAYERS)
    path = tmp_path / "nets.py"
    path.write_text(CODE)
    return path


def read(text: str, weights: Path | None = None) -> tuple[OwnTrunk, list[str]]:
    notes: list[str] = []
    return read_trunk(text, weights, notes.append), notes


def test_names_of_files_are_told_from_names_of_trunks() -> None:
    assert all(map(is_file, ["a.py:net", "C:\\a b\\net.py:net", "~/a.py:", "a.py", "../b/net.onnx"]))
    assert not any(map(is_file, ["efficientnet_lite0", "timm:resnet18.a1_in1k", "local-dir:a.py/b", "hf-hub:a/b"]))


def test_it_is_built_without_its_classifier_and_says_so(file: Path) -> None:
    own, notes = read(f"{file}:build")
    assert own.name == f"{file}:build"
    assert "build of " in notes[0]
    assert "num_classes=0" in notes[0]
    assert identify_own(own).facts.nodes == (("pooled", 8),)


def test_a_function_may_say_what_pixels_it_expects(file: Path) -> None:
    own, notes = read(f"{file}:plain")
    assert (own.preprocess.mean, own.preprocess.native_res) == (("0.5", "0.5", "0.5"), 24)
    assert "num_classes" not in notes[0]


def test_it_has_the_key_of_the_same_module_given_in_python(file: Path, tmp_path: Path) -> None:
    state = {name: torch.randn_like(value) for name, value in read(f"{file}:Net")[0].module.state_dict().items()}
    save_file({**state, "fc.weight": torch.ones(10, 8), "fc.bias": torch.ones(10)}, tmp_path / "w.safetensors")
    typed = identify_own(read(f"{file}:build", tmp_path / "w.safetensors")[0]).facts
    module = import_code(tmp_path, CODE, "nets").build(num_classes=0)  # as `import nets` has it
    module.load_state_dict(state)
    given = identify_own(OwnTrunk(module)).facts
    assert (typed.architecture, typed.weights_sha256) == (given.architecture, given.weights_sha256)


def test_the_same_file_gives_the_same_weights_and_leaves_the_random_numbers_alone(file: Path) -> None:
    before = torch.get_rng_state()
    one, two = (identify_own(read(f"{file}:build")[0]).facts.weights_sha256 for _ in range(2))
    assert one == two
    assert torch.equal(before, torch.get_rng_state())


def test_an_edited_file_is_read_again(file: Path) -> None:
    first = identify_own(read(f"{file}:build")[0]).facts
    file.write_text(CODE.replace("+ .1", "+ .25"))
    assert identify_own(read(f"{file}:build")[0]).facts.architecture != first.architecture


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nets.py:bild", r"found no function 'bild' in .*nets.py; expected one of: build, .*, twist|twist, build"),
        ("nets.py", "found no function ''"),
        ("nets.py:number", "found no function 'number'"),
        ("none.py:build", "found no file .*none.py"),
        ("nets.py:fails", r"fails raised ValueError: no such \(line \d+ of nets.py\); expected a module"),
        ("nets.py:wanting", "wanting raised TypeError: wanting.. missing 1 required"),
        ("nets.py:text", "text gives a str; expected an nn.Module or a fixgrid.OwnTrunk"),
        ("broken.py:build", "broken.py raised SyntaxError"),
        ("exits.py:build", r"exits.py raised SystemExit: 3"),
    ],
)
def test_what_gives_no_module_is_refused_in_one_line(file: Path, name: str, says: str) -> None:
    (file.parent / "broken.py").write_text("def build(:\n")
    (file.parent / "exits.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(UsageError, match=says) as caught:
        read(str(file.parent / name))
    assert "\n" not in str(caught.value)


def test_what_gives_no_features_is_refused(file: Path) -> None:
    with pytest.raises(UsageError, match="pool its feature maps"):
        identify_own(read(f"{file}:maps")[0])


def test_weights_that_do_not_fit_are_refused(file: Path, tmp_path: Path) -> None:
    save_file({"conv.weight": torch.ones(8, 3, 3, 3)}, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=r"1 missing \(conv.bias\)"):
        read(f"{file}:build", tmp_path / "w.safetensors")
    (tmp_path / "w.pth").write_bytes(b"no weights")
    with pytest.raises(DataError, match="not a plain state dict"):
        read(f"{file}:build", tmp_path / "w.pth")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    write_splits(folder / "data")
    (folder / "script_layers.py").write_text(LAYERS)
    (folder / "nets.py").write_text(CODE + "\nopen(__file__ + '.ran', 'a').write('x')\n")
    write_graph(folder / "net.onnx")
    torch.manual_seed(1)
    save_file({"conv.weight": torch.randn(8, 3, 3, 3), "conv.bias": torch.randn(8)}, folder / "w.safetensors")
    return folder


@pytest.mark.parametrize(
    ("trunk", "weights"), [("nets.py:build", "w.safetensors"), ("net.onnx", None)], ids=["py", "onnx"]
)
def test_the_whole_chain_runs_on_it(
    work: Path, monkeypatch: pytest.MonkeyPatch, trunk: str, weights: str | None
) -> None:
    monkeypatch.chdir(work)
    head = trunk.replace(":", "-")
    asked = {"trunk": trunk, "weights": weights, "workers": 1}
    assert fixgrid.extract("data", res=[24, 32], **asked).outcome.passes
    assert "everything is cached" in fixgrid.plan("data", res=32, **asked).format()
    assert len(fixgrid.grid(trunk=trunk).cells) == 4
    kept = fixgrid.fit_head(trunk=trunk, pairs="32:32", out=head)
    found = fixgrid.predict(head, "data/test", trunk=trunk, workers=1)
    assert (found.outcome.decoded, len(found.predictions)) == (0, 12)
    test = fixgrid.evaluate(head, "data", trunk=trunk, workers=1)
    assert test.figures.top1.value == pytest.approx(kept.record["test"]["value"])
    fixgrid.export(head, "onnx", f"{head}-whole", trunk=trunk)
    expect_equal(work / f"{head}-whole.onnx", work / head, trunk)
    with pytest.raises(UsageError, match="choose --to onnx"):
        fixgrid.export(head, "safetensors", "no", trunk=trunk)
    if trunk == "net.onnx":
        with pytest.raises(UsageError, match="found an ONNX graph, which torch cannot run"):
            fixgrid.export(head, "torch", "no", trunk=trunk)


def expect_equal(exported: Path, head: Path, trunk: str) -> None:
    """Probabilities of new pictures by the exported file and by predict."""
    pictures = make_probe(32)
    folder = head.with_name(f"new-{head.name}")
    folder.mkdir()
    for i, pixels in enumerate(pictures):
        Image.fromarray(pixels).resize((37, 37)).save(folder / f"{i}.png")
    found = fixgrid.predict(head, folder, trunk=trunk, workers=1)
    record = json.loads(head.with_name(f"{head.name}.json").read_text())
    files, view = sorted(folder.iterdir()), read_view(record["view"])
    crops = np.concatenate([render_view(decode_rgb(file.read_bytes()), view, b"") for file in files])
    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"pixels": crops})
    wanted = [[dict(one.top)[name] for name in record["classes"]] for one in found.predictions]
    np.testing.assert_allclose(scores, wanted, atol=1e-4)


def test_neither_a_heads_file_nor_settings_nor_a_cache_are_a_reason_to_run_code(work: Path) -> None:
    trunk = "nets.py:build"
    run("extract", "--data", "data", "--res", "24", "--trunk", trunk, "--cache", "other", cwd=work)
    run("fit-head", "--trunk", trunk, "--cache", "other", "--out", "kept", cwd=work)
    ran = (work / "nets.py.ran").read_bytes()
    (work / "fixgrid.toml").write_text(f'trunk = "{trunk}"\n')
    for words in (
        ("predict", "kept", "data/test"),
        ("evaluate", "kept", "--data", "data"),
        ("export", "kept", "--to", "onnx", "--out", "no"),
    ):
        said = run(*words, cwd=work, code=2, FIXGRID_TRUNK=trunk).stderr
        assert "give --trunk nets.py:build, since a head's file is no reason to run" in said
    said = run("extract", "--data", "data", cwd=work, code=2).stderr
    assert "found nets.py:build in fixgrid.toml, which is no reason to run code: type --trunk" in said
    (work / "fixgrid.toml").unlink()
    said = run("cache", "verify", "--sample", 1, "--cache", "other", cwd=work, code=4).stderr
    assert "a cache is no reason to run" in said
    assert (work / "nets.py.ran").read_bytes() == ran
    assert len(FeatureStore(work / "other").entries()) == 4


def test_weights_are_found_where_they_were_and_others_are_refused(work: Path) -> None:
    words = ("--data", "data", "--res", "24", "--cache", "third")
    run("extract", *words, "--trunk", "nets.py:build", "--weights", "w.safetensors", cwd=work)
    run("fit-head", "--cache", "third", "--out", "weighted", cwd=work)
    assert ": 0 decoded" in run("predict", "weighted", "data/test", "--cache", "third", "--trunk", "nets.py:build",
                                cwd=work).stderr  # fmt: skip
    save_file({"conv.weight": torch.ones(8, 3, 3, 3), "conv.bias": torch.ones(8)}, work / "v.safetensors")
    said = run("predict", "weighted", "data/test", "--trunk", "nets.py:build", "--weights", "v.safetensors",
               cwd=work, code=4).stderr  # fmt: skip
    assert "on which the head was fitted" in said
