"""A learning curve: nested subsets of images, chosen on val, scored on test once."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from drawn import FEW, PAIRS, Source, ask, fold
from hypothesis import given
from hypothesis import strategies as some

from fixgrid.cache.errors import UsageError
from fixgrid.cache.shares import rank_images, take_share
from fixgrid.heads.curve import fit_curve
from fixgrid.heads.fit import fit_best
from fixgrid.heads.head_table import format_curve
from fixgrid.heads.memo import Memo
from fixgrid.heads.subset import TrainSubset

SHARES = (0.05, 0.2, 1.0)


@given(
    y=some.lists(some.integers(0, 3), min_size=1, max_size=60),
    shares=some.tuples(*[some.floats(0.001, 1)] * 2),
    seed=some.integers(0, 9),
)
def test_subsets_are_nested_and_stratified_for_any_shares(y, shares, seed):
    y, order = np.array(y), np.random.default_rng(seed).permutation(len(y))
    small, large = (take_share(y, order, share) for share in sorted(shares))
    assert set(small) <= set(large)
    for label, count in zip(*np.unique(y, return_counts=True), strict=True):
        took = (y[small] == label).sum()
        assert took >= 1
        assert abs(took - min(shares) * count) <= max(0.5, 1 - min(shares) * count)
    assert len(take_share(y, order, 1.0)) == len(y)


def test_more_images_are_better():
    few, some_more, whole = fit_curve(ask(Source(), [(224, 128)], FEW), (0.01, 0.2, 1.0))
    assert [point.images for point in (few, some_more, whole)] == [4, 32, 160]
    assert few.test.value < whole.test.low


def test_all_images_give_the_kept_head():
    (point,) = fit_curve(ask(Source(), PAIRS, FEW), (1.0,))
    best = fit_best([ask(Source().load, PAIRS, FEW)])
    assert (point.train_res, point.test_res) == (best.train_res, best.test_res)
    assert (point.strength, point.val, point.test) == (best.choice.strength, best.choice.val, best.score.figure)


def test_a_curve_is_told_by_its_seed():
    order = [rank_images(Source().load("train", "center", 224).sha256, seed).tolist() for seed in (0, 0, 1)]
    assert order[0] == order[1] != order[2]
    curves = [fit_curve(ask(Source(), PAIRS[:1], FEW), SHARES[:1], seed=seed) for seed in (0, 0, 1)]
    assert curves[0] == curves[1] != curves[2]


def test_images_keep_their_turn_when_they_are_listed_otherwise():
    train = Source().load("train", "center", 224)
    moved = np.random.default_rng(0).permutation(len(train.y))
    listed = replace(train, sha256=train.sha256[moved])
    np.testing.assert_array_equal(moved[rank_images(listed.sha256, 0)], rank_images(train.sha256, 0))


def test_test_is_seen_once_for_each_share_and_last():
    source = Source()
    fit_curve(ask(source, PAIRS, FEW), SHARES)
    loads = source.order
    ends = [i for i, split in enumerate(loads) if split == "test"]
    assert len(ends) == len(SHARES)
    assert ends[-1] == len(loads) - 1


def test_permuted_test_labels_change_no_choice():
    honest, shuffled = (fit_curve(ask(Source(permute), PAIRS, FEW), SHARES) for permute in (None, "test"))
    for a, b in zip(honest, shuffled, strict=True):
        assert replace(a, test=b.test) == b
        assert a.test != b.test


def test_a_repeated_curve_fits_nothing(tmp_path):
    points = [fit_curve(ask(Source(), PAIRS, FEW, Memo(tmp_path, Source().identify)), SHARES)]
    again = Source()
    points.append(fit_curve(ask(again, PAIRS, FEW, Memo(tmp_path, again.identify)), SHARES))
    assert again.order == ["train"]
    assert points[0] == points[1] == fit_curve(ask(Source(), PAIRS, FEW), SHARES)
    json.dumps([asdict(point) for point in points[1]])


def test_a_curve_of_several_test_resolutions_is_remembered_as_it_is(tmp_path):
    pairs = [(224, "128+224")]
    points = [fit_curve(ask(Source(), pairs, FEW, Memo(tmp_path, Source().identify)), SHARES) for _ in range(2)]
    assert points[0] == points[1]
    assert {point.test_res for point in points[0]} == {"128+224"}


@pytest.mark.parametrize("changed", [{"refit": True}, {"families": ("ridge",)}, {"strengths": (1e-2,)}])
def test_other_options_or_another_seed_are_other_points(tmp_path, changed):
    memo = Memo(tmp_path, Source().identify)
    fit_curve(ask(Source(), PAIRS[:1], FEW, memo), SHARES[:1])
    for options, seed in ((replace(FEW, **changed), 0), (FEW, 1)):
        source = Source()
        fit_curve(ask(source, PAIRS[:1], options, memo), SHARES[:1], seed=seed)
        assert "test" in source.order


@pytest.mark.parametrize(("pairs", "shares"), [([], SHARES), (PAIRS, []), (PAIRS, [0.0]), (PAIRS, [0.5, 1.5])])
def test_no_pair_or_a_share_out_of_range_is_refused(pairs, shares):
    with pytest.raises(UsageError, match="expected shares above 0"):
        fit_curve(ask(Source(), pairs, FEW), shares)


def test_repeats_are_draws_of_other_seeds_and_all_images_are_drawn_once():
    question = ask(Source(), PAIRS[:2], FEW)
    one, (few, some_more, whole) = fit_curve(question, SHARES), fit_curve(question, SHARES, repeats=3)
    for share, point in zip(SHARES[:2], (few, some_more), strict=True):
        tests = [fit_curve(question, [share], seed=seed)[0].test.value for seed in range(3)]
        half = 4.302653 * np.std(tests, ddof=1) / np.sqrt(3)
        mean = np.mean(tests)
        assert (point.seeds, point.mean_test) == (
            3,
            pytest.approx((mean, max(0, mean - half), min(1, mean + half))),
        )
    assert (whole.seeds, whole.mean_test) == (1, None)
    assert [replace(point, seeds=1, mean_test=None) for point in (few, some_more, whole)] == one
    with pytest.raises(UsageError, match="--repeats 0"):
        fit_curve(question, SHARES, repeats=0)


def test_the_interval_over_seeds_stands_beside_wilsons_in_every_format():
    points = fit_curve(ask(Source(), PAIRS[:1], FEW), SHARES, repeats=2)
    mean = points[0].mean_test
    table = format_curve(points, "table")
    assert "t-interval" in table
    assert f"[{100 * mean.low:.2f}, {100 * mean.high:.2f}]" in table
    assert "Student's t" in table
    few, *_, whole = json.loads(format_curve(points, "json"))
    assert (few["seeds"], few["mean_test"], few["mean_test_low"]) == (2, mean.value, mean.low)
    assert (whole["seeds"], whole["mean_test"]) == (1, None)
    assert "seeds" not in format_curve(points[-1:], "json") + format_curve(points[-1:], "table")


def test_permuted_test_labels_change_no_draw_and_no_choice():
    honest, shuffled = (
        fit_curve(ask(Source(permute), PAIRS, FEW), SHARES, repeats=2) for permute in (None, "test")
    )
    for a, b in zip(honest, shuffled, strict=True):
        assert replace(a, test=b.test, mean_test=b.mean_test) == b


def test_points_kept_before_there_were_repeats_are_read(tmp_path):
    question = ask(Source(), PAIRS[:1], FEW, Memo(tmp_path, Source().identify))
    fit_curve(question, SHARES[:1])
    (kept,) = tmp_path.iterdir()
    assert not {"seeds", "mean_test"} & json.loads(kept.read_text())["record"].keys()
    fit_curve(question, SHARES[:1], repeats=3)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_share_of_which_a_fold_leaves_one_class_is_refused():
    question = fold(ask(Source(), PAIRS[:1], FEW))
    whole, held = question.source.load("train", "center", 224), question.folds.held[0]
    first = whole.row[(whole.y == 0) & ~np.isin(whole.row, held)][:1]
    lost = [whole.row[(whole.y == label) & np.isin(whole.row, held)][:1] for label in (1, 2, 3)]
    few = replace(question, source=TrainSubset(question.source, np.concatenate([first, *lost])))
    with pytest.raises(UsageError, match="share of 100 % that is 4 images, of which a fold leaves 1 class"):
        fit_curve(few, [1.0])


def test_a_repeated_curve_fits_a_terminal():
    points = fit_curve(ask(Source(), PAIRS[:1], FEW), SHARES, repeats=2)
    assert max(map(len, format_curve(points, "table").splitlines())) <= 80
