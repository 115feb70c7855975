from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fixgrid.embed.trunks import trunk as trunks
from fixgrid.embed.trunks.identity import identify_trunk, recall_trunk

ROOT = Path(__file__).resolve().parents[1]


def test_a_remembered_trunk_is_the_trunk(tmp_path: Path) -> None:
    first, load = identify_trunk("efficientnet_lite0", None, tmp_path)
    again, _ = identify_trunk("efficientnet_lite0", None, tmp_path)
    assert again == first
    trunk = load()
    assert (first.weights_sha256, first.nodes, first.preprocess) == (
        trunk.weights_sha256,
        (("pooled", trunk.dim),),
        trunk.preprocess,
    )


def test_a_remembered_trunk_costs_no_torch(tmp_path: Path) -> None:
    identify_trunk("efficientnet_lite0", None, tmp_path)
    code = (
        "import sys; from pathlib import Path; from fixgrid.embed.trunks.identity import identify_trunk;"
        f"identify_trunk('efficientnet_lite0', None, Path({str(tmp_path)!r}));"
        "sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_changed_weights_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import load_file, save_file

    weights = tmp_path / "w.safetensors"
    save_file(trunks.load_trunk("efficientnet_lite0").module.state_dict(), weights)
    first, _ = identify_trunk("efficientnet_lite0", weights, tmp_path)
    state = load_file(weights)
    state["conv_stem.weight"] *= 1.5
    save_file(state, weights)
    again, _ = identify_trunk("efficientnet_lite0", weights, tmp_path)
    assert again.weights_sha256 != first.weights_sha256


def test_what_was_remembered_before_crop_modes_is_read_once_more(tmp_path: Path) -> None:
    """Of timm's trunks: their metadata may ask for one. No other library's does."""
    first, _ = identify_trunk("efficientnet_lite0", None, tmp_path)
    (memo,) = tmp_path.glob("*.json")
    record = json.loads(memo.read_bytes())
    del record["facts"]["preprocess"]["crop_mode"]
    memo.write_text(json.dumps(record))
    assert recall_trunk("efficientnet_lite0", None, tmp_path) is None
    assert identify_trunk("efficientnet_lite0", None, tmp_path)[0] == first
    assert recall_trunk("efficientnet_lite0", None, tmp_path) == first
    record["facts"]["architecture"] = "torchvision:resnet18"
    memo.write_text(json.dumps(record))
    remembered = recall_trunk("efficientnet_lite0", None, tmp_path)
    assert remembered is not None
    assert remembered.preprocess == first.preprocess


def test_a_damaged_memo_is_ignored(tmp_path: Path) -> None:
    first, _ = identify_trunk("efficientnet_lite0", None, tmp_path)
    (memo,) = tmp_path.glob("*.json")
    memo.write_bytes(memo.read_bytes()[:40])
    assert identify_trunk("efficientnet_lite0", None, tmp_path)[0] == first
