"""Features written for other programs are those of the cache to the bit, and each line says what it is of."""

from __future__ import annotations

import csv
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from entries import features_of, fill_entry, make_rows, make_spec
from numpy.typing import NDArray
from stub import SilentWatcher

import fixgrid
from fixgrid.cache.errors import CacheError, DiskError, UsageError
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.cache.rowsfile import write_manifest
from fixgrid.cache.shard import Shard, Status, commit_shard
from fixgrid.cache.store import FeatureStore
from fixgrid.cli import main
from fixgrid.heads.formats import lines as lines_file

CLASSES = ("dark, very", "bright")
SPLITS = {split: make_rows(n, seed) for seed, (split, n) in enumerate({"train": 9, "val": 4, "test": 5}.items())}
SPLITS["train"] = replace(SPLITS["train"], paths=('a/ä "1".png'.encode(), *SPLITS["train"].paths[1:]))
ODD = [1e-45, -0.0, 3.4028235e38, 16777217.0, 0.1, 1 / 3]


class Found(NamedTuple):
    X: NDArray[Any]
    path: list[str]
    label: list[str | None]
    split: list[str]
    row: list[int]
    view: list[int]
    meta: dict[str, Any]


def seal(store: FeatureStore, rows: Rows, bad: tuple[int, ...] = (), **fields: Any) -> None:
    """An entry whose first features are awkward numbers, and some of whose images have none."""
    entry = store.entry(make_spec(rows, dim=6, **fields))
    entry.create(rows)
    features, status = features_of(rows, entry.spec), np.zeros(len(rows), np.uint8)
    with np.errstate(over="ignore"):
        features[0, 0] = np.clip(ODD, None, np.finfo(features.dtype).max)
    features[list(bad)], status[list(bad)] = np.nan, Status.DECODE
    commit_shard(entry.shards_folder, entry.spec.key, Shard(0, features, status))
    entry.seal({"trunk": "stub"})


@pytest.fixture(scope="module", params=["float32", "float16"])
def cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = FeatureStore(tmp_path_factory.mktemp("cache"))
    write_manifest(store.folder / "data", Manifest("dogs", "/dogs", CLASSES, SPLITS))
    for split, rows in SPLITS.items():
        seal(store, rows, (1, 3) if split == "train" else (), dtype=request.param)
    seal(store, SPLITS["train"], (2,), dtype=request.param, kind="train", draws=3, views=3)
    return store.root


def read_npz(file: Path) -> Found:
    with np.load(file) as found:
        texts = ([text or None for text in found[name].tolist()] for name in ("path", "label", "split"))
        numbers = (found[name].tolist() for name in ("row", "view"))
        return Found(found["features"], *texts, *numbers, json.loads(str(found["meta"])))


def read_tensors(file: Path) -> Found:
    from safetensors import safe_open

    with safe_open(file, "np") as opened:
        meta = json.loads(opened.metadata()["fixgrid"])
        found = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping
    paths = [os.fsdecode(path) for path in found["path"].view(f"S{found['path'].shape[1]}")[:, 0].tolist()]
    labels = [meta["classes"][k] if k >= 0 else None for k in found["label"].tolist()]
    splits = [meta["splits"][k] for k in found["split"].tolist()]
    return Found(found["features"], paths, labels, splits, found["row"].tolist(), found["view"].tolist(), meta)


def read_parquet(file: Path) -> Found:
    pq = pytest.importorskip("pyarrow.parquet")
    found = pq.read_table(file)
    names = ("path", "label", "split", "row", "view")
    flat = found["features"].combine_chunks().flatten().to_numpy()
    columns = (found[name].to_pylist() for name in names)
    return Found(flat.reshape(found.num_rows, -1), *columns, json.loads(found.schema.metadata[b"fixgrid"]))


def read_csv(file: Path) -> Found:
    with open(file, encoding="utf-8", newline="") as opened:
        found = list(csv.DictReader(opened))
    X = np.array([[row[f"feature_{i}"] for i in range(6)] for row in found], np.float32)
    texts = ([row[name] or None for row in found] for name in ("path", "label", "split"))
    return Found(X, *texts, *([int(row[name]) for row in found] for name in ("row", "view")), {})


READERS: dict[str, Callable[[Path], Found]] = {
    "f.npz": read_npz,
    "f.safetensors": read_tensors,
    "f.parquet": read_parquet,
    "f.csv": read_csv,
}


@pytest.fixture(params=READERS)
def name(request: pytest.FixtureRequest) -> str:
    if request.param.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    return str(request.param)


def same_bits(found: NDArray[Any], wanted: NDArray[np.float32]) -> bool:
    return found.astype(np.float32).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("view", ["center", "train"])
