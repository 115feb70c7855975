from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from entries import make_spec
from PIL import Image
from stub import DIM, StubBackend, center, open_stub, train
from zoo import list_rows, write_photos

from fixgrid.cache.entry import Entry
from fixgrid.cache.errors import DataError
from fixgrid.cache.rows import Rows
from fixgrid.cache.shard import Shard, Status, list_shards, read_shard
from fixgrid.cache.view import View
from fixgrid.embed import groups, task
from fixgrid.embed.decode import decode_image, decode_rgb
from fixgrid.embed.job import ShardJob, Target
from fixgrid.embed.task import NO_ROW, run_shard
from fixgrid.embed.views import render_view

VIEWS = (center(16), center(12), train(16))


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    write_photos(tmp_path / "data", 12)
    return list_rows(tmp_path / "data")


def entry_of(tmp_path: Path, rows: Rows, view: View, dtype: str = "float32") -> Entry:
    spec = make_spec(rows, **{**view.to_spec(), "views": view.count, "dim": DIM, "dtype": dtype})
    return Entry(tmp_path / spec.key, spec)


def make_job(tmp_path: Path, rows: Rows, views: tuple[View, ...] = VIEWS, dtype: str = "float32") -> ShardJob:
    entries = [(view, entry_of(tmp_path, rows, view, dtype)) for view in views]
    targets = tuple(Target(e.shards_folder, e.spec.key, view, e.spec.dtype, e.spec.dim) for view, e in entries)
    content = tuple(digest.tobytes() for digest in rows.sha256)
    return ShardJob("train", str(tmp_path / "data"), 0, rows.paths, content, targets)


def read_only(tmp_path: Path, rows: Rows, view: View = VIEWS[0], dtype: str = "float32") -> Shard:
    entry = entry_of(tmp_path, rows, view, dtype)
    [file] = list_shards(entry.shards_folder)
    return read_shard(file, entry.spec)


def by_hand(tmp_path: Path, rows: Rows, view: View) -> np.ndarray:
    features = []
    for path, content in zip(rows.paths, rows.sha256, strict=True):
        image = decode_rgb((tmp_path / "data" / os.fsdecode(path)).read_bytes())
        features.append(StubBackend(view)(render_view(image, view, content.tobytes())))
    return np.stack(features)


def test_one_decode_feeds_every_view(tmp_path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(task, "decode_image", lambda *of: (calls.append(1), decode_image(*of))[1])
    receipt = run_shard(make_job(tmp_path, rows), {0: open_stub})
    assert (len(calls), receipt.decoded, receipt.forwards) == (12, 12, 12 * 4)
    assert (receipt.start, receipt.stop, receipt.bad) == (0, 12, ())
    for view in VIEWS:
        np.testing.assert_array_equal(read_only(tmp_path, rows, view).features, by_hand(tmp_path, rows, view))


def test_whole_images_differ_in_size(tmp_path: Path) -> None:
    for i, size in enumerate([(40, 30), (30, 40), (50, 20), (40, 30)]):
        (tmp_path / "data/a").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*size, 3), 40 * i, np.uint8)).save(tmp_path / f"data/a/{i}.png")
    rows, view = list_rows(tmp_path / "data"), replace(center(16), kind="whole")

    class Pair(StubBackend):
        batch = 2

    receipt = run_shard(make_job(tmp_path, rows, (view,)), {0: Pair})
    assert receipt.forwards == 4
    np.testing.assert_array_equal(read_only(tmp_path, rows, view).features, by_hand(tmp_path, rows, view))


@pytest.mark.parametrize("decoders", [0, 3])
def test_a_bad_image_keeps_its_row(tmp_path: Path, rows: Rows, decoders: int) -> None:
    path = tmp_path / "data" / os.fsdecode(rows.paths[4])
    path.write_bytes(path.read_bytes()[:40])
    rows = list_rows(tmp_path / "data")
    receipt = run_shard(make_job(tmp_path, rows), {0: open_stub}, decoders=decoders)
    [bad] = receipt.bad
    assert (bad.row, bad.path, bad.status) == (4, rows.paths[4], Status.DECODE)
    shard = read_only(tmp_path, rows)
    assert shard.status.tolist() == [Status.DECODE if i == 4 else Status.OK for i in range(12)]
    assert np.isnan(shard.features[4]).all()
    others = [i for i in range(12) if i != 4]
    good = replace(rows, paths=tuple(rows.paths[i] for i in others), sha256=rows.sha256[others])
    np.testing.assert_array_equal(shard.features[others], by_hand(tmp_path, good, VIEWS[0]))


