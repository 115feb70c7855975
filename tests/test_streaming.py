"""Heads of features that stay on disk are those of features in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench.large import make_cache
from certificate import certify_head
from entries import features_of, make_rows, make_spec
from hypothesis import given, settings
from hypothesis import strategies as st

import fixgrid
from fixgrid.cache.blocks import Blocks
from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.shard import Shard, Status, commit_shard
from fixgrid.cache.store import FeatureStore
from fixgrid.embed.watcher import Quiet
from fixgrid.heads import moments, sgd
from fixgrid.heads.design import rotate_features
from fixgrid.heads.families import FAMILIES, fit_path
from fixgrid.heads.lbfgs import TOL
from fixgrid.heads.logistic import LogisticPath
from fixgrid.heads.metrics import log_softmax
from fixgrid.heads.sgd import SGDPath
from fixgrid.heads.streamed import stream_features

MIDDLE = {"logistic": 1e-2, "ridge": 1e2, "lda": 0.5, "mean": 1.0, "knn": 20.0}


def draw(n: int, d: int, k: int, seed: int = 0, dtype: str = "float16") -> tuple[np.ndarray, np.ndarray]:
    """Features of unequal scales about a mean, as they are stored, and classes in their order."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) * k // n
    X = (rng.standard_normal((n, d)) + rng.standard_normal((k, d))[y] * 0.5) @ rng.standard_normal((d, d)) + 3
    return X.astype(dtype).astype(np.float32), y


def store(X: np.ndarray, step: int) -> Blocks:
    """Rows that are read by slices of ``step``, each in an array of its own, and never otherwise."""
    return Blocks(X.shape, lambda start, stop: X[start:stop].copy(), step)


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    """Within 2e-4 of the largest."""
    return bool(abs(found - expected).max() <= 2e-4 * abs(expected).max())


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("family", ["ridge", "lda", "mean"])
@settings(max_examples=10, deadline=None)
@given(
    step=st.integers(1, 700),
    n=st.integers(60, 600),
    d=st.integers(2, 20),
    k=st.integers(2, 6),
    dtype=st.sampled_from(["float16", "float32"]),
)
def test_closed_heads_are_those_of_memory_in_blocks_of_any_size(family, balanced, step, n, d, k, dtype):
    X, y = draw(n, d, k, dtype=dtype)
    heads = [fit_path(family, rows, y, k, balanced).head(MIDDLE[family]) for rows in (X, store(X, step))]
    assert close(heads[1].scores(X), heads[0].scores(X))


def test_closed_heads_of_classes_are_equal_to_the_bit_where_blocks_are_those_of_products():
    X, y = draw(20_000, 8, 5)
    for family in ("lda", "mean"):
        one, other = (fit_path(family, rows, y, 5).head(MIDDLE[family]) for rows in (X, store(X, 8192)))
        np.testing.assert_array_equal(one.coef, other.coef)
        np.testing.assert_array_equal(one.intercept, other.intercept)


@settings(max_examples=8, deadline=None)
@given(step=st.integers(20, 700), k=st.integers(2, 5), balanced=st.booleans())
def test_logistic_heads_are_certified_and_within_the_gap_of_those_of_memory(step, k, balanced):
    X, y = draw(500, 9, k, seed=step)
    designs = rotate_features(X, y, k, balanced), stream_features(store(X, step), y, k, balanced)
    paths = tuple(map(LogisticPath, designs))
    for C in (1e-5, 1e-3, 1e-1, 1e-2, 10.0):
        whole, found = (path.solve(C) for path in paths)
        assert found.gap <= TOL
        assert abs(found.objective / whole.objective - 1) <= TOL
        if not balanced:
            _, gap = certify_head(paths[1].head(C), paths[1].design.axes, X, y)
            assert gap <= 2 * TOL


def test_what_float32_cannot_tell_apart_is_found_in_float64():
    X, y = draw(120, 30, 3, dtype="float32")  # just separable
    found = LogisticPath(stream_features(store(X, 128), y, 3)).solve(1e3)
    assert found.gap <= TOL


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("family", ["logistic", "ridge"])
def test_several_labels_are_fitted_as_in_memory(family, balanced):
    X, y = draw(400, 8, 4)
    labels = np.stack([y == 0, y >= 2, np.arange(400) % 3 == 0, np.zeros(400, bool)], axis=1)
    one, other = (fit_path(family, rows, labels, 4, balanced).head(MIDDLE[family]) for rows in (X, store(X, 90)))
    assert abs(one.scores(X) - other.scores(X)).max() < 5e-3


