from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from entries import commit_rows, features_of, make_rows, make_spec

from fixgrid.cache.adopt import Donors, adopt_rows
from fixgrid.cache.entry import Entry
from fixgrid.cache.remarks import Remark, Remarked, describe_remarks, list_remarked
from fixgrid.cache.scale import USUAL, Scale
from fixgrid.cache.shard import REMARKS, Shard, commit_shard, list_shards, read_shard
from fixgrid.cache.store import FeatureStore


def deep(low: float, high: float, n: int = 1, **more: bool) -> list[Remarked]:
    return [Remarked(b"a/%d.png" % i, Remark(deep=True, low=low, high=high, **more)) for i in range(n)]


@pytest.mark.parametrize(
    "remark",
    [Remark(), Remark(blank=True), Remark(False, True, True, False, 0, 0), Remark(deep=True, low=-5, high=7e4)],
)
def test_a_remark_is_three_numbers(remark: Remark) -> None:
    assert Remark.from_numbers(remark.to_numbers()) == remark
    assert any(remark.to_numbers()) == any(remark)


def test_only_what_was_noticed_is_listed() -> None:
    numbers = np.array([Remark().to_numbers(), Remark(blank=True).to_numbers()])
    assert list_remarked([b"a", b"b"], numbers) == [Remarked(b"b", Remark(blank=True))]


@pytest.mark.parametrize(
    ("found", "scale", "said"),
    [
        (deep(0, 200), USUAL, "extract with --scale 255"),
        (deep(0, 200) + deep(0, 900), USUAL, "extract with --scale 1023"),
        (
            deep(10, 4095, 3),
            USUAL,
            "3 of 3 images of more than 8 bits use 1/16 or less of the range 0:65535 (v",
        ),
        (deep(32700, 34000), USUAL, "extract with --scale 32700:34000"),
        (deep(0, 4000) + deep(0, 65000), USUAL, "1 of 2 images of more than 8 bits use 1/16 or less"),
        (deep(0, 4000) + deep(0, 65000), USUAL, "the others use more"),
        (deep(0, 5000), Scale(0, 4095), "have values (0 to 5000) outside --scale 0:4095, which are cut off"),
        (deep(0, 200), Scale(0, 4095), "use 1/16 or less of the range 0:4095"),
        (deep(0, 60000, inverted=True), USUAL, "--scale 65535:0 turns them round"),
        (
            [Remarked(b"\x1b.png", Remark(blank=True))],
            USUAL,
            "1 of 9 images is blank, all pixels of one colour: first",
        ),
        ([Remarked(b"a", Remark(transparent=True))] * 2, USUAL, "2 of 9 images are transparent all over"),
    ],
)
def test_what_was_noticed_is_said_with_what_to_type(found: list[Remarked], scale: Scale, said: str) -> None:
    assert any(said in line for line in describe_remarks(found, 9, scale))


@pytest.mark.parametrize(
    ("found", "scale"),
    [
        ([], USUAL),
        (deep(0, 60000), USUAL),
        (deep(5, 4000), Scale(0, 4095)),
        (deep(0, 6e4, inverted=True), Scale(65535, 0)),
    ],
)
def test_nothing_is_said_where_there_is_nothing(found: list[Remarked], scale: Scale) -> None:
    assert describe_remarks(found, 9, scale) == []


def test_blank_images_say_nothing_of_the_range_of_others() -> None:
    [line] = describe_remarks(deep(7, 7, blank=True), 1, USUAL)
    assert line.startswith("1 of 1 images is blank")


def test_remarks_go_with_the_rows_from_shard_to_seal_and_to_other_keys(tmp_path: Path) -> None:
    store, rows = FeatureStore(tmp_path), make_rows(6)
    entry = store.entry(make_spec(rows))
    entry.create(rows)
    remarks = np.zeros((3, 3))
    remarks[1] = Remark(blank=True).to_numbers()
    features = features_of(rows, entry.spec)[:3]
    commit_shard(entry.shards_folder, entry.spec.key, Shard(0, features, np.zeros(3, np.uint8), remarks))
    commit_rows(entry, rows, 3, 6)
    assert [read_shard(file, entry.spec).remarks is None for file in list_shards(entry.shards_folder)] == [
        False,
        True,
    ]
    entry.seal({"trunk": "stub"})
    whole = entry.open().read_remarks()
    assert np.flatnonzero(whole[:, 0]).tolist() == [1]
    fewer = rows.take(np.array([1, 4]))
    other = store.entry(make_spec(fewer))
    other.create(fewer)
    assert adopt_rows(Donors(store), other, fewer) == 2
    other.seal({"trunk": "stub"})
    assert list_remarked(fewer.paths, other.open().read_remarks()) == [Remarked(rows.paths[1], Remark(blank=True))]


def test_what_is_damaged_keeps_the_remarks_of_the_rows_that_are_saved(tmp_path: Path) -> None:
    store, rows = FeatureStore(tmp_path), make_rows(6)
    entry = store.entry(make_spec(rows))
    entry.create(rows)
    remarks = np.tile(Remark(deep=True, high=9).to_numbers(), (6, 1))
    shard = Shard(0, features_of(rows, entry.spec), np.zeros(6, np.uint8), remarks)
    commit_shard(entry.shards_folder, entry.spec.key, shard)
    entry.seal({})
    data = bytearray(entry.sealed_file.read_bytes())
    place = data.index(shard.features[2].tobytes())
    data[place] ^= 1
    entry.sealed_file.write_bytes(data)
    assert entry.set_aside_damage() != []
    saved = [read_shard(file, entry.spec) for file in list_shards(entry.shards_folder)]
    assert [(part.start, part.stop) for part in saved] == [(0, 2), (3, 6)]
    assert all(part.remarks is not None and (part.remarks == remarks[0]).all() for part in saved)


def test_files_without_remarks_are_as_they_always_were(tmp_path: Path) -> None:
    store, rows = FeatureStore(tmp_path), make_rows(4)
    entry: Entry = store.entry(make_spec(rows))
    entry.create(rows)
    commit_shard(
        entry.shards_folder,
        entry.spec.key,
        Shard(0, features_of(rows, entry.spec), np.zeros(4, np.uint8), np.zeros((4, 3))),
    )
    [file] = list_shards(entry.shards_folder)
    assert REMARKS.encode() not in file.path.read_bytes()
    entry.seal({})
    assert REMARKS.encode() not in entry.sealed_file.read_bytes()
    assert not entry.open().read_remarks().any()
