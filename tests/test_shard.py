from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from entries import commit_rows, features_of, make_rows, make_spec

from fixgrid.cache.entry import Entry
from fixgrid.cache.errors import CacheError
from fixgrid.cache.shard import Shard, ShardFile, Status, commit_shard, find_runs, list_shards, read_shard

ROWS = make_rows(10)
SPEC = make_spec(ROWS)


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return Entry(tmp_path, SPEC)


def only_shard(entry: Entry) -> ShardFile:
    [file] = list_shards(entry.shards_folder)
    return file


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_shard_gives_back_what_was_committed(tmp_path: Path, dtype: str) -> None:
    entry = Entry(tmp_path, make_spec(ROWS, views=2, dtype=dtype))
    path = commit_rows(entry, ROWS, 3, 8)
    assert path.name.startswith("000000003-000000008.")
    shard = read_shard(only_shard(entry), entry.spec)
    assert (shard.start, shard.stop) == (3, 8)
    assert shard.features.dtype == dtype
    np.testing.assert_array_equal(shard.features, features_of(ROWS, entry.spec)[3:8])


def test_equal_rows_have_equal_names(entry: Entry) -> None:
    assert commit_rows(entry, ROWS, 0, 5) == commit_rows(entry, ROWS, 0, 5)


def test_shards_are_listed_by_row_and_strangers_are_not(entry: Entry) -> None:
    for start in (6, 0, 3):
        commit_rows(entry, ROWS, start, start + 3)
    (entry.shards_folder / ".tmp-host-1-x").write_bytes(b"")
    (entry.shards_folder / "000000000-000000003.0123abcd.damaged").write_bytes(b"")
    assert [file.start for file in list_shards(entry.shards_folder)] == [0, 3, 6]
    assert list_shards(entry.folder / "nothing") == []


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("spoilt", [np.nan, np.inf, -np.inf])
def test_an_ok_row_must_be_finite_to_be_committed(tmp_path: Path, dtype: str, spoilt: float) -> None:
    entry = Entry(tmp_path, make_spec(ROWS, dtype=dtype))
    features, status = np.full((2, 1, 3), np.nan, dtype), np.array([Status.OK, Status.DECODE], np.uint8)
    features[0] = [1, spoilt, -2]
    with pytest.raises(CacheError, match="rows 0-2: an ok row"):
        commit_shard(entry.shards_folder, entry.spec.key, Shard(0, features, status))
    assert list_shards(entry.shards_folder) == []
    features[0] = [1, np.finfo(dtype).max, -2]
    commit_shard(entry.shards_folder, entry.spec.key, Shard(0, features, status))
    assert read_shard(only_shard(entry), entry.spec).status.tolist() == [Status.OK, Status.DECODE]


def test_any_flipped_bit_is_noticed(entry: Entry) -> None:
    path = commit_rows(entry, ROWS, 0, 10)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(whole) * 8, 200).tolist():
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        with pytest.raises(CacheError, match="does not match the digest in its name"):
            read_shard(only_shard(entry), SPEC)


def forge(entry: Entry, path: Path) -> ShardFile:
    """The file under a name whose digest fits, as someone would who wants it to be believed."""
    import hashlib

    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    forged = path.with_name(f"{path.name.split('.')[0]}.{digest}.h5")
    os.replace(path, forged)
    return only_shard(entry)


def test_rows_cannot_pass_for_others(entry: Entry) -> None:
    path = commit_rows(entry, ROWS, 0, 5)
    path.rename(path.with_name(path.name.replace("000000000-000000005", "000000005-000000010")))
    with pytest.raises(CacheError, match="rows are not 5 to 10 in order"):
        read_shard(only_shard(entry), SPEC)


def test_rows_cannot_pass_for_another_key(entry: Entry) -> None:
    commit_rows(entry, ROWS, 0, 5)
    other = make_spec(ROWS, res=64)
    with pytest.raises(CacheError, match="row 0 does not match its checksum"):
        read_shard(only_shard(entry), other)


def test_a_shard_beyond_the_rows_is_refused(entry: Entry) -> None:
    commit_rows(entry, ROWS, 5, 10)
    with pytest.raises(CacheError, match="ends at row 10 of 9"):
        read_shard(only_shard(entry), replace(SPEC, rows=9))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("features", 7.0, "row 2 does not match its checksum"),
        ("row", 9, "rows are not 0 to 5 in order"),
        ("row_crc", 0, "row 2 does not match its checksum"),
        ("status", 200, "unknown status"),
        ("status", Status.DECODE, "row 2 does not match its checksum"),
    ],
)
def test_a_forged_row_is_noticed(entry: Entry, name: str, value: float, reason: str) -> None:
    import h5py

    path = commit_rows(entry, ROWS, 0, 5)
    with h5py.File(path, "r+") as file:
        file[name][2] = value
    with pytest.raises(CacheError, match=reason):
        read_shard(forge(entry, path), SPEC)


def test_a_vanished_shard_is_a_cache_error(entry: Entry) -> None:
    commit_rows(entry, ROWS, 0, 5)
    file = only_shard(entry)
    file.path.unlink()
    with pytest.raises(CacheError, match="No such file"):
        read_shard(file, SPEC)


def test_runs_are_cut_at_multiples() -> None:
    wanted = np.array([1, 1, 1, 0, 1, 1, 1, 1, 0, 1], bool)
    assert find_runs(wanted, 100) == [(0, 3), (4, 8), (9, 10)]
    assert find_runs(wanted, 3) == [(0, 3), (4, 6), (6, 8), (9, 10)]
    assert find_runs(np.zeros(4, bool), 3) == []
