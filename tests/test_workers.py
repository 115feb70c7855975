from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver, sharedctypes
from pathlib import Path

import numpy as np
import pytest
from entries import make_spec
from faulty import (
    break_open,
    fail_to_open,
    open_asserting,
    open_dying,
    open_faulty,
    open_placed,
    open_slow,
    open_slow_decoder,
    spoil,
)
from stub import DIM, center, open_stub
from zoo import list_rows, write_photos

from fixgrid.cache.entry import Entry
from fixgrid.cache.errors import DataError
from fixgrid.cache.shard import Status
from fixgrid.embed.engines.deaths import WorkerError
from fixgrid.embed.engines.engine import Course
from fixgrid.embed.engines.local import LOST_DEVICE, LocalEngine
from fixgrid.embed.job import Receipt, ShardJob
from fixgrid.embed.plan import Goal, plan_jobs
from fixgrid.embed.sizing import Sizing

VIEW = center(8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_photos(tmp_path / "data", 130)
    return tmp_path / "data"


@pytest.fixture
def new_server() -> Iterator[None]:
    """Workers inherit the environment and the outputs of their server, which a test may have changed."""
    forkserver._forkserver._stop()
    yield
    forkserver._forkserver._stop()


def find_jobs(data: Path) -> tuple[Entry, list[ShardJob]]:
    rows = list_rows(data)
    spec = make_spec(rows, **{**VIEW.to_spec(), "dim": DIM})
    entry = Entry(data.parent / "entry", spec)
    return entry, plan_jobs([Goal("train", rows, VIEW, entry, entry.find_missing())], str(data))


def photo(data: Path, row: int) -> Path:
    return sorted(path for path in data.rglob("*.png"))[row]


def supervise(
    data: Path, opener: Callable[..., object] = open_stub, **options: object
) -> tuple[Entry, list[Receipt], list[str]]:
    entry, jobs = find_jobs(data)
    notices: list[str] = []
    sizing = Sizing(options.pop("workers", 2), 1, options.pop("decoders", 0), options.pop("environments", ({},)))
    heard = {name: options.pop(name) for name in ("should_stop", "on_progress") if name in options}
    engine = LocalEngine(sizing, Course(on_notice=notices.append, **heard), **options)
    return entry, list(engine.run(jobs, {0: opener})), notices


def test_a_run_that_was_stopped_and_goes_on_blames_no_image(data: Path) -> None:
    calls: list[int] = []

    def stop_and_go_on(under_way: int) -> None:
        """Ctrl-Z and fg: this process sleeps for longer than a row may take, its workers a little longer yet."""
        if under_way or calls:
            calls.append(under_way)
        for worker in multiprocessing.active_children() if len(calls) in (1, 2) else ():
            os.kill(worker.pid, signal.SIGSTOP if len(calls) == 1 else signal.SIGCONT)
        time.sleep(1.5 if len(calls) == 1 else 0)

    _, receipts, notices = supervise(data, open_slow_decoder, on_progress=stop_and_go_on, timeout_s=1.0)
    assert len(calls) > 2
    assert notices == []
    assert sum(r.decoded for r in receipts) == 130


@pytest.mark.usefixtures("new_server")
@pytest.mark.parametrize("decoders", [0, 2])
def test_a_device_side_assert_costs_a_process_and_no_row(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoders: int
) -> None:
    monkeypatch.setenv("FAULT_ONCE", str(tmp_path / "failed"))
    _, receipts, notices = supervise(data, open_asserting, workers=1, decoders=decoders)
    assert [f"({LOST_DEVICE})" in line for line in notices] == [True]
    assert sum(r.decoded for r in receipts) == 130
    assert [row for r in receipts for row in r.bad] == []


@pytest.mark.usefixtures("new_server")
def test_a_device_that_stays_lost_ends_the_run_and_blames_no_image(
    data: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FAULT_ONCE", raising=False)
    with pytest.raises(WorkerError, match="try --device cpu"):
        supervise(data, open_asserting, workers=1)
    assert set(capfd.readouterr().err.splitlines()) == {"CUDA error: device-side assert triggered"}


def test_every_job_gives_a_receipt(data: Path) -> None:
    progress: list[int] = []
    entry, receipts, notices = supervise(data, on_progress=progress.append)
    assert sorted((r.start, r.stop) for r in receipts) == [(0, 128), (128, 130)]
    assert not entry.find_missing().any()
    assert notices == []
    assert all(0 <= rows <= 130 for rows in progress)


def test_a_job_that_takes_long_commits_what_it_has_and_goes_on(data: Path) -> None:
    entry, receipts, _ = supervise(data, commit_every_s=0)
    assert sorted((r.start, r.stop) for r in receipts) == [(row, row + 1) for row in range(130)]
    assert not entry.find_missing().any()


@pytest.mark.parametrize(("workers", "places"), [(2, ["first", "second"]), (1, ["first"])])
def test_workers_take_turns_on_accelerators_and_a_successor_takes_its_place(
    data: Path, tmp_path: Path, workers: int, places: list[str]
) -> None:
    spoil(photo(data, 3), b"exit")
    environments = [{"PLACE": place, "NOTES": str(tmp_path)} for place in ("first", "second")]
    _, _, notices = supervise(data, open_placed, workers=workers, environments=environments)
    assert len(notices) == 2
    notes = [note.name.partition("-")[0] for note in tmp_path.glob("*-*")]
    assert sorted(set(notes)) == places
    assert len(notes) > workers


@pytest.mark.parametrize("decoders", [0, 2])
def test_images_that_end_their_process_are_found_and_the_run_goes_on(data: Path, decoders: int) -> None:
    for row, end in ((3, b"segv"), (40, b"exit"), (70, b"segv")):
        spoil(photo(data, row), end)
    entry, receipts, notices = supervise(data, open_faulty, decoders=decoders)
    assert sorted(bad.row for receipt in receipts for bad in receipt.bad) == [3, 40, 70]
    assert {bad.status for receipt in receipts for bad in receipt.bad} == {Status.CRASH}
    assert not entry.find_missing().any()
    # Threads that decode ahead leave it open which image it was: the first death blames none.
    assert len(notices) == (7 if decoders else 6)


def test_an_image_that_hangs_is_found(data: Path) -> None:
    spoil(photo(data, 5), b"hang")
    _, receipts, _ = supervise(data, open_faulty, timeout_s=0.5)
    assert [(bad.row, bad.status) for receipt in receipts for bad in receipt.bad] == [(5, Status.TIMEOUT)]


@pytest.mark.usefixtures("new_server")
def test_one_death_blames_no_image(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULT_ONCE", str(tmp_path / "once"))
    spoil(photo(data, 5), b"once")
    entry, receipts, notices = supervise(data, open_faulty)
    assert len(notices) == 1
    assert not any(receipt.bad for receipt in receipts)
    assert not entry.find_missing().any()


@pytest.mark.parametrize(
    ("opener", "reason"),
    [(open_dying, "exit code -9"), (fail_to_open, "exit code 7"), (break_open, "please report it")],
)
def test_deaths_that_no_image_explains_end_the_run(data: Path, opener: Callable[..., object], reason: str) -> None:
    with pytest.raises(WorkerError, match=reason):
        supervise(data, opener, workers=1)


def test_what_a_worker_cannot_do_is_raised_here(data: Path) -> None:
    _, jobs = find_jobs(data)
    photo(data, 100).unlink()
    with pytest.raises(DataError, match="could not read"):
        list(LocalEngine(Sizing(2, 1, 0), Course()).run(jobs, {0: open_stub}))


def test_a_stop_keeps_what_is_done(data: Path) -> None:
    progress: list[int] = []
    entry, receipts, _ = supervise(
        data, open_slow, on_progress=progress.append, should_stop=lambda: sum(progress) > 4
    )
    done = np.flatnonzero(~entry.find_missing())
    assert 0 < len(done) < 130
    assert len(done) == sum(receipt.stop - receipt.start for receipt in receipts)


def test_nothing_to_do_starts_nothing() -> None:
    assert list(LocalEngine(Sizing(2, 1, 0), Course()).run([], {0: fail_to_open})) == []


NO_ROOM = [
    ("heap.Arena._choose_dir", OSError(errno.EROFS, "Read-only file system"), "Read-only file system"),
    ("popen_forkserver.Popen._launch", OSError(errno.EAGAIN, "Try again"), "Try again"),
    ("popen_forkserver.Popen._launch", EOFError(), "its server ended"),
]


@pytest.mark.parametrize(("place", "error", "reason"), NO_ROOM)
def test_a_machine_without_room_for_a_worker_is_told_in_one_line(
    data: Path, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception, reason: str
) -> None:
    def refuse(*args: object) -> None:
        raise error

    # What was allocated before would be handed out again.
    monkeypatch.setattr(sharedctypes.heap.BufferWrapper, "_heap", sharedctypes.heap.Heap())
    monkeypatch.setattr(f"multiprocessing.{place}", refuse)
    with pytest.raises(WorkerError, match=f"could not start a worker: {reason}; expected .*/dev/shm"):
        supervise(data)
