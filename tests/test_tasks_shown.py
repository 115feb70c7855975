"""Pages, tables, cards and notes say what suits the labels: several of an image, an order, numbers, groups."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from drawn import Loaded, pool
from test_exhibits import Named
from test_findings import Held
from test_tasks import SIZES, D, Drawn, K

from fixgrid.cache.errors import UsageError
from fixgrid.cache.features import FeatureTable
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.fitting import Grid
from fixgrid.heads import findings
from fixgrid.heads.answers import Answers, bin_answers, spread_examples
from fixgrid.heads.artifact import SavedHead
from fixgrid.heads.breakdown import format_breakdown
from fixgrid.heads.card import write_card
from fixgrid.heads.card_code import CardFacts
from fixgrid.heads.cell import SAME
from fixgrid.heads.curve import fit_curve
from fixgrid.heads.deal_table import format_nested, format_resplits
from fixgrid.heads.deck import Folds, make_deck, note_thin
from fixgrid.heads.exhibits import fill_report, show_twins
from fixgrid.heads.findings import Findings, find_all
from fixgrid.heads.fit import Fitted, fit_best
from fixgrid.heads.grid import run_grid
from fixgrid.heads.halving import Dropped, Pass
from fixgrid.heads.head_table import fit_record, format_curve
from fixgrid.heads.judging import estimate_figure, estimate_rate, settle_interval
from fixgrid.heads.linear import LinearHead
from fixgrid.heads.measures import DEFAULTS, MEASURES
from fixgrid.heads.memo import Memo
from fixgrid.heads.metrics import Estimate, wilson_interval
from fixgrid.heads.mistakes import list_mistakes, name_mistakes
from fixgrid.heads.nested import cross_validate
from fixgrid.heads.per_class import rate_labels
from fixgrid.heads.question import Ask, Asked, GridOptions
from fixgrid.heads.report import Report, render_report
from fixgrid.heads.resplit import choose_again
from fixgrid.heads.table import Notes, format_estimate, record_estimate
from fixgrid.heads.twins import Twin, find_twins
from fixgrid.heads.uses import list_uses
from fixgrid.heads.verdict import judge_cells
from fixgrid.keeping import format_heads
from fixgrid.search_results import Rung, say_rung

PAIR = ((224, 224),)
TITLES = {"multilabel": "mAP", "regression": "R2", "ordinal": "Quadratic kappa"}
TASKS = [*TITLES]
NAMES = {"regression": ("size",)}


def name_classes(task: str) -> tuple[str, ...]:
    return NAMES.get(task, tuple("abcd"))


def options_of(task: str) -> GridOptions:
    family = "ridge" if task == "regression" else "logistic"
    strengths = (1e-3, 1e-2, 1e-1)
    return GridOptions(families=(family,), strengths=strengths, metric=DEFAULTS[task], train_kinds=("center",))


def question(task: str, *, grouped: bool = False) -> Ask:
    source = Loaded(Drawn(task, grouped), len(name_classes(task)), lambda *place: str(place))
    return Ask(source, PAIR, options_of(task), grouped=grouped, task=task)


class HeldTask(Held):
    """As a cache holds features of a task."""

    def __init__(self, task: str, grouped: bool = False) -> None:
        super().__init__()
        self.drawn, self.n_classes = Drawn(task, grouped), len(name_classes(task))
        seen = {split: self.drawn(split, "center", 224) for split in SIZES}
        parts = {
            split: Rows((b"x.jpg",) * len(one.y), one.row, one.sha256, one.y, one.group)
            for split, one in seen.items()
        }
        self.manifest = Manifest("fruit", "/gone", name_classes(task), parts, task=task)

    def load(self, split: str, kind: str, res: int):
        return self.drawn(split, kind, res)


@cache
def find(task: str, grouped: bool = False) -> Findings:
    held = HeldTask(task, grouped)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(findings, "CURVE_SHARES", (0.5,))
        return find_all([Asked(held, PAIR, options_of(task), grouped=grouped, task=task, holdings=held)])


@cache
def fit(task: str, grouped: bool = False) -> Fitted:
    return fit_best([question(task, grouped=grouped)])


@cache
def show(task: str, grouped: bool = False) -> Report:
    return fill_report(find(task, grouped), Named(), made={}, leak="", copies=[])


@cache
def render(task: str, grouped: bool = False) -> str:
    return render_report(show(task, grouped)).replace("\n", " ")


@pytest.mark.parametrize("task", TASKS)
def test_a_page_says_its_own_figure_and_no_accuracy_of_classes(task: str) -> None:
    page, best = render(task), find(task).best
    assert f"{TITLES[task]} on test" in page
    assert f"{best.measure.title} {best.measure.show(best.test.value)}" in page
    assert ("taken for the other" in page) == (task == "ordinal")
    assert ("accuracy" in page) == (task == "ordinal")  # where it is one of the figures


@pytest.mark.parametrize("task", TASKS)
def test_a_page_draws_what_the_labels_have(task: str) -> None:
    report = show(task)
    own = {
        "multilabel": {"reliability", "classes", "counts"},
        "regression": {"numbers", "errors", "values"},
        "ordinal": {"reliability", "classes", "counts", "order"},
    }
    assert report.drawings.keys() - {"grid", "curve", "map"} == own[task]
    records = {name: drawing.records for name, drawing in report.drawings.items()}
    if task == "regression":
        assert [one["value"] for one in records["numbers"]] == find(task).answers.y.tolist()
        assert sum(one["images"] for one in records["errors"]) == SIZES["test"]
        assert sum(one["train"] for one in records["values"]) == SIZES["train"]
    if task == "multilabel":
        labels = find(task).asked.holdings.manifest.splits["val"].labels
        assert [one["val"] for one in records["counts"]] == labels.sum(0).tolist()
    if task == "ordinal":
        assert [one["class"] for one in records["counts"]] == list("abcd")
        counted = np.array([[row[f"as {name}"] for name in "abcd"] for row in records["order"]])
        assert counted.trace() == find(task).best.correct.size * report.answers.figures["top1"].value


def test_sections_and_links_of_every_page_fit_together() -> None:
    for task in TASKS:
        page = render(task)
        ids = set(re.findall(r'\bid="([^"]*)"', page))
        assert set(re.findall(r'(?:href="#|aria-labelledby=")([^"]*)', page)) <= ids
        assert page.count("<table") == page.count("<caption>")


def test_a_page_of_groups_counts_them() -> None:
    page = render("ordinal", grouped=True)
    assert "on 30 test groups." in page
    assert "groups of images resampled whole" in page
    assert "120 images in 30 groups" in page
    assert "200 in 50 groups" in page


def answers_of(task: str, y: object, guess: object, confidence: object) -> Answers:
    return Answers(
        find(task).answers.figures, np.arange(2), np.array(y), np.array(guess), np.array(confidence), task
    )


def test_the_surest_wrong_label_of_an_image_is_its_mistake() -> None:
    y, guess = [[True, False, False], [False, True, False]], [[False, False, True], [False, True, False]]
    answers = answers_of("multilabel", y, guess, [[0.2, 0.1, 0.9], [0.1, 0.8, 0.3]])
    assert list_mistakes(answers) == [(0, 2)]
    assert list_mistakes(replace(answers, confidence=np.array([[0.05, 0.1, 0.9], [0.1, 0.8, 0.3]]))) == [(0, 0)]


def test_numbers_and_places_of_an_order_are_listed_by_how_far_they_are_off() -> None:
    assert [one.place for one in list_mistakes(answers_of("regression", [1.0, 5.0], [1.5, 9.0], [1, 1]))] == [1, 0]
    assert [one.place for one in list_mistakes(answers_of("ordinal", [0, 0], [1, 3], [0.99, 0.3]))] == [1, 0]
    assert list_mistakes(answers_of("ordinal", [0, 1], [0, 1], [1, 1])) == []


def test_a_mistake_is_said_in_words_of_the_labels() -> None:
    said = {task: show(task).mistakes[0] for task in TASKS}
    assert re.fullmatch(r"[a-d] (missed|given, too), [\d.]+ % for it", said["multilabel"].said)
    assert re.fullmatch(r"size [\de+.]+", said["regression"].label)
    assert re.fullmatch(r"taken for [\de+.]+, [\de+.]+ too (much|little)", said["regression"].said)
    assert re.fullmatch(r"taken for [a-d], \d+ % sure", said["ordinal"].said)


def test_examples_go_from_the_least_number_to_the_largest() -> None:
    answers = find("regression").answers
    shown = answers.y[spread_examples(answers, 6)]
    assert len(shown) == 6
    assert shown.tolist() == sorted(shown)
    assert (shown[0], shown[-1]) == (answers.y.min(), answers.y.max())


def test_bins_of_several_labels_hold_every_decision() -> None:
    bins = bin_answers(find("multilabel").answers)
    assert sum(one.n for one in bins) == SIZES["test"] * K
    assert sum(one.n * one.rate.value for one in bins) == pytest.approx(find("multilabel").answers.y.sum())
    assert bin_answers(find("regression").answers) == []


def test_groups_that_agree_tell_no_more_than_as_many_images() -> None:
    hits = np.repeat([True, False, True, True, False, True], 10)
    told = estimate_rate(hits, np.arange(60) // 10)
    assert told.value == wilson_interval(4, 6).value
    assert told.high - told.low >= wilson_interval(4, 6).high - wilson_interval(4, 6).low
    assert estimate_rate(hits, np.arange(60)) == pytest.approx(wilson_interval(40, 60), abs=2e-3)
    assert estimate_rate(np.ones(60, bool), np.arange(60) // 10) == wilson_interval(6, 6)


def test_average_precisions_of_the_labels_have_map_as_their_mean() -> None:
    answers = find("multilabel").answers
    rows = answers.figures.per_class
    assert np.mean([row.average_precision.value for row in rows]) == pytest.approx(answers.figures["map"].value)
    assert all(row.average_precision.low < row.average_precision.value < row.average_precision.high for row in rows)
    none = rate_labels(np.zeros((3, 1), np.float32), np.zeros((3, 1), bool), np.zeros((3, 1), bool), ["a"], None)[0]
    assert (none.n, none.recall, none.precision, none.average_precision) == (0, None, None, None)


@pytest.mark.parametrize("task", TASKS)
def test_a_breakdown_has_the_classes_that_there_are(task: str) -> None:
    fitted = fit(task)
    answers = fitted.answer(name_classes(task))
    record = fit_record(fitted, answers.figures)
    assert (record["metric"], record["units"]) == (DEFAULTS[task], "images")
    paths = [b"a folder/" * 9 + b"%d.jpg" % i for i in range(SIZES["test"])]
    wrong = name_mistakes(answers, name_classes(task), paths)
    found = json.loads(format_breakdown(record, answers, "json", True, 3, 2, wrong=wrong))
    text = format_breakdown(record, answers, "table", True, 3, 2, wrong=wrong)
    assert max(map(len, text.splitlines())) <= 80
    told = "{} answers, the farthest off first" if task == "regression" else "{} wrong answers, the worst first"
    n = SIZES["test"] if task == "regression" else len(wrong)
    assert f"2 of {told.format(n)}; --format csv or json lists all\n" in text
    assert [row["rank"] for row in found["mistakes"]] == list(range(1, len(wrong) + 1))
    assert all(row["truth"] != row["answer"] for row in found["mistakes"])
    assert {*found["mistakes"][0]} - {"rank", "file", "truth", "answer"} == {
        "regression": {"off"},
        "ordinal": {"off", "probability", "truth_probability"},
        "multilabel": {"label", "probability", "truth_probability"},
    }[task]
    if task == "regression":
        assert (found["per_class"], found["confused"]) == ([], [])
        assert "labels are numbers, not classes" in text
    else:
        assert [row["class"] for row in found["per_class"]] == list("abcd")
        assert ("accuracy" in found["per_class"][0]) == (task == "ordinal")
        assert ("average_precision" in found["per_class"][0]) == (task == "multilabel")


def test_heads_of_groups_count_groups_in_both_splits() -> None:
    fitted = fit("ordinal", grouped=True)
    record = fit_record(fitted, fitted.answer("abcd").figures)
    assert (record["units"], record["n_val"], record["n_test"]) == ("groups", 20, 30)


@pytest.mark.parametrize("task", TASKS)
def test_a_curve_is_of_the_figure_and_its_mean_may_be_below_0(task: str) -> None:
    points = fit_curve(question(task), [0.05, 1.0], repeats=2)
    assert {point.metric for point in points} == {DEFAULTS[task]}
    text = format_curve(points, "table")
    assert f"\ntest, mean: {points[0].measure.title}" in text
    assert "percentiles of resamples of images" in text
    assert points[0].measure.show(points[0].mean_test.value) in text
    assert {one["metric"] for one in json.loads(format_curve(points, "json"))} == {DEFAULTS[task]}


def test_an_interval_ends_where_its_figure_does() -> None:
    wide = Estimate(0.1, -1.3, 1.2)
    ends = {name: settle_interval(wide, 9, MEASURES[name].least) for name in ("r2", "kappa", "map")}
    assert ends == {"r2": (0.1, -1.3, 1.0), "kappa": (0.1, -1.0, 1.0), "map": (0.1, 0.0, 1.0)}
    assert MEASURES["kappa"].clip(wide) == ends["kappa"]


def test_a_figure_without_an_interval_is_shown_alone_and_its_cell_is_made_again(tmp_path: Path) -> None:
    alone = estimate_figure(MEASURES["r2"], np.ones(1))
    assert format_estimate(alone, MEASURES["r2"]) == "1.000"
    assert record_estimate("test", alone) == {"test": 1.0, "test_low": None, "test_high": None}
    assert np.isnan(estimate_figure(MEASURES["r2"], np.array([1e-17, 0])).low)  # but for rounding
    memo = Memo(tmp_path, lambda *place: "")
    memo.keep("a cell", {"val": alone})
    assert memo.recall("a cell") is None


def deal(task: str, grouped: bool = False):
    asked = pool(replace(question(task, grouped=grouped)), ("train", "val"))
    asked = replace(asked, source=replace(asked.source, sizes={split: SIZES[split] for split in ("train", "val")}))
    parts = HeldTask(task, grouped).manifest.splits
    return asked, make_deck({split: parts[split] for split in ("train", "val")})


@pytest.mark.parametrize("task", TASKS)
def test_tables_of_deals_show_the_figure(task: str) -> None:
    asked, deck = deal(task)
    nested = cross_validate([asked], Folds(deck, 3))
    text, whole = format_nested(nested, "table"), json.loads(format_nested(nested, "json"))
    assert text.count(TITLES[task]) == 1
    assert whole[DEFAULTS[task]] == nested.figure.value
    assert "accuracy" not in whole
    assert (whole["metric"], whole["units"], whole["n"]) == (DEFAULTS[task], "images", len(deck.row))
    again = choose_again([asked], deck, [0])
    assert again.measure.name == DEFAULTS[task]
    assert again.measure.show(again.test.mean()) in format_resplits(again, "table")


def test_deals_of_groups_count_groups() -> None:
    asked, deck = deal("ordinal", grouped=True)
    text = format_nested(cross_validate([asked], Folds(deck, 3)), "table")
    assert "on 50 groups of train, val" in " ".join(text.split())


def rows_of(y: np.ndarray) -> Rows:
    n = len(y)
    files = np.arange(n * 32, dtype=np.int64).reshape(n, 32).astype(np.uint8)
    files[:, 0] = np.arange(n)
    return Rows((b"",) * n, np.arange(n), files, y)


def test_few_numbers_are_folded_without_shares_of_each_tenth() -> None:
    part = rows_of(np.arange(20.0))
    deck, manifest = make_deck({"train": part}), Manifest("", "/", ("size",), {"train": part}, task="regression")
    assert [len(rows) for rows in Folds(deck, 5).held] == [4] * 5
    assert note_thin(deck, 5, manifest) == ()


def test_labels_that_few_images_have_are_said_and_a_single_image_is_no_refusal() -> None:
    y = np.zeros((20, 3), bool)
    y[:, 0], y[:3, 1], y[0, 2] = True, True, True
    deck = make_deck({"train": rows_of(y)})
    manifest = Manifest("", "/", ("many", "three", "one"), {"train": rows_of(y)}, task="multilabel")
    (said,) = note_thin(deck, 5, manifest)
    assert "2 classes have fewer images in train than there are folds (one: 1)" in said


def test_fewer_groups_than_folds_are_named() -> None:
    part = replace(rows_of(np.arange(20) % 2), groups=np.arange(20) // 10)
    with pytest.raises(UsageError, match="--folds 3 and 2 images or groups"):
        Folds(make_deck({"train": part}), 3)


@pytest.mark.parametrize("task", TASKS)
def test_twins_of_other_labels_are_a_conflict(task: str) -> None:
    drawn = Drawn(task)

    class Doubled:
        def load(self, split, kind, res):
            found = drawn("val", kind, 224)
            return replace(found, y=np.roll(found.y, split == "test", axis=0))

    twins = [twin for twin in find_twins(Doubled(), 224).pairs if twin.first[0] != twin.second[0]]
    assert not any(twin.conflict for twin in twins if "test" not in (twin.first[0], twin.second[0]))
    assert any(twin.conflict for twin in twins)


def test_kept_heads_are_listed_by_their_figure() -> None:
    common = {
        "name": "n",
        "data": "d",
        "trunk": "t",
        "pair": "224:224",
        "family": "ridge",
        "trained on": 1,
        "when": "w",
    }
    rows = [{**common, "metric": name, "val": 0.5, "test": -0.125} for name in ("accuracy", "r2", "of later")]
    right, number, other = (format_heads([row]).splitlines()[2] for row in rows)
    assert ("50.0" in right, "-12.5" in right, "accuracy" in right) == (True, True, False)
    assert ("R2" in number, "-0.125" in number) == (True, True)
    assert ("of later" in other, "-0.125" in other) == (True, True)


def test_steps_of_a_search_are_said_in_the_figure() -> None:
    dropped = Dropped(Pass("t", 96), 0.1, Estimate(0.1, 0, 0.2), 0.15, 0.01)
    rung = Rung(0.1, 30, 2, 1.0, 2.0, "t 96:96 px", 0.25, (dropped,), "r2")
    assert "best on val: t 96:96 px, R2 0.250; dropped:" in say_rung(rung)
    assert "t 96:96 px, 25.0%; dropped:" in say_rung(replace(rung, metric="accuracy"))


def make_card(task: str, link: str, **more: object) -> str:
    head = LinearHead(
        np.zeros((len(name_classes(task)), D), np.float32), np.zeros(len(name_classes(task)), np.float32), 1.0
    )
    figures = {
        "metric": DEFAULTS[task],
        "units": "groups",
        "n_val": 7,
        "val": {"value": 0.5, "low": 0.4, "high": 0.6},
    }
    saved = SavedHead(head, name_classes(task), 2.0, task=task, figures=figures, **more)
    return write_card(saved, CardFacts(list_uses(link)["onnx"], "x.onnx", "x.json", "", "", "9"))


def test_a_card_says_the_figure_its_units_and_what_the_labels_allow() -> None:
    several = make_card("multilabel", "sigmoid", thresholds=np.array([0.2, 0.3, 0.4, 0.6], np.float32))
    assert "# 4 labels of" in several
    assert "mAP on val: 50.00 % \\[40.00, 60.00\\] on 7 groups" in several
    assert "percentiles of resamples of groups" in several
    assert "probability of 0.20 to 0.60" in several
    assert "before the sigmoid" in several
    number = make_card("regression", "identity")
    assert "# size of" in number
    assert "R2 on val: 0.500 \\[0.400, 0.600\\]" in number
    assert "Temperature" not in number
    assert "probabilit" not in number
    assert "4 classes in an order" in make_card("ordinal", "softmax")


@pytest.mark.parametrize("link", ["softmax", "sigmoid", "identity"])
def test_the_code_of_every_format_is_python(link: str) -> None:
    for code in list_uses(link).values():
        compile(code, "use", "exec")


def test_a_grids_record_names_metric_and_units() -> None:
    cells = judge_cells(list(run_grid(question("regression", grouped=True))))
    found = json.loads(Grid(cells, Notes()).format("json"))["cells"][0]
    assert (found["metric"], found["units"], found["n_test"]) == ("r2", "groups", 30)
    assert cells.best.axes == SAME._replace(train_view="center")


@pytest.mark.parametrize(
    ("task", "label"),
    [("multilabel", "b, d"), ("regression", "size 1.25"), ("ordinal", "c")],
)
def test_a_twin_is_labelled_in_words(task: str, label: str) -> None:
    y = {"multilabel": [[False, True, False, True]], "regression": [1.25], "ordinal": [2]}[task]
    rows = rows_of(np.array(y))
    manifest = Manifest("", "/", name_classes(task), {"train": rows, "test": rows}, task=task)
    (shot,) = show_twins(
        [Twin("bytes", ("train", 0), ("test", 0), 1.0, True)], SimpleNamespace(manifest=manifest), Named()
    )
    assert {end[2] for end in shot.ends} == {label.removeprefix("size ")}


def test_lines_of_a_notebook_have_their_labels_by_name() -> None:
    def table(y: object, *classes: str) -> FeatureTable:
        n = len(y)
        return FeatureTable(
            np.zeros((n, 1), np.float32), np.array(y), ("x",) * n, np.arange(n), np.zeros(n), classes, "/"
        )

    assert table([1, -1, 0], "a", "b").labels.tolist() == ["b", "", "a"]
    assert table([[True, True], [False, False]], "a", "b").labels.tolist() == [("a", "b"), ()]
    assert table([1.5, 2.0], "size").labels.tolist() == [1.5, 2.0]