def test_a_file_that_changed_is_not_believed(tmp_path: Path, rows: Rows) -> None:
    job = make_job(tmp_path, rows)
    first, second = (tmp_path / "data" / os.fsdecode(rows.paths[i]) for i in (3, 4))
    first.write_bytes(second.read_bytes())
    with pytest.raises(DataError, match=r"0006\.png changed while it was being extracted"):
        run_shard(job, {0: open_stub})
    assert not list(tmp_path.rglob("*.h5"))


@pytest.mark.parametrize("instead", ["gone", "fifo"])
def test_a_file_that_cannot_be_read_stops_the_run(tmp_path: Path, rows: Rows, instead: str) -> None:
    path = tmp_path / "data" / os.fsdecode(rows.paths[2])
    path.unlink()
    if instead == "fifo":
        os.mkfifo(path)
    with pytest.raises(DataError, match=r"could not read a/0004\.png: .*(No such file|not a regular file)"):
        run_shard(make_job(tmp_path, rows), {0: open_stub})


class Batched(StubBackend):
    """Remembers the sizes it was given, and spoils chosen features."""

    def __init__(self, view: View, batch: int, sizes: list[int], spoil: Callable[[np.ndarray], None]) -> None:
        super().__init__(view)
        self.batch, self.sizes, self.spoil = batch, sizes, spoil

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.sizes.append(len(pixels))
        features = super().__call__(pixels)
        self.spoil(features)
        return features


def test_batches_end_at_fixed_rows_whoever_else_computes(tmp_path: Path, rows: Rows) -> None:
    batches = {VIEWS[0]: 4, VIEWS[1]: 8}
    sizes: dict[View, list[int]] = {view: [] for view in batches}

    def opener(view: View) -> Batched:
        return Batched(view, batches[view], sizes[view], lambda features: None)

    job = make_job(tmp_path, rows, VIEWS[:2])
    part = replace(job, start=2, paths=job.paths[2:], sha256=job.sha256[2:])
    run_shard(part, {0: opener})
    assert sizes == {VIEWS[0]: [2, 4, 4], VIEWS[1]: [6, 4]}


def test_one_nonfinite_row_is_quarantined_for_its_view_alone(tmp_path: Path, rows: Rows) -> None:
    def spoil(features: np.ndarray) -> None:
        features[1] = np.nan

    def opener(view: View) -> StubBackend:
        return Batched(view, 12, [], spoil) if view == VIEWS[0] else StubBackend(view)

    receipt = run_shard(make_job(tmp_path, rows, VIEWS[:2]), {0: opener})
    assert [(bad.row, bad.status) for bad in receipt.bad] == [(1, Status.NONFINITE)]
    assert read_only(tmp_path, rows, VIEWS[0]).status[1] == Status.NONFINITE
    assert (read_only(tmp_path, rows, VIEWS[1]).status == Status.OK).all()


def test_a_broken_trunk_stops_the_run(tmp_path: Path, rows: Rows) -> None:
    def spoil(features: np.ndarray) -> None:
        features[:] = np.inf

    with pytest.raises(DataError, match="rows 0 to 3 have features that are not finite at 16 px; try --precision"):
        run_shard(make_job(tmp_path, rows, VIEWS[:1]), {0: lambda view: Batched(view, 4, [], spoil)})


def test_what_float16_cannot_hold_is_quarantined(tmp_path: Path, rows: Rows) -> None:
    def spoil(features: np.ndarray) -> None:
        features[2] = 7e4

    job = make_job(tmp_path, rows, VIEWS[:1], "float16")
    receipt = run_shard(job, {0: lambda view: Batched(view, 12, [], spoil)})
    assert [bad.reason for bad in receipt.bad] == ["features up to 7e+04 at 16 px, float16 ends at 65,504"]
    shard = read_only(tmp_path, rows, dtype="float16")
    assert np.flatnonzero(shard.status).tolist() == [2]
    assert np.isfinite(shard.features[shard.status == Status.OK]).all()


def test_a_batch_that_float16_cannot_hold_names_the_option(tmp_path: Path, rows: Rows) -> None:
    def spoil(features: np.ndarray) -> None:
        features *= 1e6

    job = make_job(tmp_path, rows, VIEWS[:1], "float16")
    with pytest.raises(DataError, match=r"features up to .*, float16 ends at 65,504; try --dtype float32"):
        run_shard(job, {0: lambda view: Batched(view, 4, [], spoil)})


def test_a_stop_keeps_whole_batches(tmp_path: Path, rows: Rows) -> None:
    receipt = run_shard(
        make_job(tmp_path, rows, VIEWS[:1]),
        {0: lambda view: Batched(view, 4, [], lambda features: None)},
        pulse=lambda row: row < 5,
    )
    assert (receipt.start, receipt.stop) == (0, 4)
    assert read_only(tmp_path, rows).stop == 4


