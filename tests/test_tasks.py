"""Several labels, numbers, ordered classes and groups: from features to a kept head, against scikit-learn."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from drawn import Loaded
from sklearn import metrics
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.features import FeatureSet
from fixgrid.cache.rows import Rows, find_strata
from fixgrid.heads.artifact import FORMAT, SavedHead, load_head, save_head
from fixgrid.heads.deck import Folds, make_deck
from fixgrid.heads.families import expect_families
from fixgrid.heads.fit import fit_best
from fixgrid.heads.grid import run_grid
from fixgrid.heads.head_table import fit_record, format_figures, format_fit
from fixgrid.heads.linear import LinearHead
from fixgrid.heads.measures import DEFAULTS
from fixgrid.heads.measuring import measure_head
from fixgrid.heads.metrics import fit_thresholds, log_chances
from fixgrid.heads.predictions import format_predictions, predict_images
from fixgrid.heads.question import Ask, GridOptions
from fixgrid.heads.select import score_views
from fixgrid.heads.table import Notes, format_cells
from fixgrid.heads.verdict import judge_cells

D, K = 12, 4
SIZES = {"train": 200, "val": 80, "test": 120}
NAMES = {"regression": ("size",)}


def make_labels(task: str, z: np.ndarray) -> np.ndarray:
    if task == "multilabel":
        return np.asarray(z > 1.5)
    return 1e4 + 300 * z[:, 0] if task == "regression" else np.digitize(z[:, 0], [-3, 0, 3])


class Drawn:
    """Generated features of a task; larger resolutions are less noisy."""

    def __init__(self, task: str, grouped: bool = False) -> None:
        self.task, self.grouped = task, grouped

    def __call__(self, split: str, kind: str, res: int) -> FeatureSet:
        n, rng = SIZES[split], np.random.default_rng([len(split), 5])
        X = rng.normal(size=(n, 1, D))
        y = make_labels(self.task, X[:, 0] @ np.random.default_rng(1).normal(size=(D, K)))
        X = X + np.random.default_rng([len(split), res]).normal(size=X.shape) * 150 / res
        digests = rng.integers(0, 256, (n, 32), np.uint8)
        group = np.arange(n) // 4 if self.grouped else None
        return FeatureSet(X.astype(np.float32), y, np.arange(n), digests, group)


def ask_of(task: str, grouped: bool = False, **options: object) -> Ask:
    usual = {"families": ("ridge",) if task == "regression" else ("logistic",), "metric": DEFAULTS[task]}
    source = Loaded(Drawn(task, grouped), len(NAMES.get(task, range(K))), lambda *place: str(place))
    made = GridOptions(**{**usual, **options})
    return Ask(source, ((128, 128), (224, 224)), made, grouped=grouped, task=task)


def fit_theirs(task: str, strength: float, train: FeatureSet) -> object:
    models = {
        "multilabel": OneVsRestClassifier(LogisticRegression(C=strength, tol=1e-8, max_iter=9999)),
        "ordinal": LogisticRegression(C=strength, tol=1e-8, max_iter=9999),
        "regression": Ridge(strength),
    }
    return make_pipeline(StandardScaler(), models[task]).fit(train.X[:, 0], train.y)


def score_theirs(task: str, model: object, test: FeatureSet) -> float:
    X, y = test.X[:, 0], test.y
    if task == "multilabel":
        return float(metrics.average_precision_score(y, model.decision_function(X)))
    if task == "regression":
        return float(metrics.r2_score(y, model.predict(X)))
    return float(metrics.cohen_kappa_score(y, model.predict(X), weights="quadratic"))


TASKS = ["multilabel", "ordinal", "regression"]


@pytest.mark.parametrize("task", TASKS)
def test_every_cell_is_scikit_learns_at_the_strength_that_val_chose(task):
    ask = ask_of(task)
    for cell in run_grid(ask):
        train, test = (ask.source.load(split, "center", cell.train_res) for split in ("train", "test"))
        theirs = fit_theirs(task, cell.strength, train)
        assert cell.test.value == pytest.approx(score_theirs(task, theirs, test), abs=1e-3)
        assert cell.test.low < cell.test.value < cell.test.high


@pytest.mark.parametrize("task", TASKS)
def test_val_chooses_the_strength_of_the_best_figure(task):
    options = {"strengths": (1e-4, 1e-2, 1.0), "coarse": 1} if task != "regression" else {"coarse": 1}
    fitted = fit_best([ask_of(task, **options)])
    curve = fitted.choice.curve
    assert fitted.choice.val.value == pytest.approx(max(curve.values()), abs=1e-9)


@pytest.mark.parametrize("task", TASKS)
def test_tables_name_the_figure_and_the_groups(task):
    verdict = judge_cells(list(run_grid(ask_of(task, grouped=True))))
    table = format_cells(verdict, Notes(), "table")
    title = {"multilabel": "mAP", "ordinal": "quadratic kappa", "regression": "R2"}[task]
    assert title in " ".join(table.split())
    assert "on 30 test groups" in " ".join(table.split())
    assert len(verdict.best.row) == SIZES["test"] // 4
    record = json.loads(format_cells(verdict, Notes(), "json"))["cells"][0]
    assert record["metric"] == DEFAULTS[task]


@pytest.mark.parametrize("task", TASKS)
def test_a_kept_head_answers_as_it_was_scored(task, tmp_path):
    ask = ask_of(task)
    fitted = fit_best([ask])
    classes = NAMES.get(task, tuple("abcd"))
    saved = SavedHead(fitted.head, classes, fitted.temperature, task=task, thresholds=fitted.thresholds)
    save_head(tmp_path / "head", saved)
    again = load_head(tmp_path / "head")
    test = ask.source.load("test", "center", int(fitted.test_res))
    scores = score_views(again.head, test.X[:, 0], again.link)
    figures = measure_head(scores, test.y, classes, again.temperature, task=again.task, thresholds=again.thresholds)
    main = figures.main.value.value
    assert main == pytest.approx(fitted.score.figure.value, abs=1e-6)
    record = fit_record(fitted, fitted.answer(classes).figures)
    assert record["test"]["value"] == pytest.approx(main, abs=1e-6)
    assert figures.main.title in format_fit(record, fitted.answer(classes).figures, "table")


def test_heads_of_other_labels_are_not_read_by_versions_that_know_one_class_alone(tmp_path):
    head = LinearHead(np.ones((2, 3), np.float32), np.zeros(2, np.float32), 1.0)
    for task, format_name in (("multiclass", FORMAT), ("multilabel", "fixgrid-head-2")):
        files = save_head(tmp_path / task, SavedHead(head, ("a", "b"), task=task))
        assert json.loads(files[1].read_text())["format"] == format_name
    files[1].write_text(files[1].read_text().replace('"multilabel"', '"guesses"'))
    with pytest.raises(CacheError, match="expected a task of"):
        load_head(tmp_path / "multilabel")


def test_numbers_of_the_figures_are_scikit_learns():
    rng = np.random.default_rng(2)
    y = np.round(rng.normal(size=40), 1)
    scores = (y + rng.normal(size=40))[:, None].astype(np.float32)
    found = measure_head(scores, y, ("size",), task="regression")
    assert found["mae"].value == pytest.approx(metrics.mean_absolute_error(y, scores[:, 0]))
    assert found["rmse"].value == pytest.approx(metrics.root_mean_squared_error(y, scores[:, 0]))
    from scipy.stats import spearmanr

    assert found["rank"].value == pytest.approx(spearmanr(y, scores[:, 0]).statistic)
    assert "mean absolute error" in format_figures(found, "table")


def test_labels_of_the_figures_are_scikit_learns():
    rng = np.random.default_rng(2)
    y = rng.random((60, 3)) < 0.4
    scores = (rng.normal(size=y.shape) + 2 * y).astype(np.float32)
    thresholds = np.array([0.3, 0.5, 0.8], np.float32)
    found = measure_head(scores, y, "abc", 2.0, task="multilabel", thresholds=thresholds)
    chance = 1 / (1 + np.exp(-scores / 2.0))
    said = chance >= thresholds
    for kind in ("macro", "micro"):
        assert found[f"{kind}_f1"].value == pytest.approx(metrics.f1_score(y, said, average=kind))
    assert found["exact"].value == pytest.approx(metrics.accuracy_score(y, said))
    assert found["nll"].value == pytest.approx(metrics.log_loss(y.ravel(), chance.ravel().astype(float)), abs=1e-6)
    assert [row.recall.value for row in found.per_class] == pytest.approx(
        metrics.recall_score(y, said, average=None)
    )


def test_thresholds_give_the_best_f1_of_each_label():
    rng = np.random.default_rng(3)
    y = rng.random((50, 3)) < 0.3
    y[:, 2] = False
    logits = np.round(rng.normal(size=y.shape) + y, 1).astype(np.float32)
    found = fit_thresholds(logits, y)
    chance = 1 / (1 + np.exp(-logits.astype(float)))
    for k in (0, 1):
        best = max(metrics.f1_score(y[:, k], chance[:, k] >= cut) for cut in chance[:, k])
        assert metrics.f1_score(y[:, k], chance[:, k] >= found[k]) == pytest.approx(best)
    assert found[2] == 0.5


@pytest.mark.parametrize(
    "logits", [[20, 19, -5], [20, 20, 19], [17, 16.5, 16.4], [800, 750, -800], [-90, -95, -800]]
)
def test_a_threshold_gives_its_label_to_somebody_and_parts_what_float32_can(logits):
    y = np.array([[True], [False], [False]])
    scores = np.array(logits, np.float32)[:, None]
    (cut,) = fit_thresholds(scores, y)
    chance = np.exp(log_chances(scores, "sigmoid"))[:, 0]
    floats = np.concatenate([chance.astype(np.float32), np.nextafter(chance.astype(np.float32), np.float32(0))])
    best = max(metrics.f1_score(y[:, 0], chance >= one, zero_division=0) for one in floats)
    assert metrics.f1_score(y[:, 0], chance >= cut) == best > 0


def test_ordered_classes_are_judged_by_how_far_they_are_off():
    y = np.arange(30) % 3
    near, far = (np.eye(3, dtype=np.float32)[guess] for guess in (np.minimum(y + 1, 2), (y + 2) % 3))
    found = [measure_head(scores, y, "abc", task="ordinal") for scores in (near, far)]
    assert found[0]["kappa"].value > found[1]["kappa"].value
    assert found[0]["off_by_one"].value == 1
    assert found[1]["off_by_one"].value < 0.7


def test_views_of_one_image_are_averaged_as_its_answers_are():
    head = LinearHead(np.eye(2, dtype=np.float32), np.zeros(2, np.float32), 1.0)
    views = np.array([[[4.0, -1.0], [0.0, 3.0]]], np.float32)
    chance = (1 / (1 + np.exp(-views[0]))).mean(0)
    np.testing.assert_allclose(1 / (1 + np.exp(-score_views(head, views, "sigmoid")[0])), chance, rtol=1e-6)
    np.testing.assert_allclose(score_views(head, views, "identity")[0], [2.0, 1.0])


def test_predictions_say_labels_and_numbers():
    head = LinearHead(np.eye(2, dtype=np.float32), np.zeros(2, np.float32), 1.0)
    X = np.array([[[3.0, -3.0]], [[-3.0, -4.0]]], np.float32)
    images = FeatureSet(X, np.full(2, -1), np.arange(2), np.zeros((2, 32), np.uint8))
    several = SavedHead(head, ("a|b", "c"), task="multilabel", thresholds=np.array([0.5, 0.5], np.float32))
    found = predict_images(several, [images], [b"0", b"1", b"2"], ["ok", "ok", "decode"], 2)
    assert [p.labels for p in found] == [("a|b",), (), None]
    assert json.loads(format_predictions(found, "json", "multilabel"))[0]["labels"] == ["a|b"]
    one = SavedHead(LinearHead(head.coef[:1], head.intercept[:1], 1.0), ("size",), task="regression")
    found = predict_images(one, [images], [b"0", b"1"], ["ok", "ok"], 5)
    assert [record["value"] for record in json.loads(format_predictions(found, "json", "regression"))] == [3, -3]
    assert "size" in format_predictions(found, "table", "regression").splitlines()[0]


def test_folds_never_part_a_group_of_the_data_set():
    n = 60
    digests = np.random.default_rng(0).integers(0, 256, (n, 32), np.uint8)
    groups = np.random.default_rng(1).integers(0, 15, n)
    rows = Rows((b"",) * n, np.zeros(n, np.int64), digests, np.arange(n) % 2, groups)
    deck = make_deck({"train": rows})
    for held in Folds(deck, 3).held:
        inside = np.isin(np.arange(n), held)
        assert not set(groups[inside]) & set(groups[~inside])


@pytest.mark.parametrize("task", TASKS)
def test_folds_choose_for_every_task_and_groups_judge_once(task):
    question = ask_of(task, grouped=True)
    n = SIZES["train"]
    train = question.source.load("train", "center", 224)
    rows = Rows((b"",) * n, train.row, train.sha256, train.y, train.group)
    folds = Folds(make_deck({"train": rows}), 4)
    question = replace(question, source=_OneSplit(question.source), folds=folds)
    fitted = fit_best([question])
    assert len(fitted.choice.row) == n // 4


class _OneSplit:
    """Train judges as well, as in a pool of one split."""

    def __init__(self, source: Loaded) -> None:
        self._source, self.n_classes, self.identify, self.view = (
            source,
            source.n_classes,
            source.identify,
            source.view,
        )

    def load(self, split: str, kind: str, res: int) -> FeatureSet:
        return self._source.load("train" if split == "val" else split, kind, res)


def test_strata_are_classes_rarest_labels_and_tenths():
    assert find_strata(np.array([2, 0, 1])).tolist() == [2, 0, 1]
    several = np.array([[1, 0], [1, 1], [0, 0], [1, 0]], np.bool_)
    assert find_strata(several).tolist() == [0, 1, 2, 0]
    assert np.bincount(find_strata(np.random.default_rng(0).normal(size=200))).tolist() == [20] * 10


def test_heads_that_do_not_suit_the_labels_are_refused():
    with pytest.raises(UsageError, match="found --heads lda for several labels per image"):
        expect_families(("lda",), "multilabel")


def test_rare_classes_weigh_as_much_as_others_where_that_is_asked_for():
    source = Drawn("ordinal")
    train, test = source("train", "center", 224), source("test", "center", 224)
    options = {"class_weight": "balanced", "metric": "balanced", "strengths": (1e-3, 1e-2)}
    for cell in run_grid(ask_of("ordinal", **options)):
        if cell.train_res == 224:
            model = LogisticRegression(C=cell.strength, class_weight="balanced", tol=1e-8, max_iter=9999)
            theirs = make_pipeline(StandardScaler(), model).fit(train.X[:, 0], train.y).predict(test.X[:, 0])
            found = metrics.balanced_accuracy_score(test.y, theirs)
            assert cell.test.value == pytest.approx(found, abs=1e-3)
