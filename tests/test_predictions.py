from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import FEW, Cache, ask

from fixgrid.cache.features import FeatureSet
from fixgrid.heads.artifact import SavedHead, load_head, save_head
from fixgrid.heads.fit import fit_best
from fixgrid.heads.grid import run_grid
from fixgrid.heads.linear import LinearHead
from fixgrid.heads.predictions import (
    Prediction,
    format_predictions,
    join_blocks,
    predict_images,
    score_images,
)

RNG = np.random.default_rng(0)
HEAD = LinearHead(RNG.standard_normal((3, 4)).astype(np.float32), np.zeros(3, np.float32), 1.0)
X = RNG.standard_normal((5, 2, 4)).astype(np.float32)
SAVED = SavedHead(HEAD, ("a|b", "b\n", "c"), temperature=2.0)


def block(rows: list[int]) -> FeatureSet:
    row = np.array(rows)
    return FeatureSet(X[row, :1], np.full(len(row), -1), row, np.zeros((len(row), 32), np.uint8))


def predict(top: int = 2):
    paths = [b"0.png", b"1|.png", b"\xff\n.png", b"3.png", b"4.png"]
    return predict_images(SAVED, [block([0, 1]), block([3, 4])], paths, ["ok", "ok", "decode", "ok", "ok"], top)


def test_probabilities_are_a_softmax_of_scores_over_the_temperature() -> None:
    scores = HEAD.scores(X[[0, 1, 3, 4], 0]) / 2.0
    wanted = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    found = [dict(p.top) for p in predict(3) if p.top]
    np.testing.assert_allclose([[p[name] for name in SAVED.classes] for p in found], wanted, rtol=1e-5)


def test_views_are_averaged_as_the_head_was_chosen() -> None:
    features = SavedHead(HEAD, SAVED.classes, figures={"mean_of": "features"})
    found = score_images(features, X)
    np.testing.assert_allclose(found, score_images(features, X.mean(1)[:, None]), rtol=1e-5)
    assert not np.allclose(found, score_images(SavedHead(HEAD, SAVED.classes), X))


def test_every_row_keeps_its_place_and_its_best_classes() -> None:
    found = predict()
    assert [p.status for p in found] == ["ok", "ok", "decode", "ok", "ok"]
    assert found[2].top == ()
    best = HEAD.scores(X[:, 0]).argmax(1)
    assert [p.top[0][0] for p in found if p.top] == [SAVED.classes[best[i]] for i in (0, 1, 3, 4)]
    assert all(p.top[0][1] >= p.top[1][1] for p in found if p.top)
    assert len(predict(top=9)[0].top) == 3


def test_equal_scores_name_the_first_class() -> None:
    flat = SavedHead(LinearHead(np.zeros((3, 4), np.float32), np.zeros(3, np.float32), 1.0), ("x", "y", "z"))
    (found,) = predict_images(flat, [block([0])], [b"p"], ["ok"], 3)
    assert [name for name, _ in found.top] == ["x", "y", "z"]


def test_json_holds_names_as_they_are_and_csv_one_line_each() -> None:
    records = json.loads(format_predictions(predict(), "json"))
    assert records[2] == {"path": "\udcff\n.png", "status": "decode", "top": []}
    text = format_predictions(predict(), "csv")
    assert text.count("\n") == 6
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[2]["class_1"] == ""
    assert float(rows[0]["probability_1"]) == records[0]["top"][0]["probability"]


@pytest.mark.parametrize("style", ["table", "md"])
def test_tables_have_one_line_per_image_and_escape_names(style: str) -> None:
    lines = format_predictions(predict(), style).splitlines()
    assert len(lines) == 7
    assert "skipped: decode" in lines[4]
    assert ("1\\|.png" in lines[3]) is (style == "md")


def guess(path: bytes, classes: int, name: str = "n02085620-Chihuahua-{}") -> Prediction:
    return Prediction(path, "ok", tuple((name.format(i), 0.9 / (i + 1)) for i in range(classes)))


