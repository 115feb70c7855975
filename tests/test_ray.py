"""Workers on a Ray cluster: three nodes of one core each on this machine, which see the same files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from faulty import OpenFiled, fail_to_open, open_faulty, open_slow, spoil
from stub import SilentWatcher, open_stub
from test_engine import VIEWS, load, make_extraction, wait_for_shard
from zoo import write_photos

from fixgrid.cache.errors import FixgridError, UsageError
from fixgrid.cache.shard import Status
from fixgrid.embed.engines.cluster import Hosts
from fixgrid.embed.engines.deaths import WorkerError
from fixgrid.embed.engines.engine import Course
from fixgrid.embed.engines.ray_actors import RayEngine
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.outcome import Outcome
from fixgrid.embed.run import Part, run_pass
from fixgrid.embed.sizing import Machine, Sizing
from fixgrid.embed.work import prepare_pass

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three nodes; the first is this process'."""
    from ray.cluster_utils import Cluster

    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "RAY_USAGE_STATS_ENABLED": "0"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in paths.items():
            patch.setenv(name, value)
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        for _ in range(2):
            made.add_node(num_cpus=1)
        yield made
        made.shutdown()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_photos(tmp_path / "data", 130)
    return tmp_path / "data"


def run(
    data: Path, cache: str, opener: Callable[..., object] = open_stub, *, address: str | None = None, **options: Any
) -> tuple[Extraction, Outcome, SilentWatcher]:
    """The whole extraction: by three workers of the cluster at an address, or by local ones."""
    extraction, watcher = make_extraction(data, cache), options.pop("watcher", None) or SilentWatcher()
    hosts = Hosts(address or "", elastic=options.pop("elastic", False))
    options = {"engine": "local" if address is None else "ray", **options}
    part = Part(extraction, lambda views: opener)
    return extraction, run_pass([part], watcher, Sizing(3, 1, 0, hosts=hosts), **options), watcher


def read_sealed(extraction: Extraction) -> list[bytes]:
    return [extraction.entries["train", view, "pooled"].sealed_file.read_bytes() for view in VIEWS]


def list_actors() -> list[int]:
    """Processes of actors below this one."""
    parents, actors = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words, status = (folder / "cmdline").read_bytes(), (folder / "stat").read_text()
        except OSError:
            continue
        parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
        actors += [int(folder.name)] if words.startswith(b"ray::Slot") else []

    def is_ours(pid: int) -> bool:
        return pid == os.getpid() or (pid in parents and is_ours(parents[pid]))

    return [pid for pid in actors if is_ours(pid)]


def test_three_nodes_give_the_bytes_of_one_machine_and_each_takes_the_trunks_files_once(
    cluster: Any, data: Path, tmp_path: Path
) -> None:
    opener = OpenFiled(tmp_path / "files", tmp_path / "notes")
    opener.notes.mkdir()
    (opener.folder / "of trunk").mkdir(parents=True)
    (opener.folder / "of trunk" / "name").write_text("stub")
    mine, _, _ = run(data, "mine")
    theirs, outcome, watcher = run(data, "theirs", opener, address=cluster.address, elastic=True)
    assert outcome.decoded == 130
    assert watcher.notices == [
        f"working on the Ray cluster at {cluster.address}, 3 machines: 3 CPU, 1 CPU each worker"
    ]
    assert read_sealed(theirs) == read_sealed(mine)
    places = [note.name.removeprefix("stub ").replace("|", "/") for note in opener.notes.iterdir()]
    assert sum(place.startswith(f"{tempfile.gettempdir()}/fixgrid-parcel-") for place in places) == 2
    assert [place for place in places if Path(place).exists()] == [str(opener.folder)]
    assert list_actors() == []


def test_an_image_that_ends_its_decoder_is_quarantined_by_name(cluster: Any, data: Path) -> None:
    spoil(data / "a" / "0004.png", b"segv")
    spoil(data / "b" / "0007.png", b"exit")
    _, outcome, watcher = run(data, "cache", open_faulty, address=cluster.address, max_bad=0.1)
    assert [(bad.path, bad.status) for bad in outcome.bad] == [
        (b"a/0004.png", Status.CRASH),
        (b"b/0007.png", Status.CRASH),
    ]
    assert sum("a worker ended (" in line for line in watcher.notices) == 4


