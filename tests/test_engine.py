from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from entries import count_reads
from faulty import open_faulty, open_narrow, open_slow, spoil
from stub import TRUNK, SilentWatcher, center, open_stub, open_stubs, run_stub, train
from zoo import draw_photo, encode, list_manifest, write_photos

from fixgrid.cache.errors import CacheError, DataError, DiskError, Interrupted, UsageError
from fixgrid.cache.health import verify_store
from fixgrid.cache.lock import try_lock
from fixgrid.cache.shard import Status
from fixgrid.cache.store import FeatureStore
from fixgrid.embed import work
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.outcome import Outcome
from fixgrid.embed.task import run_shard
from fixgrid.embed.work import prepare_pass

VIEWS = (center(8), train(8))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_photos(tmp_path / "data", 70)
    return tmp_path / "data"


def make_extraction(data: Path, cache: str = "cache") -> Extraction:
    store = FeatureStore(data.parent / cache)
    return Extraction(store, list_manifest(data), TRUNK, {"train": VIEWS})


def extract(data: Path, cache: str = "cache", **options: object) -> tuple[Extraction, Outcome, SilentWatcher]:
    extraction, watcher = make_extraction(data, cache), SilentWatcher()
    opener = options.pop("opener", open_stubs)
    outcome = run_stub(extraction, opener, watcher, **options)
    return extraction, outcome, watcher


def load(extraction: Extraction) -> list[np.ndarray]:
    rows = extraction.manifest.splits["train"]
    return [extraction.entries["train", view, "pooled"].open().load(rows).X for view in VIEWS]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4] ^= 1
    path.write_bytes(content)


def never(views: object) -> None:
    raise AssertionError("opened the trunk although nothing is missing")


def test_a_second_run_opens_no_trunk(data: Path) -> None:
    first, outcome, watcher = extract(data)
    assert (outcome.computed, outcome.passes, outcome.decoded, outcome.forwards) == (140, 2, 70, 210)
    assert (watcher.images, watcher.done, watcher.notices) == (70, 70, [])
    assert all(entry.read_seal() for entry in first.entries.values())
    _, again, _ = extract(data, opener=never)
    assert (again.computed, again.passes, again.adopted, again.decoded) == (0, 0, 0, 0)


def rename(data: Path) -> None:
    (data / "a" / "0000.png").rename(data / "a" / "9999.png")


def add(data: Path) -> None:
    (data / "a" / "new.png").write_bytes(encode(draw_photo(24, 20, 777)))


def edit_in_place(data: Path) -> None:
    """Same size, same mtime: one metadata byte."""
    path = data / "a" / "0000.png"
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content + b"x")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def remove(data: Path) -> None:
    (data / "a" / "0000.png").unlink()