def test_the_pulse_names_the_image_and_then_none(tmp_path: Path, rows: Rows) -> None:
    pulses: list[int] = []
    run_shard(make_job(tmp_path, rows, VIEWS[:1]), {0: open_stub}, pulse=lambda row: (pulses.append(row), True)[1])
    assert pulses == [*range(12), *[NO_ROW] * 12]  # one more beat, and chance to stop, before every batch


def test_a_stop_while_the_trunk_runs_ends_at_the_next_batch(tmp_path: Path, rows: Rows) -> None:
    beats: list[int] = []
    receipt = run_shard(
        make_job(tmp_path, rows, VIEWS[:1]),
        {0: open_stub},
        pulse=lambda row: (beats.append(row), beats.count(NO_ROW) < 3)[1],
    )
    assert (receipt.stop, receipt.decoded) == (3, 3)
    assert read_only(tmp_path, rows).stop == 3


def test_threads_that_decode_ahead_stop_at_a_batch_too(tmp_path: Path, rows: Rows) -> None:
    job = make_job(tmp_path, rows, VIEWS[:1])
    receipt = run_shard(job, {0: open_stub}, pulse=lambda row: row < 11, decoders=2)
    assert receipt.stop == receipt.decoded < 12
    np.testing.assert_array_equal(
        read_only(tmp_path, rows).features, by_hand(tmp_path, rows, VIEWS[0])[: receipt.stop]
    )


@pytest.mark.parametrize(("decoders", "ahead"), [(0, 0), (2, 1)])
def test_a_device_is_given_a_group_while_the_one_before_is_computed(
    tmp_path: Path, rows: Rows, decoders: int, ahead: int
) -> None:
    begun: list[int] = []
    answered: list[tuple[int, int]] = []  # which batch, and how many had been begun by then

    class Ahead(Batched):
        def start(self, pixels: np.ndarray) -> Callable[[], np.ndarray]:
            n, features = len(begun), self(pixels)
            begun.append(len(pixels))
            return lambda: (answered.append((n, len(begun))), features)[1]

    def opener(view: View) -> Ahead:
        return Ahead(view, 4, [], lambda features: None)

    job = make_job(tmp_path, rows, VIEWS[:1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "GROUP_ROWS", 4)
        receipt = run_shard(job, {0: opener}, decoders=decoders)
    assert (receipt.stop, begun) == (12, [4, 4, 4])
    assert answered == [(n, min(n + 1 + ahead, 3)) for n in range(3)]
    np.testing.assert_array_equal(read_only(tmp_path, rows).features, by_hand(tmp_path, rows, VIEWS[0]))


def test_images_are_seen_in_groups_of_little_memory(
    tmp_path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = 3 * sum(view.res**2 * view.count for view in VIEWS)
    for limit, length in ((5 * each, 4), (7.9 * each, 6), (1, 2)):
        pulses: list[int] = []
        monkeypatch.setattr(groups, "GROUP_BYTES", int(limit))
        run_shard(
            make_job(tmp_path, rows),
            {0: lambda view: Batched(view, 2, [], lambda features: None)},
            pulse=lambda row, pulses=pulses: (pulses.append(row), True)[1],
        )
        assert pulses[: length + 1] == [*range(length), NO_ROW]


def test_a_quarantined_row_is_not_touched(tmp_path: Path, rows: Rows) -> None:
    (tmp_path / "data" / os.fsdecode(rows.paths[1])).unlink()
    job = replace(make_job(tmp_path, rows), quarantine={1: Status.CRASH})
    receipt = run_shard(job, {0: open_stub})
    assert [(bad.row, bad.status, bad.reason) for bad in receipt.bad] == [
        (1, Status.CRASH, "its decoder ended in a crash")
    ]


def test_images_that_are_all_bad_keep_their_rows(tmp_path: Path, rows: Rows) -> None:
    job = replace(make_job(tmp_path, rows), quarantine=dict.fromkeys(range(12), Status.CRASH))
    receipt = run_shard(job, {0: open_stub})
    assert (receipt.decoded, len(receipt.bad)) == (0, 12)
    shard = read_only(tmp_path, rows)
    assert (shard.status == Status.CRASH).all()
    assert np.isnan(shard.features).all()


def test_what_a_backend_has_to_say_is_in_the_receipt_once(tmp_path: Path, rows: Rows) -> None:
    class Loud(StubBackend):
        notices: ClassVar[list[str]] = ["out of memory", "out of memory"]

    job = make_job(tmp_path, rows)
    assert run_shard(job, {0: Loud}).notices == ("out of memory",)
    assert run_shard(job, {0: Loud}).notices == ()
