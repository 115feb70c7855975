"""Images behind a URL give what the same files here give, whatever their server does meanwhile."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_hints import INLINE, type_in
from test_script import CODE, LAYERS
from zoo import write_photos

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.embed import hashes
from fixgrid.embed.manifest import read_manifest
from fixgrid.embed.sources.catalogue import open_content
from fixgrid.embed.sources.remote import content, store

pytest.importorskip("s3fs")
pytest.importorskip("moto.server")

from bucket import Bucket, serve_bucket

N = 30


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty photographs in class folders, a table of them, and a trunk."""
    folder = tmp_path_factory.mktemp("work")
    write_photos(folder / "dogs", N)
    files = sorted((folder / "dogs").rglob("*.png"))
    lines = [f"{file.relative_to(folder / 'dogs')},{file.parent.name}" for file in files]
    (folder / "dogs" / "list.csv").write_text("\n".join(["path,label", *lines]))
    (folder / "script_layers.py").write_text(LAYERS)
    (folder / "nets.py").write_text(CODE)
    return folder


@pytest.fixture(scope="module")
def served(work: Path) -> Iterator[Bucket]:
    with serve_bucket() as bucket:
        bucket.put_folder(work / "dogs", "dogs")
        bucket.put("dogs2/c/1.png", b"another")
        bucket.put("dogs/", b"")
        yield bucket


