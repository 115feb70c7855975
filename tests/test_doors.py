"""Each door is open: what is to be added costs one new file and one line in a public table."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from stub import TRUNK, StubBackend, center, run_stub, train
from test_findings import Held
from zoo import list_manifest, write_photos, write_splits

from fixgrid.cache.features import FeatureSet
from fixgrid.cache.rows import SPLITS, Manifest
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import View
from fixgrid.embed import hashes
from fixgrid.embed.engines.engine import ENGINES
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.manifest import read_manifest
from fixgrid.embed.pictures import Album
from fixgrid.embed.recompute import recompute_rows
from fixgrid.embed.sources.catalogue import SOURCES, describe_sources
from fixgrid.heads.ask import ask_cache
from fixgrid.heads.families import FAMILIES
from fixgrid.heads.fit import fit_best
from fixgrid.heads.grid import run_grid

# A data source: images inside a .cbz, in folders as `write_splits` has them.
ZIP_SOURCE = """
import os
import zipfile
from functools import cached_property

from fixgrid.embed.sources.content import Content
from fixgrid.embed.sources.source import DataSource, Image, Listing


class Zipped(Content):
    def __init__(self, file):
        self.file = file

    @cached_property
    def archive(self):
        return zipfile.ZipFile(self.file)

    def find(self, path):
        try:
            return self.archive.getinfo(os.fsdecode(path))
        except KeyError as error:
            raise FileNotFoundError(2, "no such member") from error

    def stamp(self, path):
        member, file = self.find(path), os.stat(self.file)
        return member.file_size, file.st_mtime_ns, file.st_ctime_ns, member.CRC

    def open(self, path):
        return self.archive.open(self.find(path))


class ZipSource(DataSource):
    words = "an archive FILE.cbz"

    def takes(self, text):
        return text.endswith(".cbz") and os.path.isfile(text)

    def list(self, text, asked):
        file = os.path.realpath(text)
        names = [name for name in zipfile.ZipFile(file).namelist() if name.endswith(".png")]
        images = [Image(os.fsencode(name), name.split("/")[1], name.split("/")[0]) for name in names]
        return Listing(os.fsencode("zip:" + file), images)

    def open(self, rest):
        return Zipped(rest)
"""


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs in a folder ``data``, the same ones in ``data.cbz``, and a source for the latter."""
    write_splits(tmp_path / "data")
    file = tmp_path / "data.cbz"
    with zipfile.ZipFile(file, "w") as zipped:
        for path in sorted((tmp_path / "data").rglob("*.png")):
            zipped.write(path, path.relative_to(tmp_path / "data"))
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "zip_source.py").write_text(ZIP_SOURCE)
    monkeypatch.syspath_prepend(tmp_path / "sources")
    monkeypatch.setitem(SOURCES, "zip", "zip_source:ZipSource")
    return file


def read(source: Path) -> Manifest:
    return read_manifest(str(source), cache_dir=source.parent / "cache")[0]


def extract(source: Path, cache: Path) -> dict[tuple[str, View], FeatureSet]:
    manifest, views = read(source), dict.fromkeys(SPLITS, (center(8), train(8)))
    extraction = Extraction(FeatureStore(cache), manifest, TRUNK, views)
    outcome = run_stub(extraction, workers=2)
    assert (outcome.decoded, outcome.bad) == (36, [])
    return {place: entry.open().load(manifest.splits[place[0]]) for place, entry in extraction.entries.items()}


def test_a_data_source_is_one_file_and_one_line(archive: Path, tmp_path: Path) -> None:
    """Worker processes, whose own table lacks the line, give the features of the same images in a folder."""
    assert describe_sources().endswith(", or an archive FILE.cbz")
    assert read(archive).root == f"zip:{archive}"
    zipped = extract(archive, tmp_path / "of archive")
    plain = extract(tmp_path / "data", tmp_path / "of folder")
    assert zipped.keys() == plain.keys()
    for place, found in zipped.items():
        np.testing.assert_array_equal(found.X, plain[place].X)
        np.testing.assert_array_equal(found.y, plain[place].y)


def test_whoever_opens_an_image_of_a_source_asks_it(archive: Path, tmp_path: Path) -> None:
    zipped, plain = read(archive), read(tmp_path / "data")
    rows, backend = zipped.splits["test"], StubBackend(center(8))
    assert rows.digest == plain.splits["test"].digest
    found, expected = (
        recompute_rows(manifest.root, rows, [0, 7], center(8), backend) for manifest in (zipped, plain)
    )
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(Album(zipped).measure(), [[24, 20]] * 36)
    assert Album(zipped).thumbnail("test", 3) == Album(plain).thumbnail("test", 3) is not None


def test_what_a_source_says_is_untouched_is_hashed_once(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "RACY_NS", -(10**12))
    before = read(archive)
    with monkeypatch.context() as patch:
        patch.setattr(hashes, "hash_image", None)
        assert read(archive).splits["train"].digest == before.splits["train"].digest
    with zipfile.ZipFile(archive, "a") as zipped:
        zipped.write(archive.parent / "data/train/a/0000.png", "train/a/new.png")
    assert len(read(archive).splits["train"]) == 13


def test_a_report_goes_on_without_the_photographs_of_a_source_that_is_gone(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read(archive)
    monkeypatch.delitem(SOURCES, "zip")
    assert Album(manifest).thumbnail("test", 3) is None
    assert Album(manifest).measure().shape == (0, 2)


ENGINE = """
from fixgrid.embed.task import run_shard

class Backwards:
    def __init__(self, sizing, course):
        self.course = course

    def run(self, jobs, openers):
        for job in list(jobs)[::-1]:
            self.course.on_progress(1)
            yield run_shard(job, openers)
"""


def test_an_engine_is_one_file_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_engine.py").write_text(ENGINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(ENGINES, "backwards", "toy_engine:Backwards")
    write_photos(tmp_path / "data", 40)
    asked = [
        Extraction(FeatureStore(tmp_path / name), list_manifest(tmp_path / "data"), TRUNK, {"train": [center(8)]})
        for name in ("local", "backwards")
    ]
    outcomes = [run_stub(one, engine=name) for one, name in zip(asked, ("local", "backwards"), strict=True)]
    assert [outcome.decoded for outcome in outcomes] == [40, 40]
    ours, theirs = (next(iter(one.entries.values())).sealed_file.read_bytes() for one in asked)
    assert ours == theirs


HEADS = """
import numpy as np
from fixgrid.heads.linear import LinearHead

class FirstClass:
    def __init__(self, X, y, n_classes):
        self.shape = n_classes, X.shape[1]

    def head(self, strength):
        coef = np.zeros(self.shape, np.float32)
        return LinearHead(coef, np.eye(1, self.shape[0], dtype=np.float32)[0] * strength, strength)
"""


def test_a_head_is_one_file_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_heads.py").write_text(HEADS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(FAMILIES, "first", (import_module("toy_heads").FirstClass, (1.0,)))
    asked = ask_cache(Held(), tmp_path / "cells", heads="first,mean", pairs="224:224")
    first, mean = run_grid(asked)
    assert (first.family, first.test.value) == ("first", 0.25)
    assert mean.test.value > first.test.value
    assert fit_best([replace(asked, options=replace(asked.options, families=("first",)))]).family == "first"
