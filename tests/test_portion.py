from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgrid.cache.errors import UsageError
from fixgrid.embed.portion import Portion, piece_rows, read_portion

SECOND = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2"}
ARRAY = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "1"}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 300_000), min_size=1, max_size=3), st.integers(1, 9))
def test_for_any_number_of_parts_each_row_is_in_one(sizes: list[int], count: int) -> None:
    named = {str(i): n for i, n in enumerate(sizes)}
    cuts = [Portion(i, count).cut(named) for i in range(count)]
    for split, n in named.items():
        assert np.array_equal(sum(cut[split].astype(int) for cut in cuts), np.ones(n))


def test_parts_differ_by_a_piece_at_most() -> None:
    sizes = {"train": 1_281_167, "val": 50_000}
    rows = [sum(mine.sum() for mine in Portion(i, 7).cut(sizes).values()) for i in range(7)]
    assert max(rows) - min(rows) <= 2 * piece_rows(1_281_167)


def test_a_piece_is_whole_batches_whatever_the_number_of_rows() -> None:
    assert {piece_rows(n) % 128 for n in (1, 500, 200_000, 14_000_000)} == {0}
    assert (piece_rows(10), piece_rows(14_000_000)) == (128, 2048)


def test_pieces_are_cut_alike_for_any_number_of_parts() -> None:
    sizes = {"train": 3000, "test": 500}
    edges = {
        split: {
            row for i in range(count) for row in np.flatnonzero(np.diff(Portion(i, count).cut(sizes)[split])) + 1
        }
        for count in (2, 3, 5)
        for split in sizes
    }
    assert all(row % 128 == 0 for found in edges.values() for row in found)


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        (None, ARRAY, None),
        ("0/4", ARRAY, "0/4"),
        ("auto", {**ARRAY, "SLURM_ARRAY_TASK_STEP": "2"}, "3/4"),
        ("auto", {"SLURM_PROCID": "2", "SLURM_NTASKS": "3"}, "2/3"),
        ("auto", {**SECOND, "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, "1/2"),
        ("auto", {**SECOND, "SLURM_PROCID": "2", "SLURM_NTASKS": "3"}, "5/6"),
        ("auto", {"RANK": "1", "WORLD_SIZE": "2"}, "1/2"),
        ("auto/5", {"JOB_COMPLETION_INDEX": "4"}, "4/5"),
        ("auto/2", {"RANK": "1", "WORLD_SIZE": "2"}, "1/2"),
    ],
)  # fmt: skip
def test_a_scheduler_says_which_part(text: str | None, environment: dict[str, str], expected: str | None) -> None:
    found = read_portion(text, environment)
    assert (found and str(found)) == expected
    assert not found or bool(found.why) == (text or "").startswith("auto")


@pytest.mark.parametrize(
    ("text", "environment", "line"),
    [
        ("4/4", {}, "found --part 4/4; expected a part from 0/4 to 3/4."),
        ("1/0", {}, "found --part 1/0; expected a part N of 1 or more."),
        ("2", {}, "found --part '2'; expected I/N, from 0/4 to 3/4 for four parts, or auto."),
        ("half", {}, "found --part 'half'; expected I/N, from 0/4 to 3/4 for four parts, or auto."),
        ("auto", {}, "found --part auto, but no variables of a scheduler"),
        ("auto", {"JOB_COMPLETION_INDEX": "1"}, "as in --part auto/16."),
        ("auto/3", {"RANK": "1", "WORLD_SIZE": "2"}, "part 1/2 from RANK and WORLD_SIZE; expected one"),
        ("auto", {"RANK": "x", "WORLD_SIZE": "2"}, "found RANK='x'; expected a whole number"),
        (
            "auto",
            {"RANK": "2", "WORLD_SIZE": "2"},
            "found part 2/2 from RANK and WORLD_SIZE; expected a part from",
        ),
    ],
)
def test_what_names_no_part_is_refused(text: str, environment: dict[str, str], line: str) -> None:
    with pytest.raises(UsageError) as error:
        read_portion(text, environment)
    assert line in str(error.value)