@pytest.fixture
def bucket(served: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The same, which answers at once and is asked again at once; what was hashed just now is remembered."""
    monkeypatch.setattr(store, "WAITS_S", (0.01,) * 4)
    monkeypatch.setattr(hashes, "RACY_NS", -(10**18))
    served.faults.clear()
    served.clear()
    served.latency_s = 0.0
    return served


def extract(work: Path, data: object, cache: Path, *more: str, code: int = 0) -> str:
    trunk = ("--trunk", f"{work}/nets.py:build", "--res", "24", "--cache", str(cache))
    return type_in("extract", "--data", str(data), *trunk, *(more or INLINE), code=code)


def read_features(cache: Path) -> dict[str, bytes]:
    """Sealed bytes by their key."""
    return {file.parent.name: file.read_bytes() for file in cache.rglob("features.h5")}


@pytest.fixture(scope="module")
def local(work: Path) -> dict[str, bytes]:
    extract(work, work / "dogs", work / "local")
    return read_features(work / "local")


def test_a_folder_in_a_bucket_has_the_keys_and_features_of_the_same_folder_here(
    work: Path, bucket: Bucket, local: dict[str, bytes], tmp_path: Path
) -> None:
    said = extract(work, "s3://photos/dogs", tmp_path / "c")
    assert read_features(tmp_path / "c") == local
    assert f"{N} images decoded" in said
    assert "all features" in extract(work, work / "dogs", tmp_path / "c")
    assert "all features" in extract(work, "s3://photos/dogs/", work / "local")


def test_workers_read_what_this_process_reads(
    work: Path, bucket: Bucket, local: dict[str, bytes], tmp_path: Path
) -> None:
    extract(work, "s3://photos/dogs", tmp_path / "c", "--workers", "2")
    assert read_features(tmp_path / "c") == local


def test_a_second_run_lists_once_and_reads_nothing(work: Path, bucket: Bucket, tmp_path: Path) -> None:
    extract(work, "s3://photos/dogs", tmp_path / "c")
    assert bucket.asked == {"list": 1, "get": 2 * N}
    bucket.clear()
    extract(work, "s3://photos/dogs/", tmp_path / "c")
    assert bucket.asked == {"list": 1}


def test_an_object_that_was_replaced_is_hashed_anew(bucket: Bucket, tmp_path: Path) -> None:
    for i in range(8):
        bucket.put(f"new/{'ab'[i % 2]}/{i}.png", b"%d" % i)
    read_manifest("s3://photos/new", cache_dir=tmp_path)
    bucket.put("new/a/0.png", b"x")
    bucket.clear()
    manifest, _ = read_manifest("s3://photos/new", cache_dir=tmp_path)
    assert bucket.asked == {"list": 1, "get": 1}
    found = {rows.sha256[i].tobytes() for rows in manifest.splits.values() for i in range(len(rows.paths))}
    assert hashlib.sha256(b"x").digest() in found


@pytest.mark.parametrize("fault", ["refuse", "cut", "hang"])
def test_what_is_refused_or_cut_is_read_again_and_nothing_is_lost(
    work: Path, bucket: Bucket, local: dict[str, bytes], tmp_path: Path, fault: str
) -> None:
    bucket.faults.extend([fault, "", "", fault] * 3 + [""] * (N - 6) + ["", fault, fault] * 4)
    extract(work, "s3://photos/dogs", tmp_path / "c")
    assert read_features(tmp_path / "c") == local
    assert bucket.asked["get"] > 2 * N + 6
    assert not bucket.faults


def test_a_part_is_not_hashed_for_the_whole(
    work: Path, bucket: Bucket, local: dict[str, bytes], tmp_path: Path
) -> None:
    bucket.faults.extend(["short", ""] * 10)
    extract(work, "s3://photos/dogs", tmp_path / "c")
    assert read_features(tmp_path / "c") == local


def test_a_part_is_not_decoded_for_the_whole(work: Path, bucket: Bucket, tmp_path: Path) -> None:
    bucket.faults.extend([""] * N + ["short"] * N)
    said = extract(work, "s3://photos/dogs", tmp_path / "c", code=3)
    assert "changed while it was being extracted; run the same command again" in said
    assert not read_features(tmp_path / "c")


def test_a_store_that_refuses_to_the_end_ends_the_run_which_goes_on_later(
    work: Path, bucket: Bucket, local: dict[str, bytes], tmp_path: Path
) -> None:
    bucket.faults.extend([""] * (N + 10) + ["refuse"] * 500)
    said = extract(work, "s3://photos/dogs", tmp_path / "c", code=3).splitlines()[-1]
    assert "s3://photos was asked 5 times and answered last: Please slow down; " in said
    assert "run the same command again: nothing is computed twice." in said
    bucket.faults.clear()
    extract(work, "s3://photos/dogs", tmp_path / "c")
    assert read_features(tmp_path / "c") == local


@pytest.mark.parametrize(
    ("data", "said", "code"),
    [
        ("ftp://h/x", "found ftp:// for a data set; expected s3://, gs://, az://, abfs://, hf://, http:// or", 2),
        ("s3://", "expected s3://BUCKET/PLACE", 2),
        ("s3://photos/none", "there is nothing below s3://photos/none", 3),
        ("s3://nothere/x", "could not list s3://nothere/x: it is not in s3://nothere/x", 3),
        ("s3://photos/dogs/none.csv", "could not read s3://photos/dogs/none.csv: it is not in s3://photos/dogs", 3),
        ("s3://photos/dogs/bad.csv", "bad.csv, line 2, names z.png, which is not there", 3),
        ("s3://me:secret@photos/dogs", "found credentials or a query in s3://.../dogs", 2),
        ("https://h/list.csv?sig=secret", "found credentials or a query in https://.../list.csv", 2),
        ("http://h/dogs", "found http://h/dogs, a folder, which a web server does not list; expected a table", 3),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line_without_secrets(
    work: Path, bucket: Bucket, tmp_path: Path, data: str, said: str, code: int
) -> None:
    bucket.put("dogs/bad.csv", b"path,label\nz.png,a\n")
    found = extract(work, data, tmp_path / "c", code=code)
    assert said in found.splitlines()[-1]
    assert "secret" not in found
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and b"secret" in file.read_bytes()]


def test_missing_keys_and_servers_are_named(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(DataError, match=r"s3://photos was asked 5 times .* Could not connect to the endpoint"):
        read_manifest("s3://photos/dogs", cache_dir=tmp_path)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError, match=r"no credentials for s3://photos were found .*: give them as to"):
        read_manifest("s3://photos/dogs", cache_dir=tmp_path)


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    for url, package in (("gs://b/x", "gcsfs"), ("az://b/x", "adlfs"), ("abfs://b@a.dfs.host/x", "adlfs")):
        try:
            __import__(package)
        except ImportError:
            extra = url.partition(":")[0].replace("abfs", "az")
            with pytest.raises(UsageError, match=rf"found no {package}.* pip install 'fixgrid\[{extra}\]'"):
                read_manifest(url, cache_dir=tmp_path)


@pytest.mark.parametrize("data", ["s3://photos/dogs/list.csv", "{work}/far.csv --root s3://photos/dogs/"])
def test_a_table_lists_what_lies_in_a_bucket(work: Path, bucket: Bucket, tmp_path: Path, data: str) -> None:
    lines = (work / "dogs" / "list.csv").read_text().splitlines()
    (work / "far.csv").write_text("\n".join([lines[0], *(f"s3://photos/dogs/{line}" for line in lines[1:])]))
    extract(work, work / "dogs" / "list.csv", tmp_path / "here")
    name, *more = data.format(work=work).split()
    extract(work, name, tmp_path / "there", *more, *INLINE)
    assert {*read_features(tmp_path / "there")} == {*read_features(tmp_path / "here")}
    assert read_features(tmp_path / "there") == read_features(tmp_path / "here")


def test_what_is_announced_is_fetched_ahead_and_no_more_than_that(bucket: Bucket) -> None:
    paths = sorted(open_content("remote:s3://photos/dogs").list())[:24]
    images = open_content("remote:s3://photos/dogs")
    bucket.latency_s = 0.1
    bucket.clear()
    images.announce(paths)
    until = time.monotonic() + 20
    while bucket.asked["get"] < content.AHEAD and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    assert bucket.asked["get"] == content.AHEAD
    assert bucket.most_busy > 1
    for path in paths:
        images.read(path)
    assert bucket.asked["get"] == len(paths)


def test_nothing_is_opened_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "open_system", None)
    images = open_content("remote:s3://photos/dogs")
    images.announce([])
    with pytest.raises(OSError, match="not callable"):
        images.read(b"a")