def test_the_table_fits_80_columns_and_names_what_it_leaves_out() -> None:
    folder = b"/data/photographs/of/dogs/train/n02085620-Chihuahua-with-a-long-name/n02085620_"
    found = [*(guess(b"%s%d.jpg" % (folder, i), 5) for i in range(3)), Prediction(b"x.png", "decode")]
    lines = format_predictions(found, "table").splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["image", "1", "2"]
    assert len({line.split()[0] for line in lines[2:6]}) == 4
    assert all(line.count(" % n0208") == 2 and "Chih" not in line.split()[0] for line in lines[2:5])
    assert lines[-1] == "Not shown for want of room: ranks 3, 4, 5; the other formats have them."
    assert "room: rank 2;" in format_predictions([replace(guess(folder, 2), held=("a" * 90,))], "table")
    assert json.loads(format_predictions(found, "json"))[0]["path"] == os.fsdecode(folder) + "0.jpg"


def test_classes_of_one_begin_and_end_are_told_apart_across_ranks_and_images() -> None:
    names = "n02113700-the-miniature-kind-of-poodle", "n02113700-the-standard-kind-of-poodle"
    found = [
        Prediction(f"photos/{i}/some-long-name-of-a-file.jpg".encode(), "ok", ((a, 0.6), (b, 0.4)), held=names)
        for i, (a, b) in enumerate((names, names[::-1]))
    ]
    for sets in (True, False):
        said = format_predictions(found if sets else [replace(one, held=None) for one in found], "table")
        cells = [cell.split()[0] for line in said.splitlines() for cell in line.split(" % ")[1:]]
        assert len(cells) == (2 if sets else 4)
        assert {"minia" in cell for cell in cells} == {"stand" in cell for cell in cells} == {True, False}


def test_nothing_is_shortened_that_has_room() -> None:
    said = format_predictions([guess(b"photos/cat/1.jpg", 5, "c{}")], "table")
    assert "photos/cat/1.jpg" in said
    assert said.splitlines()[0].split() == ["image", *"12345"]
    assert "…" not in said


def test_many_labels_are_all_shown_in_80_columns() -> None:
    names = tuple(f"label-{i}" for i in range(30))
    found = [Prediction(b"photos/1.jpg", "ok", tuple((name, 0.5) for name in names[:5]), names)]
    said = format_predictions(found, "table", "multilabel")
    assert max(map(len, said.splitlines())) <= 80
    assert all(name in said for name in names)


def test_a_bar_within_a_label_parts_nothing_in_csv() -> None:
    found = [Prediction(b"1.jpg", "ok", (), names, held=names) for names in (("a|b",), ("a", "b"))]
    lines = list(csv.DictReader(io.StringIO(format_predictions(found, "csv", "multilabel"))))
    assert [line["labels"] for line in lines] == [line["set"] for line in lines] == [r"a\|b", "a|b"]


def cut(features: FeatureSet, step: int) -> Iterator[FeatureSet]:
    """Blocks of ``step`` rows."""
    for start in range(0, len(features.y), step):
        parts = [part[start : start + step] for part in (features.X, features.y, features.row, features.sha256)]
        yield FeatureSet(*parts)


@pytest.mark.parametrize("mean_of", ["features", "probabilities"])
@pytest.mark.parametrize("correction", ["none", "standardize", "refit"])
def test_a_kept_head_of_several_resolutions_predicts_what_its_cell_did(
    tmp_path: Path, correction: str, mean_of: str
) -> None:
    options = replace(FEW, corrections=(correction,), mean_of=mean_of)
    (cell,) = run_grid(ask(Cache(), [(320, "128+224")], options, n_classes=4))
    fitted = fit_best([ask(Cache(), [(320, "128+224")], options, n_classes=4)])
    seen: list[dict[str, object]] = [{"res": 128}, {"res": 224}]
    saved = SavedHead(
        fitted.head, tuple("abcd"), views=seen, corrections=fitted.corrections, figures={"mean_of": mean_of}
    )
    save_head(tmp_path / "h", saved)
    tests = [Cache()("test", "center", res) for res in (128, 224)]
    blocks = join_blocks([cut(test, 32) for test in tests])
    found = predict_images(load_head(tmp_path / "h"), blocks, [b"p"] * 120, ["ok"] * 120, 1)
    guess = np.array(["abcd".index(p.top[0][0]) for p in found])
    np.testing.assert_array_equal(guess == tests[0].y, cell.correct)


def test_an_image_without_features_in_one_view_is_not_predicted() -> None:
    views = [[block([0, 1]), block([2, 3])], [block([1]), block([2, 3])]]
    joined = list(join_blocks([iter(blocks) for blocks in views]))
    assert [found.row.tolist() for found in joined] == [[1], [2, 3]]
    assert {found.X.shape[1] for found in joined} == {2}
