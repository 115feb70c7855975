"""Passes see more images for as long as their cells are among the best on val and there is room for them."""

from __future__ import annotations

import numpy as np
import pytest

from fixgrid.heads.cell import Axes, Trial
from fixgrid.heads.halving import Pass, explain_drops, keep_best, list_passes, plan_shares
from fixgrid.heads.metrics import wilson_interval
from fixgrid.heads.verdict import judge_trials

N = 200


def make(trunk: str, train_res: int, test_res: int | str, hits: int) -> Trial:
    return Trial(
        train_res=train_res,
        test_res=test_res,
        apparent=1.0,
        val=wilson_interval(hits, N),
        strength=1.0,
        note="",
        val_row=np.arange(N),
        val_correct=np.arange(N) < hits,
        axes=Axes(trunk=trunk),
    )


TRIALS = [make("a", 64, 64, 100), make("a", 64, 96, 150), make("b", 64, 64, 160), make("b", 96, "64+96", 190)]
EACH = {one: 1.0 for trial in TRIALS for one in list_passes(trial)}


def test_a_trial_needs_the_passes_of_both_of_its_resolutions() -> None:
    assert list_passes(TRIALS[3]) == {Pass("b", 64), Pass("b", 96)}
    assert list_passes(TRIALS[0]) == {Pass("a", 64)}


@pytest.mark.parametrize(("room", "kept"), [(4, "abab"), (2, "bb"), (3, "bba")])
def test_the_best_on_val_are_kept_while_there_is_room(room: float, kept: str) -> None:
    found = keep_best(judge_trials(TRIALS), EACH, room)
    assert sorted(one.trunk for one in found) == sorted(kept)


def test_the_best_is_kept_even_where_there_is_no_room() -> None:
    assert keep_best(judge_trials(TRIALS), EACH, 0) == {Pass("b", 64), Pass("b", 96)}


def test_what_is_dropped_is_told_with_its_best_cell() -> None:
    drops = explain_drops(judge_trials(TRIALS), {Pass("b", 64), Pass("b", 96)}, 0.25)
    assert [(one.passed, one.share) for one in drops] == [(Pass("a", 64), 0.25), (Pass("a", 96), 0.25)]
    assert drops[0].val.value == 150 / N
    assert drops[0].behind == pytest.approx(40 / N)
    assert drops[0].p < 0.05


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_steps_cost_alike_and_the_last_share_is_all_images(share: float) -> None:
    shares = plan_shares(0.01, [2.0, 3.0], 5 * share)
    assert shares[-1] == 1
    assert shares == sorted(shares)
    assert shares[0] * 5 <= 5 * share / (len(shares) - 1)


def test_enough_for_all_is_one_step_and_a_share_too_small_to_judge_is_none() -> None:
    assert plan_shares(0.01, [2.0, 3.0], 5) == [1]
    assert plan_shares(0.2, [2.0, 3.0], 0.1)[0] == pytest.approx(0.2)
