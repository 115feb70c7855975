from __future__ import annotations

from pathlib import Path

import numpy as np
from entries import make_rows, make_spec
from hypothesis import given
from hypothesis import strategies as st
from stub import center

from fixgrid.cache.entry import Entry
from fixgrid.cache.view import View
from fixgrid.embed.backends.spec import BACKENDS, import_runtime
from fixgrid.embed.plan import MAX_SHARD_ROWS, MIN_PIECE_ROWS, MIN_SHARD_ROWS, Goal, plan_jobs, shard_rows

ROWS = {"train": make_rows(200), "val": make_rows(70, seed=1)}


def make_goal(split: str, view: View, missing: np.ndarray) -> Goal:
    rows = ROWS[split]
    return Goal(split, rows, view, Entry(Path(f"{split}-{view.res}"), make_spec(rows, res=view.res)), missing)


def draw_missing(n: int) -> st.SearchStrategy[np.ndarray]:
    """Runs of missing rows, as interrupted and adopted entries have them."""
    edges = st.lists(st.integers(0, n), max_size=6).map(sorted)
    return edges.map(lambda cuts: np.searchsorted(cuts, np.arange(n), side="right") % 2 == 1)


@given(st.lists(draw_missing(200), min_size=1, max_size=3), draw_missing(70))
def test_every_missing_row_is_in_one_job_and_no_other_row_is(train: list[np.ndarray], val: np.ndarray) -> None:
    goals = [make_goal("train", center(16 + i), missing) for i, missing in enumerate(train)]
    goals.append(make_goal("val", center(16), val))
    jobs = plan_jobs(goals, "/root")
    for goal in goals:
        times = np.zeros(len(goal.rows), int)
        for job in jobs:
            if job.split == goal.split and goal.target in job.targets:
                times[job.start : job.stop] += 1
        np.testing.assert_array_equal(times, goal.missing)


@given(st.lists(draw_missing(200), min_size=1, max_size=4))
def test_an_image_is_in_one_job_whatever_wants_it(train: list[np.ndarray]) -> None:
    jobs = plan_jobs([make_goal("train", center(16 + i), missing) for i, missing in enumerate(train)], "/root")
    times = np.zeros(200, int)
    for job in jobs:
        times[job.start : job.stop] += 1
        assert job.targets
        assert job.paths == ROWS["train"].paths[job.start : job.stop]
        assert job.sha256 == tuple(content.tobytes() for content in ROWS["train"].sha256[job.start : job.stop])
        assert len(job.paths) <= shard_rows(200, 1)
        assert job.start // shard_rows(200, 1) == (job.stop - 1) // shard_rows(200, 1)
    np.testing.assert_array_equal(times, np.any(train, axis=0))


def test_nothing_missing_is_nothing_to_do() -> None:
    assert plan_jobs([make_goal("val", center(), np.zeros(70, bool))], "/root") == []
    assert plan_jobs([], "/root") == []


def test_shards_are_powers_of_two_within_bounds() -> None:
    sizes = [shard_rows(n, 2) for n in (0, 1, 100, 5_000, 20_000, 1_000_000)]
    assert sizes == [128, 128, 128, 128, 256, 2048]
    assert [shard_rows(100_000, workers) for workers in (1, 4, 16, 64)] == [2048, 2048, 512, 128]
    assert (MIN_SHARD_ROWS, MAX_SHARD_ROWS) == (128, 2048)


def find_starts(goals: list[Goal], workers: int) -> list[tuple[str, int]]:
    return [(job.split, job.start) for job in plan_jobs(goals, "/root", workers)]


def test_pieces_shrink_towards_the_end_of_a_run_for_workers_to_end_together() -> None:
    train, val = make_goal("train", center(), np.ones(200, bool)), make_goal("val", center(), np.ones(70, bool))
    ends = [0, 16, 24, *range(32, 70, 8)]
    assert find_starts([train], 1) == [("train", 0), ("train", 128)]
    assert find_starts([train, val], 1) == [("train", 0), ("train", 128), ("val", 0)]
    assert find_starts([val], 2) == [("val", start) for start in ends]
    # A fourth of 270, 206, 158, 126, 102 and 78 rows, in whole eights; the last ends with the split.
    starts = [("train", start) for start in (0, 64, 112, 144, 168, 192)]
    assert find_starts([train, val], 2) == starts + [("val", start) for start in ends]


def test_pieces_are_a_part_of_what_is_missing() -> None:
    lacks = np.arange(200) >= 150
    starts = find_starts([make_goal("train", center(), lacks)], 2)
    assert starts == [("train", start) for start in (150, *range(152, 200, 8))]
    sizes = np.diff([start for _, start in find_starts([make_goal("train", center(), ~lacks)], 2)])
    assert sizes.tolist() == [32, 24, 16, 16, *[8] * 7]


def test_every_piece_is_whole_batches_on_a_cpu() -> None:
    assert all(MIN_PIECE_ROWS % import_runtime(place).batch == 0 for place in BACKENDS.values())