def test_numbers_are_fitted_as_in_memory():
    X, y = draw(400, 8, 4)
    target = X[:, 0] * 3.0 + y
    one, other = (fit_path("ridge", rows, target.astype(np.float64), 1).head(1.0) for rows in (X, store(X, 90)))
    assert close(other.scores(X), one.scores(X))


@settings(max_examples=10, deadline=None)
@given(step=st.integers(1, 400), k=st.integers(1, 300))
def test_neighbours_are_those_of_memory(step, k):
    X, y = draw(300, 6, 3, dtype="float32")
    asked = X[::7] + 0.01
    one, other = (fit_path("knn", rows, y, 3).head(k) for rows in (X, store(X, step)))
    np.testing.assert_allclose(other.scores(asked), one.scores(asked), rtol=1e-4, atol=1e-4)


def test_training_rows_are_read_once_for_all_numbers_of_neighbours():
    X, y = draw(300, 6, 3)
    reads = []
    blocks = Blocks(X.shape, lambda start, stop: reads.append(start) or X[start:stop].copy(), 100)
    path = fit_path("knn", blocks, y, 3)
    for k in FAMILIES["knn"][1]:
        path.head(k).scores(X[:20])
    assert reads == [0, 100, 200]


def test_rows_are_read_once_for_all_heads_in_closed_form():
    X, y = draw(300, 6, 3)
    reads = []
    blocks = Blocks(X.shape, lambda start, stop: reads.append(start) or X[start:stop].copy(), 100)
    for family in ("ridge", "lda", "mean"):
        fit_path(family, blocks, y, 3).head(MIDDLE[family])
    assert reads == [0, 0, 100, 200]  # the first block twice: the shift is its mean


def test_sgd_sees_every_row_once_an_epoch_and_classes_mixed(monkeypatch):
    X, y = draw(6000, 4, 6)
    monkeypatch.setattr(sgd, "_EPOCHS", 2)
    zero, one = np.zeros(4, np.float32), np.ones(4, np.float32)
    batches = [batch for _, _, batch in sgd._read_windows(store(X, 2048), zero, one)]
    seen = np.concatenate(batches)
    assert (np.sort(seen[:6000]) == np.arange(6000)).all()
    assert not (seen[:6000] == seen[6000:]).all()
    assert all(len(np.unique(y[batch])) > 3 for batch in batches)


def test_sgd_on_disk_comes_near_that_of_memory():
    X, y = draw(4000, 6, 4)
    losses = []
    for rows in (X, store(X, 1024)):
        losses.append(-log_softmax(SGDPath(rows, y, 4).head(1e-2).scores(X))[np.arange(4000), y].mean())
    assert losses[1] == pytest.approx(losses[0], rel=2e-2)


def test_what_needs_all_rows_at_once_is_refused_in_one_line():
    X, _ = draw(50, 4, 2)
    blocks = store(X, 10)
    for use in (lambda: np.asarray(blocks), lambda: blocks[np.arange(3)], lambda: np.concatenate([blocks, blocks])):
        with pytest.raises(UsageError, match=r"found features of .* raise --memory") as caught:
            use()
        assert "\n" not in str(caught.value)


@settings(max_examples=20, deadline=None)
@given(views=st.integers(1, 4), start=st.integers(0, 60), length=st.integers(0, 60))
def test_views_are_rows_of_their_own(views, start, length):
    X = np.random.default_rng(0).standard_normal((20, views, 3)).astype(np.float32)
    flat = store(X, 7).flatten_views()
    np.testing.assert_array_equal(flat[start : start + length], X.reshape(-1, 3)[start : start + length])


