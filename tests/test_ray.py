"""Workers on a Ray cluster: three nodes of one core each on this machine, which see the same files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty import open_faulty, spoil
from stub import SilentWatcher, open_stub
from test_engine import VIEWS, make_extraction
from zoo import write_photos

from fixgrid.cache.shard import Status
from fixgrid.embed.engines.cluster import Hosts
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.outcome import Outcome
from fixgrid.embed.run import Part, run_pass
from fixgrid.embed.sizing import Sizing

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three nodes; the first is this process'."""
    import ray
    from ray.cluster_utils import Cluster

    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "RAY_USAGE_STATS_ENABLED": "0"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in paths.items():
            patch.setenv(name, value)
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        made.add_node(num_cpus=1)
        made.add_node(num_cpus=1)
        yield made
        ray.shutdown()
        made.shutdown()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_photos(tmp_path / "data", 130)
    return tmp_path / "data"


def run(
    data: Path, cache: str, opener: Callable[..., object] = open_stub, *, address: str = "", **options: Any
) -> tuple[Extraction, Outcome, SilentWatcher]:
    extraction, watcher = make_extraction(data, cache), options.pop("watcher", SilentWatcher())
    part = Part(extraction, lambda views: opener)
    sizing = Sizing(options.pop("workers", 3), 1, 0, hosts=Hosts(address, elastic=options.pop("elastic", False)))
    options = {"engine": "ray" if address else "local", **options}
    return extraction, run_pass([part], watcher, sizing, **options), watcher


def read_sealed(extraction: Extraction) -> list[bytes]:
    return [extraction.entries["train", view, "pooled"].sealed_file.read_bytes() for view in VIEWS]


def test_three_nodes_give_the_bytes_of_one_machine(cluster: Any, data: Path) -> None:
    mine, _, _ = run(data, "mine")
    theirs, outcome, watcher = run(data, "theirs", address=cluster.address, elastic=True)
    assert outcome.decoded == 130
    assert watcher.notices == [
        f"working on the Ray cluster at {cluster.address}, 3 machines: 3 CPU, 1 CPU each worker"
    ]
    assert read_sealed(theirs) == read_sealed(mine)


def test_an_image_that_ends_its_decoder_is_quarantined_by_name(cluster: Any, data: Path) -> None:
    spoil(data / "a" / "0004.png", b"segv")
    spoil(data / "b" / "0007.png", b"exit")
    _, outcome, watcher = run(data, "cache", open_faulty, address=cluster.address, max_bad=0.1)
    assert [(bad.path, bad.status) for bad in outcome.bad] == [
        (b"a/0004.png", Status.CRASH),
        (b"b/0007.png", Status.CRASH),
    ]
    assert sum("a worker ended (" in line for line in watcher.notices) == 4
