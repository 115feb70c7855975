"""A grid that ran before is read, bit for bit; anything that could change a cell makes it anew."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from drawn import FEW, PAIRS, Cache, K, ask

from fixgrid.heads import families, training
from fixgrid.heads import memo as memo_module
from fixgrid.heads.grid import run_grid
from fixgrid.heads.memo import Memo
from fixgrid.heads.question import GridOptions

EVERY = replace(FEW, families=("logistic", "lda"), corrections=("none", "standardize", "refit"))


def name_places(split, kind, res):
    return f"{split} {kind} {res}"


def fill(memo, cache=None, options=FEW, pairs=PAIRS[:1], n_classes=K):
    """The cells, and how many features were loaded for them."""
    cache = cache or Cache()
    cells = list(run_grid(ask(cache, pairs, options, memo, n_classes=n_classes)))
    return cells, cache.loads.total()


def as_bytes(cell):
    return {name: value.tobytes() if isinstance(value, np.ndarray) else value for name, value in vars(cell).items()}


def test_a_repeated_grid_loads_nothing_and_equals_the_first_bit_for_bit(tmp_path):
    memo = Memo(tmp_path / "heads", name_places)
    plain = list(run_grid(ask(Cache(), PAIRS, EVERY)))
    cold, _ = fill(memo, options=EVERY, pairs=PAIRS)
    warm, loads = fill(memo, options=EVERY, pairs=PAIRS)
    assert loads == 0
    assert [as_bytes(c) for c in warm] == [as_bytes(c) for c in cold] == [as_bytes(c) for c in plain]
    kinds = [[(type(v), getattr(v, "dtype", None)) for v in vars(c).values()] for c in (*warm, *cold)]
    assert kinds[: len(warm)] == kinds[len(warm) :]


@pytest.mark.parametrize(
    "changed",
    [
        {"strengths": FEW.strengths[:-1]},
        {"train_kinds": ("center",)},
        {"test_kind": "train"},
        {"mean_of": "features"},
        {"coarse": 1},
        {"refit": True},
        {"families": ("ridge",)},
        {"corrections": ("frechet",)},
    ],
)
def test_other_options_are_other_cells(tmp_path, changed):
    memo = Memo(tmp_path, name_places)
    fill(memo)
    assert fill(memo, options=replace(FEW, **changed))[1] > 0


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_other_features_are_other_cells(tmp_path, split):
    fill(Memo(tmp_path, name_places))
    moved = Memo(tmp_path, lambda s, kind, res: name_places(s, kind, res) + "'" * (s == split))
    assert fill(moved)[1] > 0


def test_a_correction_depends_on_training_images_at_the_test_resolution(tmp_path):
    options = replace(FEW, corrections=("standardize",))
    fill(Memo(tmp_path, name_places), options=options)
    moved = Memo(tmp_path, lambda *place: name_places(*place) + "'" * (place == ("train", "center", 224)))
    assert fill(moved, options=options)[1] > 0


def test_more_classes_or_a_new_meaning_are_other_cells(tmp_path, monkeypatch):
    memo = Memo(tmp_path, name_places)
    fill(memo)
    assert fill(memo, n_classes=K + 1)[1] > 0
    monkeypatch.setattr(memo_module, "HEADS_SEMANTICS", memo_module.HEADS_SEMANTICS + 1)
    assert fill(memo)[1] > 0


def test_what_a_grid_asks_for_besides_leaves_its_cells(tmp_path):
    memo = Memo(tmp_path, name_places)
    fill(memo)
    cells, _ = fill(memo, options=replace(FEW, families=("logistic", "mean")))
    assert len(cells) == len(list(tmp_path.glob("*.json"))) == 2


def damage(data):
    middle = len(data) // 2
    yield b""
    yield data[:middle]
    yield b"[]"
    yield b"\xff\xfe"
    yield b"[" * 100_000
    yield b'{"sha256": 1, "record": {}}'
    for at in range(middle, middle + 24):
        yield data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_damaged_file_is_ignored_and_replaced(tmp_path):
    memo = Memo(tmp_path, name_places)
    (good,), loads = fill(memo)
    (file,) = tmp_path.glob("*.json")
    data = file.read_bytes()
    for broken in damage(data):
        file.write_bytes(broken)
        assert memo.recall(file.stem) is None
    (again,), loaded = fill(memo)
    assert (as_bytes(again), loaded, file.read_bytes()) == (as_bytes(good), loads, data)


def test_a_result_under_another_name_is_not_believed(tmp_path):
    memo = Memo(tmp_path, name_places)
    memo.keep("a", {"x": 1})
    (tmp_path / "a.json").rename(tmp_path / "b.json")
    assert memo.recall("b") is None


def test_a_folder_that_cannot_be_written_costs_no_cell(tmp_path):
    (tmp_path / "file").write_text("")
    cells, _ = fill(Memo(tmp_path / "file" / "heads", name_places))
    assert len(cells) == 1


def test_refitted_and_corrected_heads_are_made_once_within_a_grid(monkeypatch):

    made, fit, learn = Counter(), families.rotate_features, training.fit_correction
    monkeypatch.setattr(families, "rotate_features", lambda *parts: made.update(["path"]) or fit(*parts))
    monkeypatch.setattr(training, "fit_correction", lambda n, *a: made.update([n]) or learn(n, *a))
    options = GridOptions(
        strengths=FEW.strengths, families=("logistic", "ridge"), corrections=("standardize", "refit")
    )
    cells = list(run_grid(ask(Cache(), [(128, 224), (320, 224)], options)))
    assert made == {"path": 2 * (2 + 1), "standardize": 2}
    refits = [as_bytes(c) | {"train_res": 0} for c in cells if (c.family, c.correction) == ("ridge", "refit")]
    assert refits[0] == refits[1]
