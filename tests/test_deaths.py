from __future__ import annotations

from dataclasses import replace

from fixgrid.cache.shard import Status
from fixgrid.embed.engines.deaths import MAX_IDLE_DEATHS, Deaths
from fixgrid.embed.job import ShardJob
from fixgrid.embed.task import NO_ROW

JOB = ShardJob("train", "data", 100, (b"a",) * 28, (b"",) * 28, ())


def test_the_second_death_at_a_row_puts_it_into_quarantine_for_what_it_died_of() -> None:
    deaths = Deaths(20)
    once = deaths.judge(JOB, 105, Status.CRASH)
    assert once == replace(JOB, careful=True)
    again = deaths.judge(once, 105, Status.TIMEOUT)
    assert again == replace(once, quarantine={105: Status.TIMEOUT})
    assert deaths.total == 0  # an image explains them


def test_a_row_of_another_split_or_another_row_is_not_blamed() -> None:
    deaths = Deaths(20)
    for job, row in ((JOB, 105), (replace(JOB, split="val"), 105), (JOB, 106)):
        assert deaths.judge(job, row, Status.CRASH).quarantine == {}


def test_a_death_that_may_be_of_another_row_counts_for_none() -> None:
    deaths = Deaths(20)
    assert deaths.judge(JOB, 105, Status.CRASH, counts=False).careful
    assert deaths.judge(JOB, 105, Status.CRASH).quarantine == {}


def test_a_job_that_ends_its_worker_at_no_row_is_given_up_and_others_are_not() -> None:
    deaths = Deaths(float("inf"))
    for start in range(1000):  # a machine that goes takes every job of it along
        assert deaths.judge(replace(JOB, start=start), NO_ROW, Status.CRASH).quarantine == {}
    tries = [deaths.judge(JOB, NO_ROW, Status.CRASH) is not None for _ in range(MAX_IDLE_DEATHS)]
    assert tries == [True] * (MAX_IDLE_DEATHS - 1) + [False]


def test_deaths_at_ever_other_rows_are_enough_at_last() -> None:
    deaths = Deaths(3)
    assert [deaths.judge(JOB, row, Status.CRASH) is None for row in range(4)] == [False] * 3 + [True]
