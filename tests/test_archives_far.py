"""Images in containers behind a URL: few questions, each byte once, the same features whatever the server does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packed import pack_parquet, pack_samples, pack_tar, pack_zip, read_folder
from test_archives import describe, read, read_features
from test_hints import type_in
from test_script import CODE, LAYERS
from zoo import write_splits

from fixgrid.embed import hashes
from fixgrid.embed.sources.archives.content import Archives
from fixgrid.embed.sources.remote import store

pytest.importorskip("s3fs")
pytest.importorskip("moto.server")
pytest.importorskip("pyarrow")

from bucket import Bucket, serve_bucket

DATA = {
    "tar": "s3://photos/x/all.tar",
    "zip": "s3://photos/x/all.zip",
    "samples": "s3://photos/samples",
    "parquet": "s3://photos/hf",
    "one parquet": "s3://photos/hf/data/train-00000-of-00001.parquet",
    "braces": "s3://photos/samples/photos-{train,val,test}-{000000..000002}.tar",
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    write_splits(folder / "folder")
    members = read_folder(folder / "folder")
    pack_tar(folder / "x/all.tar", members)
    pack_zip(folder / "x/all.zip", members)
    pack_samples(folder / "samples", members, 5)
    for split, word in (("train", "train"), ("val", "validation"), ("test", "test")):
        mine = [member for member in members if member[0].startswith(f"{split}/")]
        pack_parquet(folder / "hf/data" / f"{word}-00000-of-00001.parquet", mine, "ab")
    (folder / "script_layers.py").write_text(LAYERS)
    (folder / "nets.py").write_text(CODE)
    return folder


@pytest.fixture(scope="module")
def served(work: Path) -> Iterator[Bucket]:
    with serve_bucket() as bucket:
        for name in ("x", "samples", "hf"):
            bucket.put_folder(work / name, name)
        yield bucket


@pytest.fixture
def bucket(served: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """The same, which is asked again at once; what was hashed just now is remembered."""
    monkeypatch.setattr(store, "WAITS_S", (0.01,) * 4)
    monkeypatch.setattr(hashes, "RACY_NS", -(10**18))
    monkeypatch.setenv("FIXGRID_MIRROR", str(tmp_path / "mirror"))
    served.faults.clear()
    served.clear()
    return served


@pytest.fixture(scope="module")
def local(work: Path) -> dict[tuple[str, bytes], bytes]:
    return extract(work, f"{work}/folder", work / "local", "inline")


def extract(work: Path, data: str, cache: Path, engine: str) -> dict[tuple[str, bytes], bytes]:
    trunk = ("--trunk", f"{work}/nets.py:build", "--res", "24", "--cache", str(cache), "--engine", engine)
    type_in("extract", "--data", data, *trunk)
    return read_features(cache)


@pytest.mark.parametrize("kind", [kind for kind in DATA if kind != "one parquet"])
@pytest.mark.parametrize("engine", ["inline", "local"])
def test_containers_in_a_bucket_give_what_folders_here_give(
    work: Path, bucket: Bucket, local: dict[tuple[str, bytes], bytes], tmp_path: Path, kind: str, engine: str
) -> None:
    bucket.faults.extend(["", "", "refuse", "", "", "cut", "", "", "short"] * 20)
    assert extract(work, DATA[kind], tmp_path / "c", engine) == local


@pytest.mark.parametrize("kind", DATA)
def test_a_second_run_asks_for_no_image(work: Path, bucket: Bucket, tmp_path: Path, kind: str) -> None:
    first = read(DATA[kind], tmp_path)
    bucket.clear()
    again = read(DATA[kind], tmp_path)
    assert describe(again) == describe(first)
    assert bucket.asked["get"] <= {"zip": 3, "parquet": 12, "one parquet": 8}.get(kind, 0)


def test_what_lies_together_is_read_at_once(bucket: Bucket, tmp_path: Path) -> None:
    manifest = read(DATA["tar"], tmp_path)
    assert bucket.asked["get"] == 3  # headers, the end, all images
    paths = sorted(path for rows in manifest.splits.values() for path in rows.paths)
    images = Archives("s3://photos/x")
    images.announce(paths)
    bucket.clear()
    assert all(images.read(path).startswith(b"\x89PNG") for path in paths)
    assert bucket.asked["get"] == 1
    assert images.read(paths[0]).startswith(b"\x89PNG")
    assert bucket.asked["get"] == 2  # read again, what was announced is gone


def test_what_was_announced_and_is_not_there_fails_when_it_is_read(bucket: Bucket) -> None:
    images = Archives("s3://photos/x")
    images.announce([b"all.tar/none.png", b"none.tar/a.png"])
    for path, said in ((b"all.tar/none.png", "no such member"), (b"none.tar/a.png", "it is not in s3://photos/x")):
        with pytest.raises(FileNotFoundError) as caught:
            images.read(path)
        assert caught.value.strerror == said


def test_where_members_are_is_found_once_and_found_anew_if_the_file_is_damaged(
    bucket: Bucket, tmp_path: Path
) -> None:
    names = read(DATA["tar"], tmp_path).splits["test"].paths
    [file] = (tmp_path / "mirror").rglob("*.npz")
    bucket.clear()
    Archives("s3://photos/x").open_container(b"all.tar").cut([names[0].partition(b"/")[2]])
    assert not bucket.asked["get"]
    data = bytearray(file.read_bytes())
    data[40] ^= 1
    file.write_bytes(data)
    Archives("s3://photos/x").open_container(b"all.tar").cut([names[0].partition(b"/")[2]])
    assert bucket.asked["get"] == 2


def test_a_container_that_was_replaced_is_read_anew(work: Path, bucket: Bucket, tmp_path: Path) -> None:
    members = read_folder(work / "folder")
    bucket.put("y/all.tar", (work / "x/all.tar").read_bytes())
    before = describe(read("s3://photos/y/all.tar", tmp_path))
    changed = pack_tar(tmp_path / "other.tar", [(name, data + b"\0") for name, data in members[::-1]])
    bucket.put("y/all.tar", changed.read_bytes())
    after = describe(read("s3://photos/y/all.tar", tmp_path))
    assert len(after) == len(before)
    assert not after & before


def test_a_web_server_that_knows_no_parts_will_do(work: Path, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(work)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/x/all.tar"
    try:
        assert describe(read(url, tmp_path)) == describe(read(work / "folder", tmp_path))
    finally:
        server.shutdown()
        server.server_close()
