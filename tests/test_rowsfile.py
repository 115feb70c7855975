from __future__ import annotations

import io
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from entries import make_rows
from hypothesis import given
from hypothesis import strategies as st

from fixgrid.cache import rowsfile, schema
from fixgrid.cache.errors import CacheError
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.cache.rowsfile import (
    decode_rows,
    encode_rows,
    holds_rows,
    list_manifests,
    read_manifest_record,
    write_manifest,
)
from fixgrid.cache.text import show_path

ODD_NAMES = (b"a\xff.png", b"a\n.png", b"\x1b[2J.png", "\u202e.png".encode(), b"=cmd()", b"x" * 255)


def name_rows(paths: tuple[bytes, ...]) -> Rows:
    return replace(make_rows(len(paths)), paths=paths)


@given(st.lists(st.binary(max_size=40), max_size=8).map(tuple))
def test_any_name_survives(paths: tuple[bytes, ...]) -> None:
    rows = name_rows(paths)
    image = io.BytesIO()
    encode_rows(rows, image)
    again = decode_rows(image)
    assert again.paths == rows.paths
    assert again.digest == rows.digest
    assert again.labels.tolist() == [-1] * len(paths)


def test_a_manifest_survives_with_its_labels(tmp_path: Path) -> None:
    rows = name_rows(ODD_NAMES)
    manifest = Manifest("../dogs", "/data/\udcff", ("a", "ü"), {"train": rows, "test": make_rows(3)})
    digest = write_manifest(tmp_path, manifest)
    [(name, again)] = list_manifests(tmp_path)
    assert name == digest
    assert (again.source, again.root, again.classes) == (manifest.source, manifest.root, manifest.classes)
    assert list(again.splits) == ["train", "test"]
    assert again.splits["train"].paths == ODD_NAMES
    np.testing.assert_array_equal(again.splits["train"].labels, rows.labels)


def test_the_record_written_last_comes_first_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (Manifest("dogs", "/dogs", ("a", "b"), {"train": make_rows(n)}) for n in (4, 5))
    first = write_manifest(tmp_path, old)
    monkeypatch.setattr("fixgrid.cache.rowsfile.time.time_ns", lambda: 0)
    second = write_manifest(tmp_path, new)
    for order in (1, -1):  # as a copy of the cache may leave them
        for when, name in enumerate([first, second][::order]):
            os.utime(tmp_path / name / "data.json", (when, when))
        assert [name for name, _ in list_manifests(tmp_path)] == [second, first]
    write_manifest(tmp_path, old)
    assert [name for name, _ in list_manifests(tmp_path)] == [first, second]


def test_a_record_that_another_run_writes_meanwhile_is_one_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = Manifest("dogs", "/dogs", ("a", "b"), {"train": make_rows(4)})

    def write_too(folder: Path, manifest: Manifest) -> bool:
        monkeypatch.undo()
        write_manifest(tmp_path, manifest)
        return rowsfile._is_whole(folder, manifest)

    monkeypatch.setattr(rowsfile, "_is_whole", write_too)
    digest = write_manifest(tmp_path, manifest)
    assert [name for name, _ in list_manifests(tmp_path)] == [digest]


