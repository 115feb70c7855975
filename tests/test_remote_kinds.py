"""What lies behind the other schemes is listed and read alike: a web server's, and a stand-in for Google's."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from zoo import write_photos

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.rows import Manifest
from fixgrid.embed import hashes
from fixgrid.embed.manifest import read_manifest
from fixgrid.embed.sources.catalogue import find_source, open_content
from fixgrid.embed.sources.remote import store
from fixgrid.embed.sources.remote.address import Address, read_address
from fixgrid.embed.sources.remote.store import read_stamp

fsspec = pytest.importorskip("fsspec")
registry = pytest.importorskip("fsspec.registry")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "WAITS_S", (0.01,) * 4)
    monkeypatch.setattr(hashes, "RACY_NS", -(10**18))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photographs, one of an odd name, and a table of them."""
    write_photos(tmp_path / "data", 29)
    (tmp_path / "data" / "a" / "50% #1 ö?.png").write_bytes(b"another")
    files = sorted((tmp_path / "data").rglob("*.png"))
    lines = [f"{file.relative_to(tmp_path / 'data')},{file.parent.name}" for file in files]
    (tmp_path / "data" / "list.csv").write_text("\n".join(["path,label", *lines]))
    return tmp_path / "data"


def read(name: Path | str, folder: Path) -> tuple[Manifest, tuple[str, ...]]:
    return read_manifest(str(name), cache_dir=folder.parent / "c")


def list_digests(manifest: Manifest) -> dict[str, str]:
    return {split: rows.digest for split, rows in manifest.splits.items()}


class Web(SimpleHTTPRequestHandler):
    """Files of a folder, whose times are told or not; counts what is asked."""

    asked: ClassVar[Counter[str]] = Counter()
    tells = True

    def log_message(self, *args: object) -> None:
        self.asked[self.command] += 1

    def send_header(self, keyword: str, value: str) -> None:
        if self.tells or keyword != "Last-Modified":
            super().send_header(keyword, value)


@pytest.fixture
def web(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the folder."""
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(Web, "asked", Counter())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Web, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_table_on_a_web_server_has_the_rows_of_the_same_table_here(folder: Path, web: str) -> None:
    found, _ = read(f"{web}/list.csv", folder)
    assert list_digests(found) == list_digests(read(folder / "list.csv", folder)[0])
    image = b"a/50% #1 \xc3\xb6?.png"
    assert open_content(found.root).read(image) == b"another"


def test_what_a_web_server_tells_the_time_of_is_not_read_again(folder: Path, web: str) -> None:
    _, notes = read(f"{web}/list.csv", folder)
    assert not any("neither a time" in note for note in notes)
    Web.asked.clear()
    read(f"{web}/list.csv", folder)
    assert Web.asked == {"GET": 1, "HEAD": 30}


def test_what_it_tells_nothing_of_is_read_again_and_that_is_said(
    folder: Path, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Web, "tells", False)
    read(f"{web}/list.csv", folder)
    Web.asked.clear()
    _, notes = read(f"{web}/list.csv", folder)
    assert "30 file(s) have neither a time nor an ETag where they are: each run reads them anew" in notes
    assert Web.asked["GET"] == 31


def test_an_image_that_a_web_server_lacks_is_named(folder: Path, web: str) -> None:
    (folder / "b" / "0001.png").unlink()
    with pytest.raises(DataError, match=rf"could not read b/0001.png: it is not in {web}; mend or remove it"):
        read(f"{web}/list.csv", folder)


def test_an_address_elsewhere_is_refused_without_its_query(folder: Path, web: str) -> None:
    for cell in ("http://other/x.png?key=secret", f"{web}/a/0000.png?key=secret"):
        (folder / "list.csv").write_text(f"path,label\n{cell},a\n")
        with pytest.raises(DataError, match=r"names http://.*png; expected a path inside") as caught:
            read(f"{web}/list.csv", folder)
        assert "secret" not in str(caught.value)


class Stand(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """What gcsfs is to fsspec, over a dictionary."""

    protocol = "gs"
    objects: ClassVar[dict[str, bytes]] = {}
    read = 0

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        data = self.objects[path]
        mark = hashlib.md5(data).hexdigest()
        when = "2026-01-02T03:04:05.678Z"
        return {"name": path, "size": len(data), "type": "file", "md5Hash": mark, "updated": when}

    def find(self, path: str, detail: bool = False, **kwargs: Any) -> dict[str, Any]:
        return {name: self.info(name) for name in self.objects if name.startswith(f"{path}/")}

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        Stand.read += 1
        return self.objects[path][start:end]


@pytest.fixture
def google(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of the folder."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    monkeypatch.setattr(
        Stand, "objects", {f"photos/x/{file.relative_to(folder)}": file.read_bytes() for file in files}
    )
    monkeypatch.setitem(registry._registry, "gs", Stand)
    return "gs://photos/x"


def test_a_folder_of_another_scheme_has_the_rows_of_the_same_folder_here(folder: Path, google: str) -> None:
    here = list_digests(read(folder, folder)[0])
    assert list_digests(read(google, folder)[0]) == here
    Stand.read = 0
    assert list_digests(read(f"{google}/", folder)[0]) == here
    assert Stand.read == 0
    assert list_digests(read(f"{google}/list.csv", folder)[0]) == list_digests(read(folder / "list.csv", folder)[0])


def test_names_that_no_folder_can_have_are_passed_over(folder: Path, google: str) -> None:
    Stand.objects |= {f"photos/x/{name}": b"1" for name in ("a//1.png", "a/../../1.png", "/a/1.png", ".a/1.png")}
    manifest, notes = read(google, folder)
    assert any(note.startswith("ignored 3 name(s) that no folder can have") for note in notes)
    assert sum(len(rows.paths) for rows in manifest.splits.values()) == 30


def test_one_place_has_one_address() -> None:
    assert read_address("S3://photos/dogs//") == read_address("s3://photos/dogs") == Address("s3", "photos/dogs")
    assert read_address("abfs://box@account.host/x").url == "abfs://box@account.host/x"
    for text in ("s3://key@photos", "abfs://box:key@account/x", "http://me@h/x.csv", "https://h/x.csv#key"):
        with pytest.raises(UsageError, match="found credentials or a query"):
            read_address(text)


def test_an_address_is_no_word_of_another_source() -> None:
    for text, kind in (("s3://sample", "Bucket"), ("gs://b/x.JSONL", "BucketTable"), ("ftp://x", "Bucket")):
        assert type(find_source(text)).__name__ == kind


def test_a_stamp_is_size_time_and_mark() -> None:
    when = datetime(2026, 1, 2, tzinfo=timezone.utc)
    stamp = read_stamp({"size": 3, "LastModified": when, "ETag": '"a"'})
    assert stamp[:3] == (3, int(when.timestamp()) * 10**9, 0)
    assert 0 < stamp[3] < 1 << 63
    assert stamp[3] != read_stamp({"size": 3, "ETag": '"b"'})[3]
    assert read_stamp({"size": 3, "Last-Modified": "Fri, 02 Jan 2026 00:00:00 GMT"})[1] == stamp[1]
    assert read_stamp({"size": None}) == (-1, 0, 0, 0)
