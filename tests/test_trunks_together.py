"""`extract` and `plan` with several trunks: what may be named, in how many passes, and what is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from stub import SilentWatcher
from test_cli import run
from torch import nn
from zoo import write_splits

import fixgrid
from fixgrid.cache.errors import UsageError
from fixgrid.embed import sizing
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.outcome import Outcome
from fixgrid.embed.sizing import WORKER_BYTES, Machine
from fixgrid.embed.speed import recall_ms, recall_speeds
from fixgrid.embed.trunks.files import split_names

HERE = {"workers": 1, "engine": "inline", "device": "cpu"}
ASKED = {"res": "16,24", "train_views": 1}
LITE, LITE1, VIT = "efficientnet_lite0", "efficientnet_lite1", "timm:vit_tiny_patch16_224"


class Mean(nn.Module):
    """A convolution and the mean of its cells."""

    def __init__(self, width: int) -> None:
        super().__init__()
        torch.manual_seed(width)
        self.conv = nn.Conv2d(3, width, 5, stride=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).relu().mean((2, 3))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_splits(tmp_path / "data")
    return tmp_path / "data"


def test_modules_of_ones_own_share_a_pass_and_each_is_timed(data: Path) -> None:
    nets, cache = [Mean(4), Mean(6)], data.parent / "joint"
    joint = fixgrid.extract(data, trunk=nets, cache=cache, **ASKED, **HERE)
    assert (joint.outcome.decoded, joint.outcome.images, joint.outcome.passes) == (36, 36, 16)
    alone = fixgrid.extract(data, trunk=nets[1], cache=data.parent / "alone", **ASKED, **HERE)
    mine, one = (done.extractions[-1].entries for done in (joint, alone))
    assert [entry.spec.key for entry in mine.values()] == [entry.spec.key for entry in one.values()]
    for ours, theirs in zip(mine.values(), one.values(), strict=True):
        assert ours.sealed_file.read_bytes() == theirs.sealed_file.read_bytes()
    speeds = recall_speeds(cache / "speed")
    digests = {one.trunk.weights_sha256 for one in joint.extractions}
    assert {speed.weights_sha256 for speed in speeds} == digests
    for speed in speeds:
        assert (speed.decoded, speed.crops) == (36, {16: 48, 24: 48})
        assert sum(speed.trunk_s.values()) == pytest.approx(speed.stages["trunk"])
        assert 0 < speed.wall_s < joint.outcome.wall_s
        ms = recall_ms(cache / "speed", speed.weights_sha256, (16, 24, 32))
        assert ms == {res: pytest.approx(1e3 * speed.trunk_s[res] / 48) for res in (16, 24)}
    again = fixgrid.extract(data, trunk=nets[::-1], cache=cache, **ASKED, **HERE)
    assert (again.outcome.decoded, again.outcome.passes) == (0, 0)
    planned = fixgrid.plan(data, trunk=nets, cache=cache, res="16,24", train_views=3, workers=1, device="cpu")
    first, second, both = (item.value for item in planned.items if item.what == "time left")
    assert 0 < both <= first + second + 0.1  # each is rounded
    assert [item.value for item in planned.items if item.what == "to decode"] == [12, 12, 12]


def test_trunks_that_do_not_fit_together_take_a_pass_each_and_are_recalibrated_in_turn(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizing, "read_available_bytes", lambda: int(WORKER_BYTES / sizing.MEMORY_SHARE) + 2000)
    nets, watcher = [Mean(4), Mean(5)], SilentWatcher()  # of 1,216 and 1,520 bytes
    asked = {"cache": data.parent / "c", "res": 16, "train_views": 0, "watcher": watcher}
    again: list[object] = []

    def recalibrate(extraction: Extraction, *how: object, **more: object) -> dict[int, Outcome]:
        again.append(extraction)
        return {16: Outcome(decoded=len(again), images=24)}

    monkeypatch.setattr("fixgrid.embed.recalibrate.expect_norm", lambda *asked: None)
    monkeypatch.setattr("fixgrid.embed.recalibrate.recalibrate_here", recalibrate)
    done = fixgrid.extract(data, trunk=nets, recalibrate=True, **asked, **HERE)
    assert (done.outcome.decoded, done.outcome.images, done.outcome.passes) == (72, 36, 6)
    assert [id(one) for one in again] == [id(one) for one in done.extractions]
    assert {res: (more.decoded, more.images) for res, more in done.recalibrated.items()} == {16: (1 + 2, 24)}
    [said] = watcher.notices
    assert said == "too little memory for all trunks at once: 2 passes over the images (Mean; Mean)"


def test_a_group_holds_what_fits_and_keeps_the_workers_of_its_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "read_available_bytes", lambda: 10 << 30)  # 7 to be used by 2 workers
    here = Machine(device="cpu", workers="2")
    gib = 1 << 30
    assert here.group([gib // 2, gib // 4, gib // 4]) == [[0, 1, 2]]
    assert here.group([gib, gib, gib // 8, gib // 5]) == [[0, 2], [1, 3]]
    assert here.group([9 * gib, gib, gib // 8]) == [[0], [1, 2]]
    assert here.group([]) == []


def test_weights_leave_an_accelerator_room_for_feature_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "read_available_bytes", lambda: 100 << 30)
    monkeypatch.setattr(sizing, "list_accelerators", lambda: ["0"])
    monkeypatch.setattr(sizing, "read_device_bytes", lambda device: 8 << 30)
    assert Machine(device="cuda").group([1 << 30, 2 << 30, 1 << 30]) == [[0, 2], [1]]


def test_a_text_is_cut_at_commas_unless_it_is_a_path(tmp_path: Path) -> None:
    assert split_names(f"{LITE}, {VIT},{LITE}") == [LITE, VIT]
    odd = tmp_path / "a,b"
    odd.mkdir()
    (odd / "net,1.py").touch()
    for name in (f"{odd}/net,1.py:build", f"{odd}/net,1.py", f"local-dir:{odd}", f"timm:local-dir:{odd}"):
        assert split_names(name) == [name]
    assert split_names(f"{odd}/none.py:build,{LITE}") == [f"{tmp_path}/a", "b/none.py:build", LITE]


def test_what_belongs_to_one_trunk_is_refused_with_several(data: Path) -> None:
    (data.parent / "w.pt").touch()
    for option, given in (("weights", data.parent / "w.pt"), ("name", "mine")):
        with pytest.raises(UsageError, match=rf"^found --{option} with 2 trunks, expected it with one: run each"):
            fixgrid.extract(data, trunk=f"{LITE},{VIT}", **{option: given})
    with pytest.raises(UsageError, match="found no trunk; expected one or more"):
        fixgrid.plan(data, trunk=[])


def test_a_size_that_one_does_not_take_is_refused_before_any_download(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*asked: object) -> None:
        raise AssertionError("weights were asked for")

    monkeypatch.setattr("fixgrid.identifying.identify_trunk", download)
    with pytest.raises(UsageError, match=rf"^found 250 px for {VIT}, expected a size that it takes"):
        fixgrid.extract(data, trunk=[LITE, VIT], res=250, cache=data.parent / "c", device="cpu")


def test_settings_have_no_code_run_among_several_either(tmp_path: Path) -> None:
    (tmp_path / "fixgrid.toml").write_text('trunk = "net.py:build,efficientnet_lite0"\n')
    assert "is no reason to run code" in run("extract", code=2, cwd=tmp_path).stderr


def test_a_plan_lists_each_trunk_and_decodes_once(data: Path) -> None:
    asked = ("--trunk", f"{LITE},{LITE1}", "--res", "32", "--train-views", "1", "--device", "cpu")
    said = run("plan", "--data", data, *asked, "--format", "json", cwd=data.parent)
    items = json.loads(said.stdout)
    found = {trunk: {i["what"]: i["value"] for i in items if i["trunk"] == trunk} for trunk in (LITE, LITE1, "")}
    for trunk in (LITE, LITE1):
        assert (found[trunk]["images"], found[trunk]["trunk passes"], found[trunk]["to run"]) == (36, 4, 48)
    total = found[""]
    assert (total["images"], total["to decode"], total["trunk passes"], total["to run"]) == (36, 36, 8, 96)
    assert total["multiply-adds"] == pytest.approx(sum(found[t]["multiply-adds"] for t in (LITE, LITE1)), abs=0.2)
    assert total["features"] == pytest.approx(sum(found[t]["features"] for t in (LITE, LITE1)), abs=0.2)
    assert total["time left"] == "unknown"
    assert f"trunk    {LITE}, {LITE1} (option)" in said.stderr
    assert not (data.parent / "features" / "v1").exists()
