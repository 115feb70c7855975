"""Labels that were made wrong come first, with what they should be; equal files of two labels before all."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits
from test_held_out import Known, draw, relabel

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.features import FeatureSet
from fixgrid.heads import label_errors
from fixgrid.heads.doubtful import show_doubtful
from fixgrid.heads.label_error_table import format_ranking, say_ranking
from fixgrid.heads.label_errors import Ranking, find_conflicts, rank_labels
from fixgrid.heads.twins import choose_res

WRONG = {"train": [3, 50], "val": [7], "test": [11, 60]}
EVIL = "a\u202eb|<b>"


def sharpen(known: Known) -> Known:
    """Features that leave no doubt of the class."""
    for split, one in list(known.sets.items()):
        known = known.change(split, X=one.X + 9 * np.eye(12, dtype=np.float32)[one.y][:, None])
    return known


def mislabel(known: Known) -> Known:
    for split, places in WRONG.items():
        known = relabel(known, split, places)
    return known


def list_ends(found: Ranking, lines: range) -> set[tuple[str, int]]:
    return {(str(found.split[i]), int(found.row[i])) for i in lines}


@pytest.fixture(scope="module")
def found() -> Ranking:
    return rank_labels(mislabel(sharpen(draw())), 224, 4)


def test_labels_that_were_made_wrong_come_first_with_the_right_ones(found: Ranking) -> None:
    assert list_ends(found, range(5)) == {(split, place) for split, places in WRONG.items() for place in places}
    np.testing.assert_array_equal((found.given[:5] - 1) % 4, found.likely[:5])
    assert found.suspect.sum() == found.suspect[:5].sum() == 5
    assert (np.diff(found.p_given) >= 0).all()
    assert (found.p_given + found.p_likely <= 1 + 1e-9).all()
    assert found.paths[0] == f"{found.split[0]}/{found.row[0]}.jpg"
    assert len(found) == 360


def test_of_real_digits_with_a_twentieth_of_labels_wrong_most_are_found() -> None:
    digits = load_digits()
    rng = np.random.default_rng(0)
    turn = rng.permutation(len(digits.target))
    y, wrong = digits.target.copy(), turn[: len(turn) // 20]
    y[wrong] = (y[wrong] + rng.integers(1, 10, len(wrong))) % 10
    sets = {}
    for split, places in zip(("train", "val", "test"), np.split(rng.permutation(len(y)), [900, 1300]), strict=True):
        X = digits.data[places].astype(np.float32)[:, None]
        files = rng.integers(0, 256, (len(places), 32), np.uint8)
        sets[split] = FeatureSet(X, y[places], np.arange(len(places)), files)
        sets[split].sha256[:, 0] = np.isin(places, wrong)  # to know them by
    found = rank_labels(Known(sets, classes="0123456789"), 8)
    bad = np.array([sets[s].sha256[r, 0] for s, r in zip(found.split.tolist(), found.row, strict=True)], bool)
    assert bad[: len(wrong)].mean() > 0.85
    assert bad[found.suspect].mean() > 0.8
    assert found.share.low < 0.05 < found.share.high


def test_equal_files_of_two_labels_come_first_and_name_each_other() -> None:
    known = draw()
    sha256 = known.sets["test"].sha256.copy()
    for mine, its in ((4, 6), (5, 9)):  # test 5 and train 9 are of one class
        sha256[mine] = known.sets["train"].sha256[its]
    known = known.change("test", sha256=sha256)
    assert find_conflicts(known.manifest) == {("train", 6): ("test", 4), ("test", 4): ("train", 6)}
    found = rank_labels(mislabel(known), 224, 4)
    assert list_ends(found, range(2)) == {("train", 6), ("test", 4)}
    assert found.suspect[:2].all()
    assert found.p_given[:2].max() > found.p_given[2]
    assert any("2 labels differ from those of an equal file" in line for line in say_ranking(found, 224, 4))
    rows = list(csv.DictReader(io.StringIO(format_ranking(found, "csv", 3))))
    assert [row["equal_file"] for row in rows[:2]] in (
        ["test/4.jpg", "train/6.jpg"], ["train/6.jpg", "test/4.jpg"],
    )  # fmt: skip
    assert rows[2]["equal_file"] == ""
    assert "test/4.jpg: " in format_ranking(found, "md", 2).replace("\\", "")


def test_of_several_labels_the_one_that_is_wrong_is_named() -> None:
    known = sharpen(draw())
    sets = {split: replace(one, y=np.eye(4, dtype=bool)[one.y]) for split, one in known.sets.items()}
    sets["val"].y[7, 2] ^= True
    found = rank_labels(Known(sets, "multilabel"), 224, 4)
    assert len(found) == 360 * 4
    assert (str(found.split[0]), found.row[0], found.label[0]) == ("val", 7, 2)
    assert found.likely[0] != found.given[0]
    [first] = json.loads(format_ranking(found, "json", 1))
    assert (first["label"], first["given"]) == ("c", bool(sets["val"].y[7, 2]))
    assert "not c" in format_ranking(found, "table", 1)


def test_numbers_are_ranked_by_how_far_off_they_are() -> None:
    sets = {split: replace(one, y=one.X[:, 0, 0] * 2.0 + 1) for split, one in draw().sets.items()}
    sets["test"].y[8] += 40
    sets["train"].y[30] -= 60
    found = rank_labels(Known(sets, "regression", "x"), 224, 4)
    assert [(str(found.split[i]), int(found.row[i])) for i in range(2)] == [("train", 30), ("test", 8)]
    assert found.off[0] > 3.5
    assert found.off[1] < -3.5
    assert found.likely[1] == pytest.approx(found.given[1] - 40, abs=3)
    assert found.share is None
    assert "robust standard deviations off" in say_ranking(found, 224, 4)[-1]
    assert format_ranking(found, "csv", 1).startswith(
        "rank,path,split,given,likely,off,suspect,equal_file\n1,train/30"
    )


def test_lines_of_a_list_sum_what_is_above_them_once(found: Ranking, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = json.loads(format_ranking(found, "json", 50))
    assert [line["random_so_far"] for line in lines] == pytest.approx(np.cumsum(found.p_random)[:50])
    sums: list[int] = []

    class Watched(np.ndarray):
        def sum(self, *args: object, **options: object) -> object:
            sums.append(self.size)
            return np.asarray(self).sum(*args, **options)

    assert json.loads(format_ranking(replace(found, p_random=found.p_random.view(Watched)), "json", 50)) == lines
    assert sum(sums) <= len(found)


def test_lists_end_where_labels_no_longer_look_random_but_not_before_twenty(found: Ranking) -> None:
    many = replace(found, suspect=np.arange(len(found)) < 33)
    for ranking, top, lines in ((found, None, 20), (many, None, 33), (many, 4, 4), (found, 10**6, 360)):
        assert len(json.loads(format_ranking(ranking, "json", top))) == lines


def test_tables_fit_a_terminal_and_names_are_escaped(found: Ranking) -> None:
    manifest = replace(found.manifest, classes=(EVIL, "n02094114-Norfolk_terrier_of_a_long_name", "c", "d"))
    shown = format_ranking(replace(found, manifest=manifest), "table", 200)
    assert max(map(len, shown.splitlines())) <= 80
    assert "\u202e" not in shown + format_ranking(replace(found, manifest=manifest), "md", 200)
    assert "\\<b\\>" in format_ranking(replace(found, manifest=manifest), "md", 200)
    for one in (found, replace(found, manifest=replace(manifest, task="multilabel"))):
        named = replace(one, manifest=replace(manifest, task=one.manifest.task))
        assert "\u202e" not in format_ranking(named, "csv", 200)
        said = json.loads(format_ranking(named, "json", 200))
        assert any(EVIL in (line.get("label"), line["given"]) for line in said)


def test_what_was_judged_and_how_much_looks_random_is_said(found: Ranking) -> None:
    said = say_ranking(found, 224, 4)
    assert said[0].startswith("360 labels at 224 px")
    assert "4 folds of train and val, those of test by a head of train and val" in said[0]
    assert said[1].startswith("About 5 (")
    assert "mend none unseen" in said[-1]
    assert say_ranking(rank_labels(sharpen(draw()), 224, 4), 224, 4)[1].startswith("None of them looks drawn")


def test_wrong_labels_of_test_are_counted_though_all_others_are_right() -> None:
    wrong = list(range(0, 120, 4))
    found = rank_labels(relabel(sharpen(draw()), "test", wrong), 224, 4)
    assert list_ends(found, range(30)) == {("test", place) for place in wrong}
    assert found.n_suspect == 30
    assert found.p_random.sum() == pytest.approx(30, rel=0.1)
    assert found.share.low * 360 < 30 < found.share.high * 360
    assert say_ranking(found, 224, 4)[1].startswith("About ")
    assert not any("too few" in line for line in say_ranking(found, 224, 4))


def test_few_labels_of_test_are_doubted_as_the_others_are_and_that_is_said() -> None:
    clean = sharpen(draw())
    one = clean.sets["test"]
    few = clean.change("test", **{name: getattr(one, name)[:30] for name in ("X", "y", "row", "sha256")})
    found = rank_labels(relabel(few, "test", list(range(0, 30, 4))), 224, 4)
    assert (found.n_suspect, found.borrowed) == (0, 30)
    said = say_ranking(found, 224, 4)
    assert said[1].startswith("None of them looks drawn")
    assert said[2].startswith("The 30 of test are too few to be counted alone")
    bare = Known({split: few.sets[split] for split in ("train", "val")})
    alone = rank_labels(bare, 224, 4)
    assert (alone.share, alone.borrowed) == (found.share, 0)
    assert not any("too few" in line for line in say_ranking(alone, 224, 4))


def test_what_cannot_be_judged_is_counted() -> None:
    known = draw()
    y = known.sets["train"].y.copy()
    y[3] = 4
    known = known.change("train", y=y)
    found = rank_labels(Known(known.sets, classes="abcde"), 224, 4)
    assert (len(found), found.unjudged) == (359, 1)
    assert ("train", 3) not in list_ends(found, range(359))
    assert "1 labels not judged" in say_ranking(found, 224, 4)[1]


def test_images_without_labels_and_too_few_of_them_are_refused() -> None:
    with pytest.raises(DataError, match="label"):
        rank_labels(Known(draw().sets, "unlabelled", ""), 224)
    with pytest.raises(UsageError, match="ask for fewer folds"):
        rank_labels(draw(), 224, 100)


class Album:
    def thumbnail(self, split: str, row: int) -> bytes | None:
        return f"{split} {row}".encode() if row != WRONG["val"][0] else None


def test_a_page_shows_the_first_that_are_still_there_and_holds_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixgrid.heads.doubtful.choose_res", lambda holdings: 224)
    shown = show_doubtful(mislabel(sharpen(draw())), Album())
    assert len(shown.shots) == 11
    assert shown.shots[0].jpeg.decode().split()[0] in WRONG
    assert shown.shots[0].said.startswith("taken for ")
    assert len(shown.csv.splitlines()) == 361
    assert shown.said[0].startswith("360 labels")
    monkeypatch.setattr("fixgrid.heads.doubtful._MOST_JUDGED", 10)
    few = show_doubtful(draw(), Album())
    assert (few.shots, few.csv) == ((), "")
    assert "360 images are too many" in few.said[0]


def test_a_page_says_why_labels_were_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    known = draw()
    known.resolutions = lambda split, kind: []  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="center views") as error:
        choose_res(known)
    assert show_doubtful(known, Album()).said == [f"Labels were not judged: {error.value}"]


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_a_conflict_names_the_first_equal_file_of_another_label(task: str) -> None:
    rng = np.random.default_rng(0)
    sets = {}
    for split, one in draw().sets.items():
        y = rng.integers(0, 3, len(one.y))
        files = np.zeros((len(y), 32), np.uint8)
        files[:, 0] = rng.integers(0, 40, len(y))
        labels = {"multiclass": y, "multilabel": np.eye(4, dtype=bool)[y], "regression": y * -0.0 + (y == 2)}
        sets[split] = replace(one, y=labels[task], sha256=files)
    known = Known(sets, task, "x" if task == "regression" else "abcd")
    ends = [(split, i) for split, one in sets.items() for i in range(len(one.y))]
    wanted = {}
    for split, i in ends:
        own = sets[split]
        others = (
            (its, j)
            for its, j in ends
            if (sets[its].sha256[j] == own.sha256[i]).all() and np.any(sets[its].y[j] != own.y[i])
        )
        if (first := next(others, None)) is not None:
            wanted[split, i] = first
    assert find_conflicts(known.manifest) == wanted
    assert wanted


def test_conflicts_of_many_equal_files_are_found_in_one_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    known = draw()
    for split, one in known.sets.items():
        known = known.change(split, y=one.y * 0, sha256=one.sha256 * 0)
    asked: list[object] = []
    label_of = label_errors._label_of
    monkeypatch.setattr(label_errors, "_label_of", lambda *end: asked.append(end) or label_of(*end))
    assert find_conflicts(known.manifest) == {}
    assert len(asked) <= 360
