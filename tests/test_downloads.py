"""A download continues after a cut, is checked before use, and unpacks only what is harmless."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from fixgrid.cache.errors import DataError, DiskError
from fixgrid.embed.sources import downloads, stanford
from fixgrid.embed.sources.downloads import Archive, fetch_archive, unpack_tar
from fixgrid.embed.sources.stanford import download_stanford_dogs


class Server(ThreadingHTTPServer):
    """Serves `files` from memory; cuts the first `cuts` answers after 1,000 bytes."""

    files: dict[str, bytes]
    cuts = 0
    ranges = True
    shift = 0
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        data = self.server.files.get(self.path)
        asked = self.headers["Range"]
        self.server.asked.append(asked)
        if data is None:
            self.send_error(404)
            return
        start = int(asked[len("bytes=") : -1]) if asked and self.server.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            first = start + self.server.shift
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        cut = self.server.cuts > 0
        self.server.cuts -= cut
        self.wfile.write(data[start : start + 1000] if cut else data[start:])


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.files, running.asked = {}, []
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def fetch(server: Server, tmp_path: Path) -> Callable[..., Path]:
    def run(**options) -> Path:
        options.setdefault("archive", ARCHIVE)
        url = f"http://127.0.0.1:{server.server_port}/a.tar"
        return fetch_archive(url, tmp_path / "down" / "a.tar", pause_s=0, **options)

    server.files["/a.tar"] = DATA
    return run


def describe(name: str, data: bytes) -> Archive:
    return Archive(name, len(data), hashlib.sha256(data).hexdigest())


DATA = np.random.default_rng(0).bytes(5000)
ARCHIVE = describe("a.tar", DATA)


def test_a_download_arrives_whole_with_progress(fetch):
    steps: list[tuple[str, int, int]] = []
    assert fetch(progress=lambda *step: steps.append(step)).read_bytes() == DATA
    assert steps[-1] == ("a.tar", 5000, 5000)


def test_a_cut_connection_is_resumed_where_it_broke(fetch, server):
    server.cuts = 2
    file = fetch()
    assert file.read_bytes() == DATA
    assert server.asked == [None, "bytes=1000-", "bytes=2000-"]
    assert list(file.parent.iterdir()) == [file]


def test_a_later_run_continues_what_an_earlier_one_gave_up(fetch, server):
    server.cuts = 2
    with pytest.raises(DataError, match=r"stopped at 2000 of 5000 bytes .*again to continue"):
        fetch(tries=2)
    assert fetch().read_bytes() == DATA
    assert server.asked[-1] == "bytes=2000-"


def test_a_server_without_ranges_starts_over(fetch, server):
    server.cuts, server.ranges = 1, False
    assert fetch().read_bytes() == DATA


def test_a_server_that_sends_another_range_is_not_believed(fetch, server):
    server.cuts, server.shift = 1, 5
    with pytest.raises(DataError, match=r"not what follows byte 1000"):
        fetch()


def test_a_wrong_checksum_is_refused_and_the_part_removed(fetch, tmp_path):
    with pytest.raises(DataError, match=r"has sha256 .*, expected 0000"):
        fetch(archive=ARCHIVE._replace(sha256="0" * 64))
    assert list((tmp_path / "down").iterdir()) == []


def test_a_server_that_sends_without_end_is_cut_off(fetch, server):
    server.files["/a.tar"] = DATA * 100
    assert fetch().read_bytes() == DATA


def test_a_missing_file_and_a_silent_server_are_named(fetch, server, tmp_path):
    del server.files["/a.tar"]
    with pytest.raises(DataError, match=r"a\.tar stopped at 0 of 5000 bytes \(HTTP Error 404"):
        fetch(tries=1)
    with pytest.raises(DataError, match="refused"):
        fetch_archive("http://127.0.0.1:9/a.tar", tmp_path / "a.tar", ARCHIVE, tries=1)


def test_only_web_addresses_are_fetched(tmp_path):
    with pytest.raises(DataError, match="http://"):
        fetch_archive("file:///etc/hostname", tmp_path / "a.tar", ARCHIVE)


def test_a_disk_without_room_is_named_before_anything_is_sent(fetch, server):
    with pytest.raises(DiskError, match="MiB free"):
        fetch(archive=ARCHIVE._replace(size_bytes=1 << 60))
    assert server.asked == []


def make_tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o777
    return info


def unpack(tmp_path: Path, data: bytes, **limits) -> Path:
    (tmp_path / "a.tar").write_bytes(data)
    unpack_tar(tmp_path / "a.tar", tmp_path / "in" / "out", **({"max_bytes": 1 << 20} | limits))
    return tmp_path / "in" / "out"


def test_regular_files_and_folders_are_unpacked(tmp_path):
    out = unpack(tmp_path, make_tar((member("d", tarfile.DIRTYPE), b""), (member("./d/e/f"), b"content")))
    assert (out / "d" / "e" / "f").read_bytes() == b"content"
    assert not (out / "d" / "e" / "f").stat().st_mode & 0o111


HOSTILE = {
    "parent": [(member("../evil"), b"x")],
    "hidden parent": [(member("d/../../evil"), b"x")],
    "absolute": [(member("/tmp/fixgrid-evil"), b"x")],
    "soft link": [(member("l", tarfile.SYMTYPE, "/etc"), b"")],
    "hard link": [(member("l", tarfile.LNKTYPE, "/etc/passwd"), b"")],
    "device": [(member("n", tarfile.CHRTYPE), b"")],
    "fifo": [(member("n", tarfile.FIFOTYPE), b"")],
    "through a link": [(member("l", tarfile.SYMTYPE, ".."), b""), (member("l/evil"), b"x")],
    "twice": [(member("a"), b"x"), (member("a"), b"y")],
    "file as folder": [(member("a"), b"x"), (member("a/b"), b"y")],
    "too many bytes": [(member("a"), b"x" * 2000)],
    "too many files": [(member(str(i)), b"") for i in range(20)],
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_archive_is_refused_whole(tmp_path, attack):
    good = (member("good"), b"fine")
    with pytest.raises(DataError, match="not unpacked"):
        unpack(tmp_path, make_tar(good, *HOSTILE[attack]), max_bytes=1000, max_files=10)
    assert list((tmp_path / "in").iterdir()) == []
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("damage", [b"", b"no tar at all" * 100, None])
def test_a_damaged_archive_is_refused(tmp_path, damage):
    data = make_tar((member("a"), b"x" * 5000))[:2000] if damage is None else damage
    with pytest.raises(DataError, match="damaged"):
        unpack(tmp_path, data)
    assert list((tmp_path / "in").iterdir()) == []


def test_an_archive_without_the_expected_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no folder Images/"):
        unpack(tmp_path, make_tar((member("a"), b"x")), inside="Images")


def test_a_failed_write_is_a_disk_error(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads.shutil, "copyfileobj", refuse)
    with pytest.raises(DiskError, match="No space left"):
        unpack(tmp_path, make_tar((member("a"), b"x")))
    assert list((tmp_path / "in").iterdir()) == []


def test_stanford_dogs_arrives_in_its_published_layout_and_once(server, tmp_path):
    images = make_tar((member("Images/n1-Pug/n1_1.jpg"), b"jpeg"))
    lists = make_tar((member("train_list.mat"), b"mat"), (member("test_list.mat"), b"mat"))
    server.files = {"/images.tar": images, "/lists.tar": lists}
    options = {
        "base_url": f"http://127.0.0.1:{server.server_port}/",
        "images": describe("images.tar", images),
        "lists": describe("lists.tar", lists),
    }
    folder = download_stanford_dogs(tmp_path / "dogs", **options)
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    assert files == ["Images/n1-Pug/n1_1.jpg", "lists/test_list.mat", "lists/train_list.mat"]
    download_stanford_dogs(tmp_path / "dogs", **options)
    assert len(server.asked) == 2


def test_the_official_archives_are_pinned():
    assert stanford.STANFORD_IMAGES.size_bytes == 793_579_520
    for archive in (stanford.STANFORD_IMAGES, stanford.STANFORD_LISTS):
        assert len(bytes.fromhex(archive.sha256)) == 32
