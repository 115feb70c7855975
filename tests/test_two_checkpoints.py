"""Two checkpoints of one architecture in one cache: every function by either's label."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from stub import SilentWatcher
from test_cli import run
from zoo import write_splits

import fixgrid
from fixgrid.cache.errors import UsageError
from fixgrid.embed.trunks.trunk import load_trunk
from fixgrid.looking import list_cache

TRUNK = "timm:test_resnet"
QUICK = {"workers": 1, "engine": "inline", "backend": "eager"}


class World:
    """A folder of photographs, two checkpoints and a cache."""

    def __init__(self, folder: Path) -> None:
        self.data, self.cache, self.digests = folder / "data", folder / "cache", []
        write_splits(self.data)
        for seed in (0, 1):
            trunk = load_trunk(TRUNK, random_seed=seed)
            self.digests.append(trunk.weights_sha256)
            torch.save({"model_ema": trunk.module.state_dict()}, folder / f"{seed}.pt")
        self.files = [folder / f"{seed}.pt" for seed in (0, 1)]

    def extract(self, seed: int, name: str | None = None) -> tuple[int, list[str]]:
        watcher = SilentWatcher()
        done = fixgrid.extract(
            self.data, trunk=TRUNK, weights=self.files[seed], name=name, res=32, train_views=0, cache=self.cache,
            watcher=watcher, **QUICK,
        )  # fmt: skip
        return done.outcome.decoded, watcher.notices


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Of which nobody named the first checkpoint; of the other, see the tests."""
    world = World(tmp_path_factory.mktemp("world"))
    for seed in (0, 1):
        decoded, notices = world.extract(seed)
        assert decoded == 36
        assert [line for line in notices if "model_ema" in line]
    return world


def test_both_are_asked_for_until_one_is_named(world: World) -> None:
    labels = [f"{TRUNK}@{digest[:8]}" for digest in world.digests]
    for trunk in (None, TRUNK):
        with pytest.raises(UsageError, match=rf"\({', '.join(sorted(labels))}\): choose with --trunk"):
            fixgrid.grid(trunk=trunk, cache=world.cache)
    assert {record["trunk"] for record in list_cache(world.cache)} == set(labels)


@pytest.mark.parametrize("seed", [0, 1])
def test_every_function_takes_a_digest(world: World, seed: int, tmp_path: Path) -> None:
    expect_all(world, seed, f"{TRUNK}@{world.digests[seed][:4]}", f"{TRUNK}@{world.digests[seed][:8]}", tmp_path)


def test_every_function_takes_a_name_given_later_at_no_pass(world: World, tmp_path: Path) -> None:
    decoded, notices = world.extract(1, "tuned")
    assert decoded == 0
    assert not [line for line in notices if "model_ema" in line]
    expect_all(world, 1, "tuned", "tuned", tmp_path)
    assert {record["trunk"] for record in list_cache(world.cache)} == {f"{TRUNK}@{world.digests[0][:8]}", "tuned"}
    assert "tuned" in run("cache", "ls", "--cache", world.cache).stdout
    said = run("grid", "--cache", world.cache, "--trunk", "tuned", "--heads", "mean").stderr
    assert "trunk  tuned (option)" in said
    by_digest = fixgrid.duplicates(trunk=f"{TRUNK}@{world.digests[1][:6]}", cache=world.cache)
    assert by_digest.holdings.trunk == "tuned"


def expect_all(world: World, seed: int, wanted: str, label: str, out: Path) -> None:
    """Every function that reads features, and the head that it makes, are of one checkpoint."""
    asked = {"trunk": wanted, "cache": world.cache}
    cells = fixgrid.grid(**asked, heads="mean")
    kept = fixgrid.fit_head(**asked, heads="mean")
    record = json.loads(kept.files[1].read_text())
    assert kept.files[1].name == f"data-{label}-32-32.json"
    assert record["trunk"]["weights_sha256"] == world.digests[seed]
    assert (record["trunk"]["trunk"], record["trunk"]["weights"]) == (TRUNK, str(world.files[seed]))
    assert kept.record["test"]["value"] == cells.best.test.value
    page = fixgrid.report(**asked, heads="mean", out=out / "page.html").read_text()
    assert label in page
    assert world.digests[seed] in page
    assert fixgrid.duplicates(**asked).holdings.trunk == label
    head = kept.files[1]
    predicted = fixgrid.predict(head, world.data / "test", cache=world.cache, **QUICK)
    assert predicted.outcome.decoded == 0
    figures = fixgrid.evaluate(head, world.data, cache=world.cache, **QUICK).figures
    assert figures.top1.value == cells.best.test.value
    exported = fixgrid.export(head, "onnx", out / "network.onnx")
    assert exported.distance is not None
    assert exported.distance < 1e-4


def test_rows_computed_again_are_those_of_the_file_that_made_them(world: World) -> None:
    from fixgrid.looking import verify_cache

    assert verify_cache(world.cache, sample=1) == (6, [])


def test_a_name_that_no_label_can_hold_is_refused(world: World) -> None:
    for name in ("", "a@b", "a b", "x" * 81):
        with pytest.raises(UsageError, match="expected up to 80 letters"):
            world.extract(0, name)
