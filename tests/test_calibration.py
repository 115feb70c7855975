"""What a head's file says of val is what the kept head itself finds there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import FEW, Cache, ask, fold
from test_tasks import ask_of

from fixgrid.cache.errors import UsageError
from fixgrid.heads.artifact import SavedHead, load_head, save_head
from fixgrid.heads.conformal import rate_answers
from fixgrid.heads.doubts import ask_doubts, find_shift
from fixgrid.heads.fit import Fitted, fit_best
from fixgrid.heads.knn import unit_rows
from fixgrid.heads.novelty import find_means, rate_novelty
from fixgrid.heads.predictions import format_predictions, measure_doubts, predict_images, rate_images, score_images
from fixgrid.heads.training import Training
from fixgrid.heads.views import join_views

PLACES = {"one": 224, "several": "128+224"}


def keep(fitted: Fitted, stem: Path, mean_of: str = "probabilities") -> SavedHead:
    several = isinstance(fitted.test_res, str)
    saved = SavedHead(
        fitted.head,
        tuple("abcd"),
        fitted.temperature,
        views=[{"res": 128}, {"res": 224}] if several else [],
        corrections=fitted.corrections,
        figures={"mean_of": mean_of},
        calibration=fitted.calibration,
    )
    save_head(stem, saved)
    return load_head(stem)


def see(split: str, place: str):
    return join_views([Cache()(split, "center", int(res)) for res in str(PLACES[place]).split("+")])


@pytest.mark.parametrize("mean_of", ["features", "probabilities"])
@pytest.mark.parametrize("correction", ["none", "standardize", "frechet", "refit"])
@pytest.mark.parametrize("place", PLACES)
def test_a_kept_head_finds_on_val_what_its_file_says(
    tmp_path: Path, place: str, correction: str, mean_of: str
) -> None:
    options = replace(FEW, corrections=(correction,), mean_of=mean_of)
    fitted = fit_best([ask(Cache(), [(320, PLACES[place])], options, n_classes=4)])
    saved, val = keep(fitted, tmp_path / "h", mean_of), see("val", place)
    assert saved.calibration is not None
    assert saved.calibration.means.shape == (4, 12)
    found = np.sort(rate_answers(score_images(saved, val.X), val.y, saved.temperature))
    np.testing.assert_allclose(found, saved.calibration.nonconformity, atol=1e-4)
    novelty = rate_images(saved, val.X)
    assert novelty is not None
    np.testing.assert_allclose(np.sort(novelty), saved.calibration.novelty, atol=1e-5)


@pytest.mark.parametrize("task", ["multilabel", "ordinal", "regression"])
def test_every_task_has_answers_that_cover_test_as_asked(tmp_path: Path, task: str) -> None:
    fitted = fit_best([ask_of(task)])
    names = ("size",) if task == "regression" else tuple("abcd")
    saved = SavedHead(
        fitted.head,
        names,
        fitted.temperature,
        task=task,
        calibration=fitted.calibration,
        thresholds=fitted.thresholds,
    )
    save_head(tmp_path / "h", saved)
    saved = load_head(tmp_path / "h")
    figures = {figure.name: figure.value for figure in fitted.answer(names).figures.figures}
    assert figures["coverage_90"].low < 0.9 < figures["coverage_90"].high
    assert figures["unknown_5"].low < 0.05 < figures["unknown_5"].high
    test = fitted.test
    found = predict_images(saved, [test], [b"p"] * 120, ["ok"] * 120, 1, ask_doubts(saved, 0.9, None))
    if task == "regression":
        hits = [
            p.interval is not None and p.interval[0] <= y <= p.interval[1]
            for p, y in zip(found, test.y, strict=True)
        ]
        wide = [p.interval[1] - p.interval[0] for p in found if p.interval]
        assert wide == pytest.approx([2 * figures["margin_90"].value] * 120)
    else:
        rows = np.atleast_2d(test.y) if test.y.ndim == 2 else np.eye(4, dtype=bool)[test.y]
        wanted = [{names[k] for k in np.flatnonzero(row)} for row in rows]
        hits = [p.held is not None and mine <= set(p.held) for p, mine in zip(found, wanted, strict=True)]
        assert np.mean([len(p.held or ()) for p in found]) == pytest.approx(figures["set_size_90"].value)
    assert np.mean(hits) == pytest.approx(figures["coverage_90"].value)


def test_folds_judge_each_image_by_what_did_not_learn_from_it() -> None:
    asked = fold(ask(Cache(), [(224, 224)], FEW, n_classes=4))
    known = fit_best([asked]).calibration
    assert known is not None
    assert len(known.novelty) == len(known.nonconformity) == 160 + 80
    learnt = rate_novelty(known.means, asked.source.load("val", "center", 224).X)
    assert known.novelty.mean() > learnt.mean()


def test_repeats_of_folds_count_each_image_once(tmp_path: Path) -> None:
    question = ask(Cache(), [(224, 224)], FEW, n_classes=4)
    once, often = (fit_best([fold(question, repeats=repeats)]) for repeats in (1, 3))
    for fitted in (once, often):
        assert fitted.calibration is not None
        assert len(fitted.calibration.novelty) == len(fitted.calibration.nonconformity) == fitted.n_val == 240
    np.testing.assert_array_equal(once.calibration.novelty, often.calibration.novelty)
    with pytest.raises(UsageError, match="the 240 images"):
        ask_doubts(keep(often, tmp_path / "h"), None, 0.002)


@pytest.mark.parametrize("folded", [False, True])
def test_a_head_keeps_of_how_many_images_the_groups_of_val_tell(tmp_path: Path, folded: bool) -> None:
    class Grouped(Cache):
        def __call__(self, split, kind, res):
            found = super().__call__(split, kind, res)
            return replace(found, group=found.row // 8 + 1000 * len(split))

    question = ask(Grouped(), [(320, 224)], FEW, n_classes=4)
    saved = keep(fit_best([fold(question) if folded else question]), tmp_path / "h")
    assert saved.calibration is not None
    assert saved.calibration.alone == pytest.approx(30 if folded else 10)
    test = Grouped()("test", "center", 224)
    _, shift = measure_doubts(saved, [test])
    _, before = measure_doubts(replace(saved, calibration=replace(saved.calibration, alone=None)), [test])
    assert abs(shift.p - 0.5) < abs(before.p - 0.5)
    asked = predict_images(saved, [test], [b"p"] * 120, ["ok"] * 120, 1, ask_doubts(saved, None, 0.05))
    assert find_shift(saved, asked, test.group) == shift


def test_class_means_are_where_a_head_that_took_its_correction_in_sees_images() -> None:
    options = replace(FEW, corrections=("standardize",))
    one, several = (fit_best([ask(Cache(), [(320, res)], options, n_classes=4)]) for res in PLACES.values())
    training = Training(ask(Cache(), []).source, (("train", 320),))
    means = find_means(*training.rows, 4)
    assert one.calibration is not None
    assert several.calibration is not None
    np.testing.assert_allclose(several.calibration.means, unit_rows(means), atol=1e-6)
    seen = training.correct("standardize", "center", 224).invert(means)
    np.testing.assert_allclose(one.calibration.means, unit_rows(seen), atol=1e-6)
    assert abs(seen - means).max() > 0.01


def test_evaluate_measures_what_fit_head_did(tmp_path: Path) -> None:
    fitted = fit_best([ask(Cache(), [(320, 224)], FEW, n_classes=4)])
    saved = keep(fitted, tmp_path / "h")
    figures, shift = measure_doubts(saved, [see("test", "one")])
    measured = fitted.answer(saved.classes).figures
    assert {figure.name for figure in figures} == {"coverage_90", "set_size_90", "unknown_5"}
    for figure in figures:
        assert measured[figure.name] == pytest.approx(figure.value)
    assert shift is not None
    assert shift.stranger == pytest.approx(measured["unknown_5"])


def test_test_images_have_no_say_in_what_val_says() -> None:
    kept = [fit_best([ask(Cache(permute), [(320, 224)], FEW, n_classes=4)]) for permute in (None, "test")]
    for name in ("nonconformity", "novelty", "means"):
        one, other = (getattr(fitted.calibration, name) for fitted in kept)
        np.testing.assert_array_equal(one, other)


def test_images_are_given_sets_and_are_called_unknown_where_that_is_asked(tmp_path: Path) -> None:
    saved = keep(fit_best([ask(Cache(), [(320, 224)], FEW, n_classes=4)]), tmp_path / "h")
    test = see("test", "one")
    test = replace(test, X=np.concatenate([test.X[:3], -test.X[:1]]), row=np.array([0, 1, 2, 4]))
    paths, statuses = [b"a", b"b", b"c", b"d", b"e"], ["ok", "ok", "ok", "decode", "ok"]
    found = predict_images(saved, [test], paths, statuses, 1, ask_doubts(saved, "90%", 0.05))
    assert all(p.held is not None and p.top[0][0] in p.held for p in found if p.status == "ok")
    assert found[4].unknown is True
    assert found[4].novelty_p == pytest.approx(1 / 81)
    assert (found[3].held, found[3].novelty_p, found[3].unknown) == (None, None, None)
    for style in ("json", "csv", "table", "md"):
        assert "unknown" in format_predictions(found, style)
    plain = predict_images(saved, [test], paths, statuses, 1)
    assert plain[4].novelty_p == found[4].novelty_p
    for style in ("json", "csv", "table", "md"):
        assert not {"unknown", "novelty_p", "set"} & set(format_predictions(plain, style).replace(",", " ").split())


def test_a_head_that_cannot_tell_is_refused_with_what_to_do() -> None:
    fitted = fit_best([ask(Cache(), [(320, 224)], FEW, n_classes=4)])
    old = SavedHead(fitted.head, tuple("abcd"))
    with pytest.raises(UsageError, match=r"found --coverage for a head of an earlier version.*fit the head again"):
        ask_doubts(old, 0.9, None)
    with pytest.raises(UsageError, match=r"found --unknown for a head of class names.*fit one by fit-head"):
        ask_doubts(replace(old, normalised=True), None, 0.05)
    assert measure_doubts(old, [see("test", "one")]) == ((), None)
    assert ask_doubts(old, None, None) == (None, None)
