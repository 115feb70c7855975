from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from bucket import KEYS, NAME, Bucket, serve_bucket
from bucketed import start_writer
from click.testing import CliRunner
from entries import commit_rows, features_of, make_rows, make_spec
from zoo import write_photos

import fixgrid
from fixgrid.cache import bucket, mirror, objectstore
from fixgrid.cache.address import Place
from fixgrid.cache.disk import commit_bytes, read_file, remove_file
from fixgrid.cache.entry import Entry
from fixgrid.cache.errors import DiskError
from fixgrid.cache.mirror import open_folder
from fixgrid.cache.shard import Shard, commit_shard
from fixgrid.cache.store import FeatureStore
from fixgrid.cli import main

pytest.importorskip("s3fs")
pytest.importorskip("moto.server")
ROWS = make_rows(40)
SPEC = make_spec(ROWS)


@pytest.fixture(scope="module")
def served() -> Iterator[Bucket]:
    with serve_bucket() as made:
        yield made


@pytest.fixture
def url(served: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A cache of its own in a bucket, as a machine of its own sees it."""
    monkeypatch.setenv("FIXGRID_MIRROR", str(tmp_path / "here"))
    monkeypatch.setattr(bucket, "_opened", {})
    monkeypatch.setattr(bucket, "PAUSES_S", [0.01])
    served.fault = lambda method, path: ""
    served.clear()
    return f"s3://{NAME}/{tmp_path.name}"


@pytest.fixture
def move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """To another machine, of which nothing but the bucket is known here."""

    def go(machine: str) -> None:
        monkeypatch.setenv("FIXGRID_MIRROR", str(tmp_path / machine))
        monkeypatch.setattr(mirror, "_known", {})

    return go


def open_entry(cache: str | Path) -> Entry:
    return FeatureStore(open_folder(cache)).entry(SPEC)


def fill(entry: Entry, step: int = 10) -> None:
    """What is missing, and the seal: what an extraction does with an entry."""
    entry.create(ROWS)
    entry.set_aside_damage()
    missing = entry.find_missing()
    for start in range(0, len(ROWS), step):
        if missing[start : start + step].any():
            commit_rows(entry, ROWS, start, start + step)
    if entry.read_seal() is None:
        entry.seal({})
    entry.drop_shards()


def list_bucket(url: str) -> list[str]:
    return sorted(bucket.list_objects(Place(url, "")))


def write_data(folder: Path) -> Path:
    for seed, (split, n) in enumerate({"train": 40, "val": 16, "test": 16}.items()):
        write_photos(folder / split, n, seed=seed)
    return folder


def test_a_shard_is_one_put_under_its_contents_name(url: str, served: Bucket) -> None:
    entry = open_entry(url)
    entry.create(ROWS)
    served.clear()
    path = commit_rows(entry, ROWS, 0, 10)
    assert [method for method, _ in served.requests] == ["PUT"]
    assert served.requests[0][1].endswith(path.name)


def test_equal_rows_of_two_machines_are_one_object(url: str, move: Callable[[str], None]) -> None:
    commit_rows(open_entry(url), ROWS, 0, 10)
    before = list_bucket(url)
    move("there")
    commit_rows(open_entry(url), ROWS, 0, 10)
    assert list_bucket(url) == before
    move("elsewhere")
    assert not open_entry(url).find_missing()[:10].any()


def test_what_a_machine_commits_another_reads(url: str, move: Callable[[str], None]) -> None:
    fill(open_entry(url))
    move("there")
    sealed = open_entry(url).open()
    assert np.array_equal(sealed.load(ROWS).X, features_of(ROWS, SPEC))
    assert not any(".tmp" in name or "lock" in name for name in list_bucket(url))
    assert not any("/shards/" in name for name in list_bucket(url))


def test_only_what_is_read_is_fetched(url: str, move: Callable[[str], None], served: Bucket) -> None:
    fill(open_entry(url))
    commit_bytes(open_folder(url) / "heads/a.safetensors", b"tensors")
    move("there")
    served.clear()
    assert len(FeatureStore(open_folder(url)).sealed()) == 1
    assert served.count("GET", "features.") + served.count("GET", "heads/a") == 0
    assert read_file(open_folder(url) / "heads/a.safetensors") == b"tensors"
    open_entry(url).open().load(ROWS)
    open_entry(url).open().load(ROWS)
    assert served.count("GET", "features.") == 1


class Killed(BaseException):
    """As if by kill -9: nothing that catches errors goes on."""


def test_killed_between_any_two_requests_it_resumes(
    url: str, move: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(open_entry(tmp_path / "plain"))
    expected = open_entry(tmp_path / "plain").sealed_file.read_bytes()
    asked, done = bucket._try, 0

    def die(what: str, *args: object) -> object:
        nonlocal left
        if what in ("write", "remove"):
            left -= 1
            if left < 0:
                raise Killed
        return asked(what, *args)

    monkeypatch.setattr(bucket, "_try", die)
    for at in range(100):
        cache, left = f"{url}/{at}", at
        move(f"a{at}")
        try:
            fill(open_entry(cache))
        except Killed:
            done += 1
        else:
            break
        left = 1000
        if at % 2:  # on another machine, or on this one with what it left
            move(f"b{at}")
        fill(open_entry(cache), step=8)
        assert open_entry(cache).sealed_file.read_bytes() == expected
        move(f"c{at}")
        assert np.array_equal(open_entry(cache).open().load(ROWS).X, features_of(ROWS, SPEC))
        assert not any("/shards/" in name for name in list_bucket(cache))
    assert done == 12  # rows.h5, spec.json, 4 shards, features, seal, 4 shards removed


def test_of_two_who_seal_other_features_the_seal_names_its_own(url: str, move: Callable[[str], None]) -> None:
    """Machines may differ in last bits; whose seal comes last, the features are those that it vouches for."""
    first = open_entry(url)
    fill(first)
    seal = read_file(first.folder / "sealed.json")
    remove_file(first.folder / "sealed.json")
    move("there")
    other = open_entry(url)
    other.create(ROWS)
    features = features_of(ROWS, SPEC) + np.float32(1)
    commit_shard(other.shards_folder, SPEC.key, Shard(0, features, np.zeros(len(ROWS), np.uint8)))
    other.seal({})
    for machine in ("third", "here"):
        move(machine)
        assert np.array_equal(open_entry(url).open().load(ROWS).X, features)
    commit_bytes(other.folder / "sealed.json", seal)
    move("fourth")
    assert np.array_equal(open_entry(url).open().load(ROWS).X, features_of(ROWS, SPEC))


def test_what_others_change_or_remove_is_seen(url: str, move: Callable[[str], None]) -> None:
    head, names = "heads/a.json", "v1/names/b.json"
    for name in (head, names):
        commit_bytes(open_folder(url) / name, b"old")
    commit_bytes(open_folder(url) / "heads/a.safetensors", b"old tensors")
    move("there")
    assert read_file(open_folder(url) / "heads/a.safetensors") == b"old tensors"
    move("here")
    commit_bytes(open_folder(url) / head, b"new")
    commit_bytes(open_folder(url) / "heads/a.safetensors", b"new tensors")
    remove_file(open_folder(url) / names)
    move("there")
    folder = open_folder(url)
    assert read_file(folder / head) == b"new"
    assert read_file(folder / "heads/a.safetensors") == b"new tensors"
    assert not (folder / names).exists()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_copy_that_is_damaged_here_is_fetched_anew(url: str, served: Bucket) -> None:
    entry = open_entry(url)
    entry.create(ROWS)
    flip(commit_rows(entry, ROWS, 0, 10))
    served.clear()
    assert entry.set_aside_damage() == []
    fill(entry)
    flip(entry.sealed_file)
    assert np.array_equal(open_entry(url).open().load(ROWS).X, features_of(ROWS, SPEC))
    assert served.count("PUT", "/shards/000000000") == 0


def test_what_is_damaged_in_the_bucket_is_computed_again(url: str, move: Callable[[str], None]) -> None:
    entry = open_entry(url)
    entry.create(ROWS)
    path = commit_rows(entry, ROWS, 0, 10)
    flip(path)
    mirror.publish_file(path, path)
    move("there")
    other = open_entry(url)
    other.create(ROWS)
    assert [line.partition(":")[0] for line in other.set_aside_damage()] == [
        "set aside, and rows 0 to 10 are recomputed"
    ]
    assert other.find_missing().all()
    fill(other)
    assert np.array_equal(other.open().load(ROWS).X, features_of(ROWS, SPEC))


def test_what_only_speeds_one_machine_up_stays_there(url: str) -> None:
    for name in ("speed/a.json", "hashes/b", "cells/c.json", "trunks/d.json", "runs/e.json", "v1/locks/f.lock"):
        commit_bytes(open_folder(url) / name, b"mine")
    assert list_bucket(url) == []


def test_what_strangers_put_stays_in_the_mirror(url: str, tmp_path: Path) -> None:
    (tmp_path / "evil").write_bytes(b"mine")
    for name in ("v1/../../../../out.json", "out.json", "v1/../../x.json", "speed/x.json"):
        bucket.put_object(Place(url, name), tmp_path / "evil")
    open_folder(url)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["evil"]


@pytest.mark.parametrize("fault", ["refuse", "drop"])
def test_requests_that_fail_now_and_then_cost_nothing(url: str, served: Bucket, fault: str) -> None:
    turn = iter(range(10_000))
    served.fault = lambda method, path: fault if next(turn) % 5 < 2 else ""
    fill(open_entry(url))
    assert np.array_equal(open_entry(url).open().load(ROWS).X, features_of(ROWS, SPEC))


def test_for_half_a_minute_it_is_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slept: list[float] = []

    class Busy:
        """A file system that fails once more than is tried, or less."""

        def __init__(self, failures: int) -> None:
            self.failures = failures

        def put_file(self, here: str, there: str) -> None:
            self.failures -= 1
            if self.failures >= 0:
                raise RuntimeError("reset by //me:hidden@peer\nmore")

    monkeypatch.setattr(objectstore.time, "sleep", slept.append)
    monkeypatch.setattr(bucket, "_opened", {(os.getpid(), "s3"): Busy(5)})
    bucket.put_object(Place("s3://b/p", "a"), tmp_path)
    assert slept == [1, 2, 4, 8, 16]
    monkeypatch.setattr(bucket, "_opened", {(os.getpid(), "s3"): Busy(6)})
    with pytest.raises(DiskError, match=r"^could not write s3://b/p/a: reset by //peer more\. Everything"):
        bucket.put_object(Place("s3://b/p", "a"), tmp_path)


@pytest.mark.parametrize("fault", ["refuse", "deny", "drop"])
def test_a_bucket_that_takes_nothing_is_one_line(url: str, served: Bucket, fault: str) -> None:
    entry = open_entry(url)
    entry.create(ROWS)
    served.fault = lambda method, path: fault if method == "PUT" else ""
    with pytest.raises(DiskError) as refusal:
        commit_rows(entry, ROWS, 0, 10)
    assert re.match(rf"could not write {url}/v1/\S+/shards/\S+\.h5: .*\. Everything committed", str(refusal.value))
    assert "\n" not in str(refusal.value)
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(refusal.value)
    assert entry.find_missing().all()
    assert not list(entry.shards_folder.iterdir())


def test_refused_keys_are_not_tried_again(url: str, served: Bucket) -> None:
    folder = open_folder(url)
    served.clear()
    served.fault = lambda method, path: "deny"
    with pytest.raises(DiskError, match="your keys may use it"):
        commit_bytes(folder / "v1/a.json", b"a")
    assert served.count("PUT") == 1


def test_a_bucket_that_is_not_there_is_one_line(url: str) -> None:
    done = CliRunner().invoke(main, ["cache", "ls", "--cache", "s3://nobodys/features"])
    assert done.exit_code == 5
    assert re.search(r"(?m)^Error: could not list s3://nobodys/features: .*bucket does not exist", done.output)


def test_two_machines_of_which_one_is_killed_seal_what_one_run_does(
    url: str, served: Bucket, tmp_path: Path
) -> None:
    data = write_data(tmp_path / "data")
    plain = start_writer(served, tmp_path / "plain", data, str(tmp_path / "cache"))
    first = start_writer(served, tmp_path / "m0", data, url, "0/2")
    second = start_writer(served, tmp_path / "m1", data, url, "1/2", 0.2)
    began = time.monotonic()
    while served.count("PUT", "/shards/") < 8:
        assert second.poll() is None
        assert time.monotonic() - began < 60
        time.sleep(0.02)
    os.killpg(second.pid, signal.SIGKILL)
    assert (second.wait(), first.wait(), plain.wait()) == (-signal.SIGKILL, 0, 0)
    again = start_writer(served, tmp_path / "m2", data, url, "1/2")
    assert again.wait() == 0, again.communicate()[1]
    shutil.rmtree(tmp_path / "m0")  # that machine is gone as well
    last = start_writer(served, tmp_path / "m3", data, url)
    assert last.communicate()[0] == "0\n"
    expected = {path.parent.name: path.read_bytes() for path in (tmp_path / "cache").rglob("features.h5")}
    found = {path.parent.name: path.read_bytes() for path in (tmp_path / "m3").rglob("features.h5")}
    assert len(expected) == 4
    assert found == expected


def test_two_plain_runs_at_once_and_a_third_read_the_same_table(
    url: str, served: Bucket, tmp_path: Path, move: Callable[[str], None]
) -> None:
    data = write_data(tmp_path / "data")
    runs = [start_writer(served, tmp_path / f"m{i}", data, url, "", 0.01) for i in range(2)]
    runs.append(start_writer(served, tmp_path / "plain", data, str(tmp_path / "cache")))
    assert [run.wait() for run in runs] == [0, 0, 0], [run.communicate()[1] for run in runs]
    move("reader")
    tables = [
        CliRunner().invoke(main, ["grid", "--cache", cache, "--format", "json"], catch_exceptions=False).stdout
        for cache in (url, str(tmp_path / "cache"))
    ]
    assert '"test"' in tables[0]
    assert tables[0] == tables[1]
    head = fixgrid.fit_head(cache=url)
    move("other")
    assert [one["name"] for one in fixgrid.list_heads(url)] == [head.files[0].stem]
    assert fixgrid.verify_cache(url) == (4, [])
    assert [one["missing"] for one in fixgrid.list_cache(url)] == [0] * 4