class Breaking(SilentWatcher):
    """Ends actors, then a node, as soon as features were committed and jobs are under way."""

    def __init__(self, cluster: Any, cache: Path) -> None:
        super().__init__()
        self.cluster, self.cache, self.left = cluster, cache, [*"aan"]

    def advance(self, done: int, share: float | None = None) -> None:
        super().advance(done, share)
        if self.left and len(list(self.cache.rglob("shards/0*.h5"))) >= 2 * (4 - len(self.left)):
            if self.left.pop(0) == "a":
                os.kill(list_actors()[0], signal.SIGKILL)
            else:
                self.cluster.remove_node(self.cluster.list_all_nodes()[-1], allow_graceful=False)


def test_actors_and_a_node_that_end_in_mid_run_cost_time_alone(cluster: Any, data: Path) -> None:
    mine, _, _ = run(data, "mine")
    watcher = Breaking(cluster, data.parent / "theirs")
    try:
        theirs, outcome, _ = run(data, "theirs", open_slow, address=cluster.address, elastic=True, watcher=watcher)
    finally:
        cluster.add_node(num_cpus=1)
    assert watcher.left == []
    assert (len(load(theirs)[0]), outcome.bad) == (130, [])
    assert any(line.startswith("an actor ended at train rows") for line in watcher.notices)
    assert read_sealed(theirs) == read_sealed(mine)


DRIVER = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
if __name__ == "__main__":
    from test_ray import run
    from faulty import open_tiring
    from fixgrid.cache.errors import FixgridError
    try:
        run(Path(sys.argv[2]), "cache", open_tiring, address=sys.argv[3])
    except FixgridError as error:
        print(error)
        sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("alone", [False, True])
def test_ctrl_c_leaves_a_cache_that_resumes_and_no_process(cluster: Any, data: Path, alone: bool) -> None:
    script = data.parent / "driver.py"
    script.write_text(DRIVER)
    words = [sys.executable, str(script), str(ROOT), str(data), "" if alone else cluster.address]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as driver:
        wait_for_shard(data.parent / "cache")
        os.killpg(driver.pid, signal.SIGINT)  # as a terminal does
        output, _ = driver.communicate(timeout=40)
    assert (driver.returncode, output) == (130, "stopped; everything computed so far is safe.\n")
    with pytest.raises(ProcessLookupError):
        os.killpg(driver.pid, 0)
    assert list_actors() == []
    mine, _, _ = run(data, "mine")
    resumed, outcome, _ = run(data, "cache")
    assert 0 < outcome.computed < 260
    for ours, theirs in zip(load(resumed), load(mine), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_cannot_run_ends_in_one_line(cluster: Any, data: Path) -> None:
    with pytest.raises(WorkerError, match=r"workers died 3 times, last with exit code 7 at train row -1"):
        run(data, "cache", fail_to_open, address=cluster.address)
    extraction = make_extraction(data, "cache")
    jobs = prepare_pass([extraction], SilentWatcher(), lambda: False).jobs
    engine = RayEngine(Sizing(1, 1, 0, hosts=Hosts(cluster.address, cpus=8)), Course(), start_s=1)
    with pytest.raises(WorkerError, match=r"no room for a worker for 1 s, expected 8 CPU free on a machine"):
        list(engine.run(jobs, {0: open_stub}))
    assert list_actors() == []


def test_a_cluster_is_asked_how_many_workers_it_has_room_for(cluster: Any) -> None:
    import ray

    try:
        asked = Machine(device="cpu", engine="ray", ray_address=cluster.address)
        assert asked.size(100 << 20).workers == 3
        assert asked.size(1 << 40).workers == 1  # one that waits for a machine
    finally:
        ray.shutdown()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1:9", r"found nobody at --ray-address 127\.0\.0\.1:9 \(Connection refused\)"),
        ("ray://127.0.0.1:10001", r"found --ray-address 'ray://127\.0\.0\.1:10001'; expected auto or HOST:PORT"),
        ("nonsense", r"found --ray-address 'nonsense'; expected auto or HOST:PORT"),
    ],
)
def test_an_address_of_no_cluster_is_refused_at_once(address: str, reason: str) -> None:
    began = time.monotonic()
    with pytest.raises(UsageError, match=reason):
        Machine(device="cpu", engine="ray", ray_address=address).size(0)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"ray_address": "auto"}, r"found --ray-address with --engine local; expected --engine ray"),
        ({"gpus_per_worker": 0.5}, r"found --gpus-per-worker with --engine local"),
        ({"engine": "ray", "gpus_per_worker": 1.5}, r"found --gpus-per-worker 1\.5; expected a share"),
    ],
)
def test_options_of_ray_that_do_not_fit_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(FixgridError, match=reason):
        Machine(device="cpu", **options).resolve()
