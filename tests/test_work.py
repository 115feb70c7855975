"""What a pass tells of itself while it lasts: time left goes by what images cost, not by how many there are."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from stub import TRUNK, SilentWatcher, center, run_stub, train
from zoo import list_manifest, write_photos

from fixgrid.cache.entry import Entry
from fixgrid.cache.store import FeatureStore
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.speed import Speed, keep_speed
from fixgrid.embed.work import prepare_pass, weigh_jobs


class Listening(SilentWatcher):
    def __init__(self) -> None:
        super().__init__()
        self.shares: list[float | None] = []

    def advance(self, done: int, share: float | None = None) -> None:
        self.shares.append(share)


@pytest.fixture
def extraction(tmp_path: Path) -> Extraction:
    write_photos(tmp_path / "data", 40)
    views = {"train": (center(16), train(16, draws=3), center(32))}
    return Extraction(FeatureStore(tmp_path / "cache"), list_manifest(tmp_path / "data"), TRUNK, views)


def weigh(extraction: Extraction) -> tuple[list[int], list[float], bool]:
    return weigh_jobs(prepare_pass([extraction], SilentWatcher(), lambda: False))


def remember(extraction: Extraction, ms: dict[int, float]) -> None:
    trunk_s = {res: value * 100 / 1e3 for res, value in ms.items()}
    how = {"device": "cpu", "backend": "stub", "weights_sha256": TRUNK.weights_sha256, "precision": "fp32"}
    made = {"decoded": 100, "stages": {}, "workers": 1, "decoders": 0, "wall_s": 1.0, "created": 1.0}
    crops = dict.fromkeys(ms, 100)
    keep_speed(
        extraction.store.root / "speed",
        Speed(host=platform.node(), crops=crops, trunk_s=trunk_s, **how, **made),  # type: ignore[arg-type]
    )


def test_an_image_costs_its_crops_at_the_speed_of_earlier_runs(extraction: Extraction) -> None:
    remember(extraction, {16: 2.0, 32: 10.0})
    rows, ms, measured = weigh(extraction)
    assert (rows[0], rows[-1], ms[0], measured) == (0, 40, 0.0, True)
    assert ms[-1] == pytest.approx(40 * (5.0 + 4 * 2.0 + 10.0))


def test_without_an_earlier_run_at_a_resolution_nothing_is_promised(extraction: Extraction) -> None:
    remember(extraction, {16: 2.0})
    assert not weigh(extraction)[2]


def test_a_run_ends_at_the_whole_of_its_work_and_never_goes_back(extraction: Extraction) -> None:
    watcher = Listening()
    run_stub(extraction, watcher=watcher)
    shares = [share for share in watcher.shares if share is not None]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_what_others_commit_is_looked_for_in_a_small_share_of_the_time(
    extraction: Extraction, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = prepare_pass([extraction], SilentWatcher(), lambda: False, pieces=4)
    now, find_missing = [0.0], Entry.find_missing
    looked: list[float] = []

    def look(entry: Entry) -> NDArray[np.bool_]:
        looked.append(now[0])
        now[0] += 1
        return find_missing(entry)

    monkeypatch.setattr(Entry, "find_missing", look)
    monkeypatch.setattr("fixgrid.embed.work.time.monotonic", lambda: now[0])
    jobs = work.hand_out()
    for _ in work.jobs[:3]:
        next(jobs)
        now[0] += 4
    assert len(work.jobs) > 4
    assert looked == [0]
    now[0] = 21
    monkeypatch.setattr(Entry, "find_missing", lambda entry: np.zeros(40, np.bool_))
    assert list(jobs) == []
    assert work.outcome.shared == 40 - sum(job.stop - job.start for job in work.jobs[:3])