class Heard(Quiet):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def notice(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    make_cache(folder, 6000, 16, 5, 900, 0.3)
    return folder


def run(cache: Path, memory: str, **asked):
    """Cells of a grid that remembers nothing, and what it said."""
    heard = Heard()
    for file in (cache / "cells").glob("*"):
        file.unlink()
    return fixgrid.grid(cache=cache, memory=memory, watcher=heard, **asked).cells, heard.said


def test_a_grid_of_more_than_memory_says_so_and_chooses_as_one_in_memory(cache: Path) -> None:
    closed = "ridge,lda,mean,logistic"
    for memory, heads, left in (("1MB", f"{closed},knn", ["train"]), ("300kB", closed, ["train", "val", "test"])):
        whole, quiet = run(cache, "1GB", heads=heads, strengths="1e-4,1e-3")
        assert not [said for said in quiet if "disk" in said]
        cells, said = run(cache, memory, heads=heads, strengths="1e-4,1e-3")
        notes = [line for line in said if "stay on disk" in line]
        assert [line.split()[1] for line in notes] == left
        assert "--memory" in notes[0]
        assert "s a step" in notes[0]
        for cell, other in zip(cells, whole, strict=True):
            assert cell.strength == other.strength
            assert abs(cell.val.value - other.val.value) <= 2 / 900
            assert abs(cell.test.value - other.test.value) <= 2 / 900


def test_a_grid_reads_its_features_once_for_all_heads_in_closed_form(cache: Path, monkeypatch) -> None:
    made, measure = [], moments._sum_rows
    monkeypatch.setattr(moments, "_sum_rows", lambda *rows: made.append(rows) or measure(*rows))
    run(cache, "500kB", heads="ridge,lda,mean")
    assert sum(isinstance(X, Blocks) for X, *_ in made) == 1


def test_a_kept_head_is_that_of_memory(cache: Path, tmp_path: Path) -> None:
    whole, found = (
        fixgrid.fit_head(cache=cache, memory=memory, heads="ridge", out=tmp_path / memory, watcher=Quiet())
        for memory in ("1GB", "300kB")
    )
    one, other = whole.fitted.test_scores, found.fitted.test_scores
    assert ((one - other) ** 2).mean() < 1e-6 * one.var()
    assert found.fitted.choice.strength == whole.fitted.choice.strength
    np.testing.assert_allclose(found.fitted.calibration.novelty, whole.fitted.calibration.novelty, atol=1e-4)


def test_cells_are_remembered_wherever_features_were(cache: Path) -> None:
    run(cache, "500kB", heads="ridge")
    files = sorted((cache / "cells").iterdir())
    fixgrid.grid(cache=cache, memory="1GB", heads="ridge", watcher=Quiet())
    assert sorted((cache / "cells").iterdir()) == files


@pytest.mark.parametrize(
    ("asked", "option"),
    [({"folds": 3}, "--folds"), ({"refit": True}, "--refit"), ({"gap": "none,standardize"}, "--gap standardize"),
     ({"drop_duplicates": True}, "--drop-duplicates")],
)  # fmt: skip
def test_what_cannot_be_had_of_features_on_disk_is_refused_before_anything_is_read(cache, asked, option):
    with pytest.raises(UsageError, match=rf"^found {option} .*--memory; expected more, or no --"):
        run(cache, "1MB", **asked)


def test_curves_nested_folds_and_splits_dealt_anew_are_refused(cache: Path) -> None:
    asked = {"cache": cache, "memory": "500kB", "heads": "ridge", "watcher": Quiet()}
    with pytest.raises(UsageError, match="raise --memory"):
        fixgrid.curve(shares="50%", **asked)
    with pytest.raises(UsageError, match="raise --memory"):
        fixgrid.cross_validate(folds=3, **asked)
    with pytest.raises(UsageError, match="raise --memory"):
        fixgrid.choose_again(splits=2, **asked)


def test_memory_that_has_no_room_for_a_block_is_refused_with_what_is_needed(cache: Path) -> None:
    with pytest.raises(UsageError, match=r"^found --memory of 10.0 kB for heads of 5 classes on 16 .* kB or more"):
        run(cache, "10kB")


def test_an_altered_file_is_refused_before_it_is_streamed(cache: Path, tmp_path: Path) -> None:
    make_cache(tmp_path, 3000, 8, 3, 90, 0.3)
    (file,) = (file for file in tmp_path.rglob("features.h5") if file.stat().st_size > 40_000)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(CacheError, match="was altered after it was sealed"):
        run(tmp_path, "200kB", heads="mean,ridge")


def test_images_without_features_are_left_out_of_blocks(tmp_path: Path) -> None:
    rows = make_rows(300)
    entry = FeatureStore(tmp_path).entry(make_spec(rows, dim=4, dtype="float16"))
    entry.create(rows)
    status = np.where(np.arange(300) % 7 == 3, Status.DECODE, Status.OK).astype(np.uint8)
    features = np.where(status[:, None, None] == Status.OK, features_of(rows, entry.spec), np.float16(np.nan))
    commit_shard(entry.shards_folder, entry.spec.key, Shard(0, features, status))
    entry.seal({"trunk": "stub"})
    sealed = entry.open()
    whole, found = sealed.load(rows), sealed.stream(rows, 50)
    np.testing.assert_array_equal(found.X[40:130], whole.X[40:130])
    np.testing.assert_array_equal(found.X[0:0], whole.X[:0])
    np.testing.assert_array_equal(found.row, whole.row)
    np.testing.assert_array_equal(found.y, whole.y)
    with pytest.raises(CacheError, match="other rows"):
        sealed.stream(replace(rows, paths=rows.paths[::-1]), 50)
