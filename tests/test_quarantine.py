from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from entries import make_rows, make_spec
from stub import TRUNK, center, run_stub
from test_hints import INLINE, MEAN, type_in
from test_script import CODE, LAYERS
from zoo import list_manifest, write_photos, write_splits

from fixgrid.cache.quarantine import NAME, BadRow, find_loss, read_reasons, write_reasons
from fixgrid.cache.rows import Manifest
from fixgrid.cache.shard import Status
from fixgrid.cache.store import FeatureStore
from fixgrid.embed import decode
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.sniff import HEIC

ROWS = make_rows(4)  # of the labels 0, 1, 0, 1


def write_trunk(folder: Path) -> None:
    (folder / "script_layers.py").write_text(LAYERS)
    (folder / "nets.py").write_text(CODE)


def test_reasons_are_read_back_by_row(tmp_path: Path) -> None:
    bad = [
        BadRow("train", 3, b"a/\xff\n.jpg", Status.DECODE, "truncated"),
        BadRow("train", 7, b"b", Status.CRASH, "gone"),
    ]
    write_reasons(tmp_path, bad)
    assert read_reasons(tmp_path) == {3: "truncated", 7: "gone"}
    assert len((tmp_path / NAME).read_bytes().splitlines()) == 2


def test_a_missing_or_damaged_record_says_nothing(tmp_path: Path) -> None:
    assert read_reasons(tmp_path) == {}
    (tmp_path / NAME).write_bytes(b'{"row": 1, "rea')
    assert read_reasons(tmp_path) == {}


@pytest.mark.parametrize(
    ("split", "bad", "lost"),
    [
        ("train", [], None),
        ("train", [0, 1], None),
        (
            "train",
            [1, 3],
            "no usable image of the class dog in train: all 2 files are without features, "
            "first 0/00001.png (empty file)",
        ),
        (
            "val",
            [0, 1, 2, 3],
            "no usable image of the split val: all 4 files are without features, first 0/00000.png (decode)",
        ),
    ],
)
def test_a_class_or_split_that_is_lost_whole_is_named_with_its_first_file(
    split: str, bad: list[int], lost: str | None
) -> None:
    status = np.zeros(4, np.uint8)
    status[bad] = Status.DECODE
    loss = find_loss(Manifest("data", "/data", ("cat", "dog"), {split: ROWS}), split, status, {1: "empty file"})
    assert lost == (loss and str(loss))
    assert loss is None or loss.is_fatal


def test_a_class_may_be_lost_to_val_and_test() -> None:
    status = np.array([0, 1, 0, 1], np.uint8)
    loss = find_loss(Manifest("data", "/data", ("cat", "dog"), {"val": ROWS}), "val", status, {})
    assert loss is not None
    assert not loss.is_fatal


@pytest.mark.parametrize(
    ("reason", "fields", "cure"),
    [
        ("features up to 7e+04, float16 ends at 65,504", {"dtype": "float16"}, "again with --dtype float32"),
        ("features that are not finite", {"precision": "fp16"}, "again with --precision fp32"),
        ("features that are not finite", {}, "other weights"),
    ],
)
def test_arithmetic_is_to_blame_where_no_file_is(reason: str, fields: dict[str, str], cure: str) -> None:
    row = BadRow("train", 0, b"a.png", Status.NONFINITE, reason)
    assert cure in row.say_cure(replace(make_spec(ROWS), **fields))


@pytest.mark.parametrize(
    ("place", "lost"), [("val", "the split val: all 12 files"), ("train/b", "the class b in train: all 6 files")]
)
def test_every_command_that_needs_what_is_lost_says_so_in_a_line(place: str, lost: str, tmp_path: Path) -> None:
    write_splits(tmp_path / "data")
    for file in (tmp_path / "data" / place).rglob("*.png"):
        file.write_bytes(b"")
    write_trunk(tmp_path)
    cache = ("--cache", str(tmp_path / "c"))
    asked = (
        "--data",
        str(tmp_path / "data"),
        "--trunk",
        f"{tmp_path}/nets.py:build",
        *cache,
        "--res",
        "24",
        *INLINE,
    )
    for command in (
        ("extract", *asked),
        ("extract", *asked, "--max-bad", "1"),
        ("extract", *asked, "--max-bad", "1"),  # everything is cached by now
        ("fit-head", *cache),
        ("grid", *cache, *MEAN, "--folds", "2"),
        ("report", *cache, "--out", str(tmp_path / "r.html")),
        ("duplicates", *cache),
    ):
        said = type_in(*command, code=3).strip().splitlines()[-1]
        assert f"Error: found no usable image of {lost}" in said, command
    assert not (tmp_path / "r.html").exists()


def test_what_another_package_can_decode_is_tried_again_once_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos(tmp_path / "data", 6)
    (tmp_path / "data" / "a" / "0002.png").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    extraction = Extraction(
        FeatureStore(tmp_path / "c"), list_manifest(tmp_path / "data"), TRUNK, {"train": [center()]}
    )
    monkeypatch.setattr(decode, "_register_heif", lambda: False)
    assert [bad.reason for bad in run_stub(extraction, engine="inline", max_bad=1).bad] == [HEIC]
    assert run_stub(extraction, engine="inline", max_bad=1).computed == 0
    monkeypatch.setattr(decode, "_register_heif", lambda: True)
    monkeypatch.setattr(decode, "choose_formats", lambda head: decode.FORMATS)
    outcome = run_stub(extraction, engine="inline", max_bad=1)
    assert (outcome.computed, outcome.decoded) == (1, 0)
    assert [bad.reason for bad in outcome.bad] != [HEIC]


def test_a_class_that_val_has_lost_is_noted(tmp_path: Path) -> None:
    write_splits(tmp_path / "data")
    for file in (tmp_path / "data" / "val" / "b").rglob("*.png"):
        file.write_bytes(b"")
    write_trunk(tmp_path)
    asked = ("--data", str(tmp_path / "data"), "--trunk", f"{tmp_path}/nets.py:build", "--res", "24", *INLINE)
    said = type_in("extract", *asked, "--cache", str(tmp_path / "c"), "--max-bad", "50%", code=6)
    assert "note: no usable image of the class b in val: all 6 files" in said