@pytest.mark.parametrize(("change", "images"), [(rename, 0), (add, 1), (edit_in_place, 1), (remove, 0)])
def test_only_what_changed_is_computed(data: Path, change: object, images: int) -> None:
    extract(data)
    change(data)
    changed, outcome, _ = extract(data)
    assert outcome.decoded == images
    assert outcome.computed == 2 * images
    fresh, _, _ = extract(data, cache="fresh")
    for ours, theirs in zip(load(changed), load(fresh), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_adoption_reads_the_seals_of_the_cache_once_however_many_keys_lack_rows(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, _ = extract(data)
    rename(data)
    reads = count_reads(monkeypatch)
    _, outcome, _ = extract(data, opener=never)
    assert outcome.adopted == 140
    assert [reads[entry.folder / "sealed.json"] for entry in first.entries.values()] == [1, 1]


def test_a_relabelled_image_costs_nothing(data: Path) -> None:
    extract(data)
    moved = make_extraction(data)
    labels = moved.manifest.splits["train"].labels
    labels[:] = 1 - labels
    run_stub(moved, never)
    found = moved.entries["train", VIEWS[0], "pooled"].open().load(moved.manifest.splits["train"])
    np.testing.assert_array_equal(found.y, labels)


def test_a_flipped_bit_in_the_sealed_file_costs_its_rows(data: Path) -> None:
    extraction, _, _ = extract(data)
    before = load(extraction)
    entry = extraction.entries["train", VIEWS[0], "pooled"]
    content = bytearray(entry.sealed_file.read_bytes())
    content[content.index(before[0][30].tobytes())] ^= 1
    entry.sealed_file.write_bytes(content)
    with pytest.raises(CacheError, match="altered"):
        load(extraction)
    again, outcome, watcher = extract(data)
    assert (outcome.computed, outcome.decoded) == (1, 1)
    assert "69 of 70 rows saved" in watcher.notices[0]
    for ours, theirs in zip(load(again), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["spec.json", "rows.h5"])
def test_a_damaged_file_beside_a_sealed_file_is_written_again(data: Path, name: str) -> None:
    extraction, _, _ = extract(data)
    file = extraction.entries["train", VIEWS[0], "pooled"].folder / name
    whole = file.read_bytes()
    content = bytearray(whole)
    content[whole.index(b".png") if name == "rows.h5" else len(whole) // 2] ^= 1
    file.write_bytes(content)
    extract(data, opener=never)
    assert file.read_bytes() == whole
    assert verify_store(extraction.store) == []


def test_bad_images_keep_their_rows_within_the_budget(data: Path) -> None:
    (data / "a" / "0004.png").write_bytes(b"not an image")
    spoil(data / "b" / "0007.png", b"segv")
    with pytest.raises(
        DataError, match=r"found 2 of 70 images unusable, expected at most 1\.00%: first a/0004\.png"
    ):
        extract(data, opener=lambda views: open_faulty)
    extraction, outcome, _ = extract(data, opener=never, max_bad=0.03)
    assert [(bad.path, bad.status) for bad in outcome.bad] == [
        (b"a/0004.png", Status.DECODE),
        (b"b/0007.png", Status.CRASH),
    ]
    entry = extraction.entries["train", VIEWS[0], "pooled"]
    found = entry.open().load(extraction.manifest.splits["train"])
    assert len(found.X) == 68
    lines = [json.loads(line) for line in (entry.folder / "quarantine.jsonl").read_text().splitlines()]
    assert [(line["path"], line["status"]) for line in lines] == [("a/0004.png", "decode"), ("b/0007.png", "crash")]


def test_strict_ends_at_the_first_bad_image(data: Path) -> None:
    (data / "a" / "0000.png").write_bytes(b"")
    with pytest.raises(DataError, match="empty file"):
        extract(data, max_bad=0)


def test_a_full_disk_is_told_before_the_work(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path, needed_bytes: int) -> None:
        assert needed_bytes == 2 * 70 * (1 + 2) * 6 * 4
        raise DiskError("full")

    monkeypatch.setattr(work, "expect_space", full)
    with pytest.raises(DiskError, match="full"):
        extract(data, opener=never)


DRIVER = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
if __name__ == "__main__":
    from test_engine import VIEWS, extract
    from faulty import open_tiring
    from fixgrid.cache.errors import FixgridError
    try:
        extract(Path(sys.argv[2]), opener=lambda views: open_tiring, workers=2)
    except FixgridError as error:
        print(error)
        sys.exit(error.exit_code)
"""


def start(data: Path) -> subprocess.Popen[str]:
    script = data.parent / "driver.py"
    script.write_text(DRIVER)
    return subprocess.Popen([sys.executable, str(script), str(ROOT), str(data)], stdout=subprocess.PIPE, text=True)


def wait_for_shard(cache: Path) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and not list(cache.rglob("shards/0*.h5")):
        time.sleep(0.02)


def test_a_killed_run_resumes_bit_identically(data: Path) -> None:
    write_photos(data, 200)
    whole, _, _ = extract(data, cache="whole")
    run = start(data)
    wait_for_shard(data.parent / "cache")
    run.kill()
    run.communicate(timeout=10)  # its workers hold its output: they end with it
    begun = [make_extraction(data).entries["train", view, "pooled"].shards_folder for view in VIEWS]
    held = [len(list(folder.glob("0*.h5"))) for folder in begun]
    resumed, outcome, _ = extract(data)
    assert 0 < outcome.computed < 400
    assert sum(held) > 0
    for ours, theirs in zip(load(resumed), load(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_with_what_is_done(data: Path, number: int) -> None:
    write_photos(data, 200)
    run = start(data)
    wait_for_shard(data.parent / "cache")
    run.send_signal(number)
    output, _ = run.communicate(timeout=20)
    assert (run.returncode, output) == (130, "stopped; everything computed so far is safe.\n")
    _, outcome, _ = extract(data)
    assert 0 < outcome.computed < 400


def test_who_is_stopped_while_waiting_seals_nothing(data: Path) -> None:
    extraction, watcher, before = make_extraction(data), SilentWatcher(), signal.getsignal(signal.SIGINT)
    with try_lock(extraction.lock) as held:
        assert held
        waiting = threading.Thread(target=interrupt_when, args=(lambda: watcher.notices,), daemon=True)
        waiting.start()
        with pytest.raises(Interrupted):
            run_stub(extraction, watcher=watcher)
    assert watcher.notices == ["another extract seals features of this trunk; waiting for it to finish"]
    assert not [entry for entry in extraction.entries.values() if entry.sealed_file.exists()]
    assert signal.getsignal(signal.SIGINT) == before


def interrupt_when(said: Callable[[], object]) -> None:
    """Ctrl-C, as soon as something was said."""
    while not said():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def test_what_another_run_commits_is_not_handed_out_again(data: Path) -> None:
    first, second = (
        prepare_pass([make_extraction(data)], SilentWatcher(), lambda: False, pieces=4) for _ in range(2)
    )
    assert len(first.jobs) > 4
    hands, done = [first.hand_out(), second.hand_out(backwards=True)], []
    while hands:  # by turns, each job committed before the other run asks for one
        hand = hands.pop(0)
        if (job := next(hand, None)) is not None:
            done.append(run_shard(job, {0: open_stub}))
            hands.append(hand)
    assert sum(receipt.decoded for receipt in done) == 70 == first.outcome.shared + second.outcome.shared
    assert abs(first.outcome.shared - second.outcome.shared) < 35
    first.finish(SilentWatcher(), lambda: False)
    assert all(entry.read_seal() for entry in first.extractions[0].entries.values())


def test_two_runs_at_once_share_the_images_and_neither_waits(data: Path) -> None:
    write_photos(data, 400)
    whole, _, _ = extract(data, cache="whole")
    other = start(data)
    wait_for_shard(data.parent / "cache")
    mine, outcome, watcher = extract(data, opener=lambda views: open_slow)
    output, _ = other.communicate(timeout=60)
    assert (other.returncode, output) == (0, "")
    assert watcher.notices == ["another extract uses this trunk and cache: sharing the work with it"]
    assert 0 < outcome.decoded < 400
    for ours, theirs in zip(load(mine), load(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert verify_store(mine.store) == []


def test_the_engine_in_this_process_gives_the_same_features(data: Path) -> None:
    workers, _, _ = extract(data, cache="workers")
    inline, outcome, watcher = extract(data, cache="inline", engine="inline")
    assert (outcome.decoded, outcome.forwards, watcher.done) == (70, 210, 70)
    for ours, theirs in zip(load(inline), load(workers), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_engine_that_there_is_not_is_refused(data: Path) -> None:
    with pytest.raises(UsageError, match="expected one of local, inline, ray"):
        extract(data, engine="steam")


def test_the_user_hears_once_that_memory_ran_out(data: Path) -> None:
    _, outcome, watcher = extract(data, opener=lambda views: open_narrow)
    assert outcome.decoded == 70
    said = [line for line in watcher.notices if line.startswith("out of memory")]
    assert said == [
        "out of memory with 8 images of 8 x 8 px: going on with 4 at a time",
        "out of memory with 4 images of 8 x 8 px: going on with 2 at a time",
    ]
