"""What is said of long work, and when, on a clock that tests turn."""

from __future__ import annotations

import pytest

from fixgrid.cache.phase import say_rate
from fixgrid.commands.pace import EVERY_S, FIRST_AFTER_S, Pace, say_time
from fixgrid.embed.outcome import Outcome


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "0 s"),
        (38.4, "38 s"),
        (99, "99 s"),
        (100, "1 min 40 s"),
        (122, "2 min"),
        (725, "12 min"),
        (4320, "1 h 12 min"),
    ],
)
def test_times_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert say_time(seconds) == said


@pytest.mark.parametrize(
    ("rate", "units", "said"),
    [
        (113.7, "images", "114 images/s"),
        (1.74, "cells", "1.7 cells/s"),
        (0.3125, "images", "3.2 s an image"),
        (0.01, "cells", "100.0 s a cell"),
    ],
)
def test_what_is_slower_than_one_a_second_is_said_in_seconds(rate: float, units: str, said: str) -> None:
    assert say_rate(rate, units) == said


def test_an_outcome_says_its_speed_as_progress_does() -> None:
    assert "in 2.6 s (1.3 s an image); 0 rows" in Outcome(2, decoded=2, forwards=2, wall_s=2.6).describe()
    assert "in 20.0 s (13 images/s); 0 rows" in Outcome(258, decoded=258, forwards=258, wall_s=20.0).describe()
    assert "in 0.5 s; 9 rows taken over" in Outcome(adopted=9, wall_s=0.5).describe()


def list_lines(pace: Pace, until: float, step: float = 0.1) -> list[tuple[float, str]]:
    """When lines are due, and what they say, if somebody looks often."""
    said = []
    for k in range(round(until / step)):
        now = k * step
        if pace.is_due(now):
            pace.note_said(now)
            said.append((round(now, 1), pace.say(now)))
    return said


def test_silent_work_is_named_within_a_second_and_then_every_ten() -> None:
    assert FIRST_AFTER_S < 1
    assert list_lines(Pace(0.0), 25) == [
        (FIRST_AFTER_S, "loading libraries"),
        (FIRST_AFTER_S + EVERY_S, "loading libraries, 10 s"),
        (FIRST_AFTER_S + 2 * EVERY_S, "loading libraries, 20 s"),
    ]


def test_what_was_said_by_others_counts() -> None:
    pace = Pace(0.0)
    pace.note_said(0.3)
    assert [when for when, _ in list_lines(pace, 12)] == [10.3]


def test_parts_have_a_speed_and_time_left_once_there_is_a_speed() -> None:
    pace = Pace(0.0)
    pace.begin(5.0, "fitting heads", 0, 45, "cells")
    assert pace.say(5.0) == "fitting heads: 0 of 45 cells"
    pace.go_on(12)
    assert pace.say(5.5) == "fitting heads: 12 of 45 cells"
    assert pace.say(29.0) == "fitting heads: 12 of 45 cells, 2.0 s a cell, 66 s left"


def test_what_was_done_before_has_no_part_in_the_speed() -> None:
    pace = Pace(0.0)
    pace.begin(0.0, "extracting", 900, 1000, "images")
    pace.go_on(950)
    assert pace.say(10.0) == "extracting: 950 of 1000 images, 5.0 images/s, 10 s left"


def test_time_left_goes_by_what_the_parts_cost() -> None:
    pace = Pace(0.0)
    pace.begin(0.0, "extracting", 0, 100, "images")
    pace.go_on(50, 0.9)  # the other half has fewer crops
    assert pace.say(90.0) == "extracting: 50 of 100 images, 1.8 s an image, 10 s left"


def test_the_first_estimate_is_that_of_earlier_runs() -> None:
    pace = Pace(0.0)
    pace.begin(0.0, "extracting", 0, 100, "images", expected_s=400.0)
    assert pace.say(40.0) == "extracting: 0 of 100 images, 6 min left"
    pace.go_on(50, 0.5)
    assert pace.say(100.0).endswith("1 min 40 s left")
