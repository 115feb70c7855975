"""A data set of Hugging Face's hub is read from its Parquet files, as if these lay here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub import serve_hub
from packed import pack_parquet, read_folder
from test_archives import describe, read
from zoo import write_splits

from fixgrid.cache.errors import DataError

pytest.importorskip("pyarrow")


READ = """
import json, sys
from pathlib import Path
from fixgrid.cache.errors import FixgridError
from fixgrid.embed import hashes
from fixgrid.embed.manifest import read_manifest
from fixgrid.embed.sources.remote import store

store.WAITS_S = ()
hashes.RACY_NS = -(10**18)
try:
    manifest = read_manifest(sys.argv[1], cache_dir=Path(sys.argv[2]))[0]
except FixgridError as error:
    sys.exit(str(error))
print(json.dumps([
    [split, manifest.name_labels(split)[i], rows.sha256[i].tobytes().hex()]
    for split, rows in manifest.splits.items() for i in range(len(rows.paths))
]))
"""


def test_a_data_set_of_the_hub_is_its_parquet_files(tmp_path: Path) -> None:
    write_splits(tmp_path / "folder")
    members = read_folder(tmp_path / "folder")
    for split, word in (("train", "train"), ("val", "validation"), ("test", "test")):
        mine = [member for member in members if member[0].startswith(f"{split}/")]
        pack_parquet(tmp_path / "repo/data" / f"{word}-00000-of-00001.parquet", mine, "ab")
    (tmp_path / "repo/README.md").write_text("---\n")
    asked: list[str] = []
    here = describe(read(tmp_path / "folder", tmp_path))
    with serve_hub(tmp_path / "repo", "people/dogs", asked) as url:

        def read_there(name: str) -> set[tuple[str, str, bytes]] | str:
            """In a process of its own: where the hub is, is read when its package is imported."""
            words = [sys.executable, "-c", READ, f"hf://datasets/people/{name}", f"{tmp_path}/c"]
            known = {**os.environ, "HF_ENDPOINT": url, "HF_HOME": f"{tmp_path}/hf", "HF_HUB_OFFLINE": "0"}
            done = subprocess.run(words, env=known, capture_output=True, text=True, check=False)
            if done.returncode:
                return done.stderr.strip().splitlines()[-1]
            return {(split, label, bytes.fromhex(content)) for split, label, content in json.loads(done.stdout)}

        assert read_there("dogs") == here
        first = sum("resolve" in one for one in asked)
        asked.clear()
        assert read_there("dogs") == here
        again = sum("resolve" in one for one in asked)  # the ends of the files, which say what is in them
        assert 0 < again < first
        assert read_there("dogs/data/{train,validation,test}-00000-of-00001.parquet") == here
        assert "could not list hf://datasets/people/cats: it is not in" in str(read_there("cats"))


def test_configurations_are_not_mixed(tmp_path: Path) -> None:
    write_splits(tmp_path / "folder")
    members = [member for member in read_folder(tmp_path / "folder") if member[0].startswith("train/")]
    for name in ("plain", "other"):
        pack_parquet(tmp_path / "d" / name / "train-00000-of-00001.parquet", members, "ab")
    with pytest.raises(
        DataError, match=r"found train in 2 folders of .*, such as other/ and plain/; expected one data set"
    ):
        read(tmp_path / "d", tmp_path)
    assert len(read(tmp_path / "d/plain", tmp_path).classes) == 2