def test_a_record_of_an_older_version_is_as_old_as_its_file(tmp_path: Path) -> None:
    old, new = (Manifest("dogs", "/dogs", ("a", "b"), {"train": make_rows(n)}) for n in (4, 5))
    file = tmp_path / write_manifest(tmp_path, old) / "data.json"
    record = json.loads(file.read_text())
    del record["written"]
    file.write_text(json.dumps(record))
    second = write_manifest(tmp_path, new)
    assert [name for name, _ in list_manifests(tmp_path)] == [second, file.parent.name]


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=5).map(tuple), st.integers(0, 3))
def test_rows_are_told_from_others_by_what_is_in_their_file(paths: tuple[bytes, ...], what: int) -> None:
    rows = name_rows(paths)
    others = [
        rows,
        replace(rows, paths=(*paths[:-1], paths[-1] + b"x")),
        replace(rows, sizes=rows.sizes + 1),
        replace(rows, sha256=255 - rows.sha256),
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.h5")
        with open(file, "w+b") as image:
            encode_rows(rows, image)
        assert holds_rows(file, others[what]) == (what == 0)
        assert not holds_rows(Path(folder, "none"), rows)
        file.write_bytes(file.read_bytes()[:-60])
        assert not holds_rows(file, rows)


def test_a_moved_folder_is_the_same_data_set_and_a_relabelled_one_is_not(tmp_path: Path) -> None:
    rows = make_rows(4)
    manifest = Manifest("dogs", "/here", ("a", "b"), {"train": rows})
    digest = write_manifest(tmp_path, manifest)
    assert write_manifest(tmp_path, replace(manifest, root="/there", source="there")) == digest
    relabelled = replace(rows, labels=1 - rows.labels)
    assert write_manifest(tmp_path, replace(manifest, splits={"train": relabelled})) != digest


def test_21843_classes_are_no_more_than_a_list(tmp_path: Path) -> None:
    classes = tuple(f"class {i} with a long name" for i in range(21_843))
    write_manifest(tmp_path, Manifest("all", "/all", classes, {"train": make_rows(2)}))
    assert list_manifests(tmp_path)[0][1].classes == classes


@pytest.mark.parametrize("damage", ["flip", "labels", "label", "class", "cut", "json", "rows"])
def test_a_damaged_record_is_refused(tmp_path: Path, damage: str) -> None:
    rows = make_rows(4)
    folder = tmp_path / write_manifest(tmp_path, Manifest("dogs", "/dogs", ("a", "b"), {"train": rows}))
    record, arrays = folder / "data.json", folder / "train.h5"
    if damage == "flip":
        data = bytearray(arrays.read_bytes())
        data[data.index(rows.sha256[2].tobytes())] ^= 1
        arrays.write_bytes(data)
    elif damage == "labels":
        record.write_text(json.dumps({**json.loads(record.read_text()), "labels": {"train": [0, 1, 0]}}))
    elif damage == "label":
        record.write_text(record.read_text().replace("[0, 1, 0, 1]", "[0, 1, 1, 1]"))
    elif damage == "class":
        record.write_text(record.read_text().replace('["a", "b"]', '["a", "c"]'))
    elif damage == "cut":
        arrays.write_bytes(arrays.read_bytes()[:-100])
    elif damage == "json":
        record.write_bytes(record.read_bytes()[:-1])
    else:
        with open(arrays, "w+b") as file:
            encode_rows(make_rows(4, seed=1), file)
    with pytest.raises(CacheError, match=r"damaged record|cannot be read|3 labels for 4 rows"):
        read_manifest_record(folder)
    assert list_manifests(tmp_path) == []


@pytest.mark.parametrize("ends", [[3, 2], [1, 2], [-1, 3]])
def test_names_that_do_not_fit_are_refused(ends: list[int]) -> None:
    image = schema.encode_arrays(
        {
            "paths": np.frombuffer(b"abc", np.uint8),
            "path_ends": np.array(ends),
            "size": np.zeros(2, np.int64),
            "sha256": np.zeros((2, 32), np.uint8),
        }
    )
    with pytest.raises(CacheError, match="disagree in length"):
        decode_rows(io.BytesIO(image))


def test_a_shown_path_cannot_drive_a_terminal() -> None:
    assert [show_path(path) for path in ODD_NAMES[:4]] == [
        "a\\udcff.png",
        "a\\n.png",
        "\\x1b[2J.png",
        "\\u202e.png",
    ]
    assert show_path("käfer/ä b.png".encode()) == "käfer/ä b.png"


@pytest.mark.parametrize("part", [1, 2, 3, 100])
def test_a_record_is_spelt_as_json_spells_it_in_parts_of_any_length(monkeypatch, part):
    monkeypatch.setattr(rowsfile, "_PART", part)
    plain = {
        "labels": {"val": [0, 300, -1], "train": [[True, False], [False, False]], "test": []},
        "classes": ("a", "é\n"),
        "numbers": [1.0, 0.1, float("nan")],
        "task": "x",
        "none": {},
    }
    arrays = {**plain, "labels": {name: np.array(labels) for name, labels in plain["labels"].items()}}
    text = json.dumps(plain, sort_keys=True).encode()
    assert b"".join(rowsfile._spell(plain)) == b"".join(rowsfile._spell(arrays)) == text