def test_what_is_written_is_what_open_and_load_give(
    cache: Path, tmp_path: Path, name: str, view: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_file, "_BLOCK_BYTES", 60)  # several blocks a split
    done = fixgrid.export_features(cache=cache, view=view, out=tmp_path / name)
    found = READERS[name](tmp_path / name)
    splits = ["train"] if view == "train" else ["train", "val", "test"]
    tables = [fixgrid.open(cache).load(split, 32, view) for split in splits]
    assert same_bits(found.X, np.concatenate([table.X for table in tables]))
    assert found.path == [path for table in tables for path in table.paths]
    assert found.label == [label for table in tables for label in table.labels.tolist()]
    assert found.split == [split for split, table in zip(splits, tables, strict=True) for _ in table.paths]
    assert found.row == [row for table in tables for row in table.row.tolist()]
    assert found.view == [k for table in tables for k in table.view.tolist()]
    assert (done.lines, done.images, done.dim) == (len(found.X), len(found.X) // (3 if view == "train" else 1), 6)


TASKS: dict[str, tuple[tuple[str, ...], NDArray[Any], list[Any]]] = {
    "regression": (("age",), np.array([0.5, 1e-9, 40.0]), [0.5, 1e-9, 40.0]),
    "multilabel": (("a|b", "c"), np.array([[1, 0], [0, 0], [1, 1]], bool), [r"a\|b", None, r"a\|b|c"]),
    "unlabelled": ((), np.full(3, -1), [None] * 3),
}


@pytest.mark.parametrize("task", TASKS)
def test_labels_of_every_task_are_written_as_what_they_are(tmp_path: Path, name: str, task: str) -> None:
    classes, labels, said = TASKS[task]
    store, rows = FeatureStore(tmp_path), replace(make_rows(3), labels=labels)
    write_manifest(store.folder / "data", Manifest("d", "/d", classes, {"test": rows}, task=task))
    seal(store, rows)
    fixgrid.export_features(cache=tmp_path, out=tmp_path / name)
    if name.endswith("safetensors"):
        from safetensors.numpy import load_file

        assert load_file(tmp_path / name)["label"].tolist() == labels.tolist()
    else:
        text = str if name.endswith("csv") else lambda label: label
        assert READERS[name](tmp_path / name).label == [None if one is None else text(one) for one in said]


def test_float16_stays_float16_where_the_format_has_it(cache: Path, tmp_path: Path, name: str) -> None:
    fixgrid.export_features(cache=cache, out=tmp_path / name)
    stored = fixgrid.open(cache).holdings().entry("val", "center", 32).spec.dtype
    assert READERS[name](tmp_path / name).X.dtype == ("float32" if name.endswith("csv") else stored)


def test_the_metadata_says_what_the_features_are_of(cache: Path, tmp_path: Path, name: str) -> None:
    done = fixgrid.export_features(cache=cache, out=tmp_path / name, split="train,test")
    holdings = fixgrid.open(cache).holdings()
    meta = READERS[name](tmp_path / name).meta
    if name.endswith("csv"):
        return
    assert (meta["format"], meta["trunk"], meta["root"]) == ("fixgrid-features-1", "stub", "/dogs")
    keys = {split: holdings.entry(split, "center", 32).spec.key for split in ("train", "test")}
    assert (meta["splits"], meta["keys"], tuple(meta["classes"])) == (["train", "test"], keys, CLASSES)
    assert meta["views"]["test"]["res"] == 32
    assert [(image["row"], image["status"]) for image in meta["skipped"]] == [(1, "decode"), (3, "decode")]
    assert meta["skipped"] == done.skipped


def test_equal_features_make_equal_bytes(cache: Path, tmp_path: Path, name: str) -> None:
    files = [tmp_path / folder / name for folder in ("one", "two")]
    for file in files:
        fixgrid.export_features(cache=cache, out=file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_npz_has_no_date_of_today(cache: Path, tmp_path: Path) -> None:
    fixgrid.export_features(cache=cache, out=tmp_path / "f.npz")
    with zipfile.ZipFile(tmp_path / "f.npz") as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}


def test_images_without_labels_are_written_without(tmp_path: Path, name: str) -> None:
    rows = replace(make_rows(4), labels=np.full(4, -1, np.int64))
    store = FeatureStore(tmp_path / "cache")
    write_manifest(store.folder / "data", Manifest("new", "/new", (), {"test": rows}))
    fill_entry(store, rows, dim=6)
    fixgrid.export_features(cache=store.root, out=tmp_path / name)
    assert READERS[name](tmp_path / name).label == [None] * 4


def test_lightly_gets_its_own_columns(cache: Path, tmp_path: Path) -> None:
    fixgrid.export_features(cache=cache, out=tmp_path / "f.lightly.csv", split="train")
    with open(tmp_path / "f.lightly.csv", encoding="utf-8", newline="") as opened:
        head, *found = csv.reader(opened)
    table = fixgrid.open(cache).load("train", 32)
    assert head == ["filenames", *(f"embedding_{i}" for i in range(6)), "labels"]
    assert same_bits(np.array([row[1:-1] for row in found], np.float32), table.X)
    assert [row[0] for row in found] == list(table.paths)
    assert {row[-1] for row in found} == {"0"}
    with pytest.raises(UsageError, match=r"found 3 views of an image; .* --view center"):
        fixgrid.export_features(cache=cache, out=tmp_path / "v.lightly.csv", view="train")


UNDECODABLE = replace(make_rows(3), paths=(b"a/\xff.png", b"b/1.png", b"b/2.png"))


def test_a_name_that_is_no_utf8_is_kept_or_refused(tmp_path: Path, name: str) -> None:
    store = FeatureStore(tmp_path / "cache")
    write_manifest(store.folder / "data", Manifest("dogs", "/dogs", CLASSES, {"test": UNDECODABLE}))
    fill_entry(store, UNDECODABLE, dim=6)
    if name in ("f.npz", "f.safetensors"):
        fixgrid.export_features(cache=store.root, out=tmp_path / name)
        assert READERS[name](tmp_path / name).path[0] == "a/\udcff.png"
    else:
        with pytest.raises(UsageError, match=r"found the name a/\\udcff.png, which is not UTF-8"):
            fixgrid.export_features(cache=store.root, out=tmp_path / name)
        assert not (tmp_path / name).exists()


REFUSED = {
    "a suffix of no format": ({"out": "f.txt"}, UsageError, r"found --out f.txt; expected .* .npz, .parquet"),
    "a suffix alone": ({"out": ".npz"}, UsageError, r"found --out .npz"),
    "a split that is not there": ({"split": "extra"}, UsageError, r"found --split 'extra'; expected some of train"),
    "a view that is none": ({"view": "left"}, UsageError, r"found --view 'left'; expected one of center"),
    "crops of val": ({"view": "train", "split": "val"}, UsageError, r"found --view train with --split val"),
    "views not extracted": ({"view": "five"}, CacheError, r"no five features .* --views five .*--res 32,64"),
    "a resolution not extracted": ({"res": 48}, CacheError, r"no center features .* extract .*--res 48"),
    "two resolutions": ({}, UsageError, r"the cache holds center views at 32, 64 px: choose with --res"),
}


@pytest.fixture(scope="module")
def two_sides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = FeatureStore(tmp_path_factory.mktemp("two"))
    write_manifest(store.folder / "data", Manifest("dogs", "/dogs", CLASSES, SPLITS))
    for rows in SPLITS.values():
        for res in (32, 64):
            fill_entry(store, rows, res=res)
    return store.root


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_written_is_one_line_and_no_file(
    two_sides: Path, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, kind, said = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=said):
        fixgrid.export_features(**{"cache": two_sides, "out": "f.npz", **asked})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cache", ["float32"], indirect=True)
def test_a_damaged_cache_leaves_an_older_file_as_it_was(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "f.npz"
    file.write_bytes(b"old")
    cache = Path(shutil.copytree(cache, tmp_path / "cache"))
    sealed = fixgrid.open(cache).holdings().entry("test", "center", 32).file
    data = bytearray(sealed.read_bytes())
    data[-1] ^= 1
    sealed.chmod(0o644)
    sealed.write_bytes(data)
    with pytest.raises(CacheError, match="altered after it was sealed"):
        fixgrid.export_features(cache=cache, out=file)
    assert file.read_bytes() == b"old"


@pytest.mark.parametrize("cache", ["float32"], indirect=True)
def test_a_disk_that_fills_up_leaves_nothing(cache: Path, tmp_path: Path, name: str) -> None:
    import resource
    import signal

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
        with pytest.raises(DiskError, match="could not write"):
            fixgrid.export_features(cache=cache, out=tmp_path / "new" / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("cache", ["float32"], indirect=True)
def test_parquet_without_pyarrow_says_what_installs_it(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fixgrid.heads.formats.parquet.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"found no package pyarrow.*pip install 'fixgrid\[parquet\]'"):
        fixgrid.export_features(cache=cache, out=tmp_path / "f.parquet")


@pytest.mark.parametrize("cache", ["float32"], indirect=True)
def test_the_command_says_what_was_written_replaced_and_left_out(cache: Path, tmp_path: Path) -> None:
    words = ["export-features", "--cache", str(cache), "--out", str(tmp_path / "f.npz"), "--split", "train,val"]
    for _ in range(2):
        done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"11 lines of 6 features, of 11 images, written to {tmp_path}/f.npz; 2 images skipped\n"
    assert "res    32 (the cache holds it)\nsplit  train,val (option)\n" in done.stderr
    assert f"note: replaced {tmp_path}/f.npz" in done.stderr
    assert done.stderr.count(": decode") == 2


@pytest.mark.parametrize("cache", ["float32"], indirect=True)
def test_what_is_replaced_is_a_notice(cache: Path, tmp_path: Path) -> None:
    watcher = SilentWatcher()
    fixgrid.export_features(cache=cache, out=tmp_path / "f.npz", watcher=watcher)
    assert not [line for line in watcher.notices if "replaced" in line]
