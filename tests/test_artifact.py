"""A saved head comes back equal, and nothing that differs from it comes back at all."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from fixgrid.cache.errors import CacheError
from fixgrid.heads.artifact import SavedHead, load_head, save_coefficients, save_head
from fixgrid.heads.calibration import Calibration
from fixgrid.heads.gap import Correction
from fixgrid.heads.linear import LinearHead


@pytest.fixture
def stem(tmp_path):
    rng = np.random.default_rng(0)
    head = LinearHead(rng.standard_normal((3, 5)).astype(np.float32), np.arange(3, dtype=np.float32), 0.01)
    saved = SavedHead(
        head,
        ("a", "b", "ç"),
        temperature=1.5,
        keys={"train": ["00ff"]},
        trunk={"name": "efficientnet_lite0"},
        view={"kind": "center", "res": 224},
        figures={"test": [0.9, 0.8, 0.95]},
    )
    save_head(tmp_path / "best.v1", saved)
    return tmp_path / "best.v1"


def rewrite(stem, change):
    """Apply `change` to the record and the tensors, keeping their digests in step."""
    files = stem.with_name(stem.name + ".safetensors"), stem.with_name(stem.name + ".json")
    tensors, record = safetensors.numpy.load(files[0].read_bytes()), json.loads(files[1].read_text())
    change(tensors, record)
    data = safetensors.numpy.save(tensors)
    files[0].write_bytes(data)
    files[1].write_text(json.dumps({**record, "tensors_sha256": hashlib.sha256(data).hexdigest()}))


def test_a_head_comes_back_equal(stem):
    found = load_head(stem)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(found.head.coef, rng.standard_normal((3, 5)).astype(np.float32))
    np.testing.assert_array_equal(found.head.intercept, [0, 1, 2])
    assert (found.classes, found.temperature, found.head.strength) == (("a", "b", "ç"), 1.5, 0.01)
    assert found.trunk == {"name": "efficientnet_lite0"}
    assert found.view["res"] == 224
    assert found.figures == {"test": [0.9, 0.8, 0.95]}


CHANGES = {
    "format": lambda tensors, record: record.update(format="fixgrid-head-9"),
    "a class too few": lambda tensors, record: record["classes"].pop(),
    "no strength": lambda tensors, record: record.pop("C"),
    "no coefficients": lambda tensors, record: tensors.pop("coef"),
    "float64": lambda tensors, record: tensors.update(coef=tensors["coef"].astype(np.float64)),
    "another width": lambda tensors, record: tensors.update(intercept=tensors["intercept"][:2]),
    "three axes": lambda tensors, record: tensors.update(coef=tensors["coef"][None]),
    "not a number": lambda tensors, record: tensors["coef"].__setitem__((0, 0), np.nan),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_head_that_does_not_fit_its_record_is_refused(stem, change):
    rewrite(stem, lambda tensors, record: None)
    load_head(stem)
    rewrite(stem, change)
    with pytest.raises(CacheError, match="fit-head"):
        load_head(stem)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_missing_or_damaged_file_is_refused(stem, suffix):
    file = stem.with_name(stem.name + suffix)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(data)
    with pytest.raises(CacheError, match="fit-head"):
        load_head(stem)
    file.unlink()
    with pytest.raises(CacheError, match="No such file"):
        load_head(stem)


def test_a_head_is_found_by_either_of_its_files(stem):
    for suffix in (".safetensors", ".json"):
        assert load_head(stem.with_name(stem.name + suffix)).temperature == 1.5


def test_a_head_without_a_record_of_its_data_is_readable(stem):
    rewrite(stem, lambda tensors, record: record.pop("data"))
    assert load_head(stem).data == {}


SEEN = [{"kind": "center", "res": 128}, {"kind": "center", "res": 224}]


def keep_several(stem):
    """The head of `stem` on two views, each corrected in its own way."""
    rng = np.random.default_rng(2)
    corrections = tuple(Correction(*rng.standard_normal((3, 5)).astype(np.float32)) for _ in SEEN)
    saved = replace(load_head(stem), view={}, views=SEEN, corrections=corrections)
    save_head(stem, saved)
    return saved


def test_views_and_their_corrections_come_back_equal(stem):
    kept, found = keep_several(stem), load_head(stem)
    assert (found.view, found.views, found.seen) == ({}, SEEN, SEEN)
    for one, other in zip(kept.corrections, found.corrections, strict=True):
        assert vars(one).keys() == vars(other).keys()
        for name in vars(one):
            np.testing.assert_array_equal(vars(one)[name], vars(other)[name])


def test_a_head_of_one_view_has_no_list_of_them(stem):
    assert load_head(stem).seen == [{"kind": "center", "res": 224}]
    assert load_head(stem).corrections == ()
    record = json.loads(stem.with_name(stem.name + ".json").read_text())
    assert "views" not in record


MISFITS = {
    "a view too few": lambda tensors, record: record["views"].pop(),
    "another width": lambda tensors, record: tensors.update(corrections=tensors["corrections"][..., :4].copy()),
    "not a number": lambda tensors, record: tensors["corrections"].__setitem__((0, 0, 0), np.nan),
    "views that are none": lambda tensors, record: record.update(views=[1, 2]),
}


@pytest.mark.parametrize("change", MISFITS.values(), ids=MISFITS)
def test_corrections_that_do_not_fit_their_views_are_refused(stem, change):
    keep_several(stem)
    rewrite(stem, change)
    with pytest.raises(CacheError, match="fit-head"):
        load_head(stem)


def keep_calibrated(stem):
    """The head of `stem` with what val says."""
    rng = np.random.default_rng(3)
    scores = (np.sort(rng.random(n).astype(np.float32)) for n in (7, 8))
    known = Calibration(*scores, rng.standard_normal((2, 5)).astype(np.float32))
    save_head(stem, replace(load_head(stem), calibration=known))
    return known


def test_what_val_says_comes_back_equal_and_earlier_heads_have_none(stem):
    assert load_head(stem).calibration is None
    kept, found = keep_calibrated(stem), load_head(stem).calibration
    for name in vars(kept):
        np.testing.assert_array_equal(vars(found)[name], vars(kept)[name])


def test_of_how_many_images_groups_of_val_tell_comes_back_and_earlier_files_do_not_say(stem):
    known = keep_calibrated(stem)
    before = (stem.parent / f"{stem.name}.json").read_bytes()
    assert b"val_alone" not in before
    assert load_head(stem).calibration.alone is None
    save_head(stem, replace(load_head(stem), calibration=replace(known, alone=2.5)))
    assert load_head(stem).calibration.alone == 2.5


UNLIKE = {
    "means of another width": lambda tensors, record: tensors.update(
        class_means=tensors["class_means"][:, :4].copy()
    ),
    "scores in two axes": lambda tensors, record: tensors.update(val_novelty=tensors["val_novelty"][None]),
    "no scores": lambda tensors, record: tensors.pop("val_nonconformity"),
    "not a number": lambda tensors, record: tensors["val_novelty"].__setitem__(0, np.nan),
    "more images than val has": lambda tensors, record: record.update(val_alone=9),
    "no number of images": lambda tensors, record: record.update(val_alone="few"),
}


@pytest.mark.parametrize("change", UNLIKE.values(), ids=UNLIKE)
def test_what_val_says_is_refused_where_it_does_not_fit(stem, change):
    keep_calibrated(stem)
    rewrite(stem, change)
    with pytest.raises(CacheError, match="fit-head"):
        load_head(stem)


@pytest.mark.parametrize("k", [2, 3])
def test_coefficients_make_a_logistic_regression_with_calibrated_probabilities(tmp_path, k):
    from sklearn.linear_model import LogisticRegression

    from fixgrid.heads.metrics import log_softmax

    rng = np.random.default_rng(1)
    head = LinearHead(
        rng.standard_normal((k, 5)).astype(np.float32), rng.standard_normal(k).astype(np.float32), 1.0
    )
    tensors, record = save_coefficients(tmp_path / "x", SavedHead(head, tuple("abc"[:k]), temperature=1.7))
    parts, said = safetensors.numpy.load(tensors.read_bytes()), json.loads(record.read_text())
    model = LogisticRegression()
    model.coef_, model.intercept_ = (parts[name] / said["temperature"] for name in ("coef_", "intercept_"))
    model.classes_ = np.array(said["classes_"])
    X = rng.standard_normal((7, 5)).astype(np.float32)
    np.testing.assert_allclose(model.predict_proba(X), np.exp(log_softmax(head.scores(X), 1.7)), atol=1e-6)
