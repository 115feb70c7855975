"""What a machine of a cluster must have, and how one that lacks it is told: no cluster is needed to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from zoo import write_photos

from fixgrid.cache.errors import UsageError
from fixgrid.embed.engines import cluster
from fixgrid.embed.engines.cluster import expect_ray
from fixgrid.embed.engines.deaths import WorkerError
from fixgrid.embed.engines.slot import Terms, list_versions
from fixgrid.embed.job import ShardJob
from fixgrid.embed.sizing import Machine, size_actors


@pytest.fixture
def terms(tmp_path: Path) -> Terms:
    write_photos(tmp_path / "data", 1)
    beacon = tmp_path / "cache" / "shards" / "beacon"
    beacon.parent.mkdir(parents=True)
    beacon.touch()
    sample = ShardJob("train", str(tmp_path / "data"), 0, (b"a/0000.png",), (b"",), ())
    return Terms(list_versions(), beacon, sample)


def lose_cache(terms: Terms) -> Terms:
    terms.beacon.unlink()
    return terms


def lose_images(terms: Terms) -> Terms:
    return replace(terms, sample=replace(terms.sample, root=f"{terms.sample.root}/elsewhere"))


def change(package: str, version: str) -> Callable[[Terms], Terms]:
    return lambda terms: replace(terms, versions={**terms.versions, package: version})


def test_a_machine_like_this_one_meets_the_terms(terms: Terms) -> None:
    terms.expect_met("node7")


@pytest.mark.parametrize(
    ("lose", "reason"),
    [
        (
            lose_cache,
            r"found no \S+/cache/shards of this run on node7, where features go; expected one file system",
        ),
        (
            lose_images,
            r"node7 cannot read images of \S+/elsewhere \(No such file or directory\); expected one file",
        ),
        (change("pillow", "1.1"), r"found pillow \S+ on node7, expected 1\.1 as here: install the same versions"),
        (change("python", "3.9"), r"found python 3\.\d+ on node7, expected 3\.9 as here"),
    ],
)
def test_a_machine_that_lacks_something_is_told_in_one_line(
    terms: Terms, lose: Callable[[Terms], Terms], reason: str
) -> None:
    with pytest.raises(WorkerError, match=reason) as raised:
        lose(terms).expect_met("node7")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("found", ["2.49.2", "3.0.0", "1.13"])
def test_a_ray_that_was_not_tried_is_refused(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    monkeypatch.setattr(cluster, "version", lambda name: found)
    with pytest.raises(
        UsageError, match=rf"found ray {found}, expected 2\.50 or later and below 3.*fixgrid\[ray\]"
    ):
        Machine(device="cpu", engine="ray").resolve()


@pytest.mark.parametrize("found", ["2.50.1", "2.60.0", "2.61.0rc1"])
def test_a_ray_of_the_range_is_taken(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    monkeypatch.setattr(cluster, "version", lambda name: found)
    expect_ray()


def test_a_machine_without_ray_hears_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def miss(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(cluster, "version", miss)
    with pytest.raises(UsageError, match=r"found no ray, which --engine ray needs: pip install 'fixgrid\[ray\]'"):
        Machine(device="cpu", engine="ray").resolve()


def test_a_cluster_of_this_machine_has_the_workers_that_it_would_have_without() -> None:
    plain, ours = (Machine(device="cpu", workers="3", engine=engine) for engine in ("local", "ray"))
    sizing = size_actors(100 << 20, ours)
    assert replace(sizing, hosts=plain.size(100 << 20).hosts) == plain.size(100 << 20)
    assert (sizing.hosts.cpus, sizing.hosts.gpus, sizing.hosts.memory) == (sizing.threads, 0, 0)


def test_each_worker_of_a_cluster_elsewhere_has_a_core_and_its_memory() -> None:
    sizing = size_actors(100 << 20, Machine(device="cpu", workers="64", engine="ray", ray_address="10.0.0.1:6379"))
    assert (sizing.workers, sizing.threads, sizing.hosts.cpus) == (64, 1, 1)
    assert sizing.hosts.memory > 100 << 20


def test_a_worker_has_the_accelerator_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixgrid.embed.sizing.list_accelerators", lambda: ["0"])
    far = Machine(device="cuda", workers="8", engine="ray", ray_address="10.0.0.1:6379")
    assert size_actors(0, far).hosts.gpus == 1
    half = Machine(device="cuda", engine="ray", gpus_per_worker=0.5)
    assert (size_actors(0, half).workers, size_actors(0, half).hosts.gpus) == (2, 0.5)
