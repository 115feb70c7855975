"""A file's sha256 is computed once, and again after any change."""

from __future__ import annotations

import hashlib
import io
import os
import time
from pathlib import Path

import numpy as np
import pytest

from fixgrid.cache.errors import DataError
from fixgrid.embed import hashes
from fixgrid.embed.sources.content import Content

HOUR_NS = 3600 * 10**9


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The paths whose bytes were read, in any order."""
    paths: list[bytes] = []
    hash_image = hashes.hash_image

    def count(images: Content, path: bytes) -> hashes.Digest:
        paths.append(path)
        return hash_image(images, path)

    monkeypatch.setattr(hashes, "hash_image", count)
    return paths


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file counts as just changed: tests need not wait two seconds."""
    monkeypatch.setattr(hashes, "RACY_NS", -HOUR_NS)


def write(folder: Path, n: int = 3) -> list[bytes]:
    folder.mkdir(exist_ok=True)
    for i in range(n):
        (folder / f"{i}.png").write_bytes(b"image %d" % i)
    return [b"%d.png" % i for i in range(n)]


def run(tmp_path: Path, paths: list[bytes], **options) -> hashes.Hashes:
    return hashes.hash_files(os.fsencode(tmp_path / "data"), paths, memo_folder=tmp_path / "memo", **options)


def test_sizes_and_digests_come_in_the_order_asked_for(tmp_path):
    paths = write(tmp_path / "data", 200)[::-1]
    found = run(tmp_path, paths, workers=3)
    contents = [b"image %d" % i for i in range(200)][::-1]
    assert found.sizes.tolist() == [len(content) for content in contents]
    assert found.sizes.dtype == np.int64
    assert [row.tobytes() for row in found.sha256] == [hashlib.sha256(c).digest() for c in contents]


def test_empty_files_and_no_files_are_hashed_too(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "empty.png").touch()
    assert run(tmp_path, [b"empty.png"]).sha256.tobytes() == hashlib.sha256(b"").digest()
    assert run(tmp_path, []).sha256.shape == (0, 32)


@pytest.mark.usefixtures("settled")
def test_a_second_run_reads_nothing_and_answers_the_same(tmp_path, read):
    paths = write(tmp_path / "data")
    first = run(tmp_path, paths)
    read.clear()
    second = run(tmp_path, paths)
    assert read == []
    assert (first.sha256 == second.sha256).all()
    assert (first.sizes == second.sizes).all()


@pytest.mark.usefixtures("settled")
def test_files_that_were_not_asked_for_stay_remembered(tmp_path, read):
    paths = write(tmp_path / "data")
    run(tmp_path, paths[:1])
    run(tmp_path, paths[1:])
    read.clear()
    run(tmp_path, paths)
    assert read == []


@pytest.mark.usefixtures("settled")
def test_rehash_reads_everything(tmp_path, read):
    paths = write(tmp_path / "data")
    run(tmp_path, paths)
    read.clear()
    run(tmp_path, paths, rehash=True)
    assert sorted(read) == paths


def overwrite(file: Path) -> None:
    file.write_bytes(b"IMAGE 1")


def overwrite_and_restore_times(file: Path) -> None:
    before = file.stat()
    file.write_bytes(b"IMAGE 1")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_and_restore_times(file: Path) -> None:
    before = file.stat()
    other = file.with_name("other")
    other.write_bytes(b"IMAGE 1")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, file)


def swap_with_neighbour(file: Path) -> None:
    file.with_name("2.png").rename(file)
    file.with_name("2.png").write_bytes(b"another")


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(
    "change", [overwrite, overwrite_and_restore_times, replace_and_restore_times, swap_with_neighbour]
)
def test_a_changed_file_is_read_again(tmp_path, change, read):
    paths = write(tmp_path / "data")
    run(tmp_path, paths)
    time.sleep(0.02)  # the kernel's clock for file times ticks every 4 or 10 ms
    read.clear()
    change(tmp_path / "data" / "1.png")
    content = (tmp_path / "data" / "1.png").read_bytes()
    assert run(tmp_path, paths).sha256[1].tobytes() == hashlib.sha256(content).digest()
    assert b"1.png" in read
    assert b"0.png" not in read


def test_a_file_that_just_changed_is_not_remembered(tmp_path, read):
    paths = write(tmp_path / "data")
    run(tmp_path, paths)
    read.clear()
    run(tmp_path, paths)
    assert sorted(read) == paths


@pytest.mark.usefixtures("settled")
def test_a_file_dated_in_the_future_is_not_remembered(tmp_path, read):
    paths = write(tmp_path / "data")
    ahead = time.time_ns() + 24 * HOUR_NS
    os.utime(tmp_path / "data" / "1.png", ns=(ahead, ahead))
    run(tmp_path, paths)
    read.clear()
    run(tmp_path, paths)
    assert read == [b"1.png"]


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_memo_is_ignored(tmp_path, read, damage):
    paths = write(tmp_path / "data")
    first = run(tmp_path, paths)
    (memo,) = (tmp_path / "memo").glob("*.memo")
    data = bytearray(memo.read_bytes())
    data[len(data) // 2] ^= 1
    memo.write_bytes(bytes(data) if damage is None else damage)
    read.clear()
    assert (run(tmp_path, paths).sha256 == first.sha256).all()
    assert sorted(read) == paths
    read.clear()
    run(tmp_path, paths)
    assert read == []


@pytest.mark.usefixtures("settled")
def test_any_flipped_byte_of_the_memo_is_noticed(tmp_path):
    run(tmp_path, write(tmp_path / "data", 1))
    (memo,) = (tmp_path / "memo").glob("*.memo")
    data = memo.read_bytes()
    for place in range(0, len(data), 7):
        memo.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        assert hashes.read_memo(memo) is hashes.NO_MEMO


def pack(**arrays: object) -> bytes:
    """An npz of what a memo holds of one file, with some arrays replaced."""
    whole = {"paths": np.frombuffer(b"0.png", np.uint8), "stamps": np.zeros((1, 4), np.int64)}
    packed = io.BytesIO()
    np.savez(packed, **(whole | {"sha256": np.zeros((1, 32), np.uint8)} | arrays))
    return packed.getvalue()


def drop_stamps() -> bytes:
    packed = io.BytesIO()
    np.savez(packed, paths=np.zeros(1, np.uint8))
    return packed.getvalue()


FORGED = {
    "nothing": b"",
    "no archive": b"garbage",
    "half an archive": pack()[:300],
    "a damaged member": pack().replace(b"0.png", b"1.png"),
    "no stamps": drop_stamps(),
    "objects": pack(stamps=np.array([{}], dtype=object)),
    "more names than digests": pack(paths=np.frombuffer(b"0.png\0001.png", np.uint8)),
    "short stamps": pack(stamps=np.zeros((1, 3), np.int64)),
    "flat stamps": pack(stamps=np.zeros(1, np.int64)),
    "stamps that are no integers": pack(stamps=np.zeros((1, 4), np.float64)),
    "short digests": pack(sha256=np.zeros((1, 8), np.uint8)),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_forged_memo_whose_digest_fits_is_no_memo(tmp_path, forged):
    memo = tmp_path / "x.memo"
    memo.write_bytes(hashlib.sha256(forged).digest() + forged)
    assert hashes.read_memo(memo) is hashes.NO_MEMO


@pytest.mark.usefixtures("settled")
def test_what_was_hashed_before_an_interruption_is_remembered(tmp_path, read):
    paths = write(tmp_path / "data", 300)

    def interrupt(done: int, total: int) -> None:
        if done == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, paths, progress=interrupt, workers=1)
    read.clear()
    run(tmp_path, paths)
    assert sorted(read) == sorted(paths)[100:]


@pytest.mark.usefixtures("settled")
def test_progress_counts_up_to_all_files_known_ones_included(tmp_path):
    paths = write(tmp_path / "data", 5)
    run(tmp_path, paths[:2])
    steps: list[tuple[int, int]] = []
    run(tmp_path, paths, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(3, 5), (4, 5), (5, 5)]


@pytest.mark.usefixtures("settled")
def test_a_memo_that_cannot_be_written_is_a_note(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    paths = write(tmp_path / "data")
    monkeypatch.setattr(os, "replace", refuse)
    found = run(tmp_path, paths)
    assert "not remembered" in found.notes[0]
    assert len(found.sizes) == 3


def test_a_missing_file_is_named(tmp_path):
    paths = write(tmp_path / "data")
    with pytest.raises(DataError, match=r"could not read gone\.png: No such file"):
        run(tmp_path, [*paths, b"gone.png"])


def test_a_fifo_put_in_a_files_place_is_refused_and_does_not_block(tmp_path):
    write(tmp_path / "data")
    os.mkfifo(tmp_path / "data" / "fifo.png")
    with pytest.raises(DataError, match=r"fifo\.png is no longer a regular file"):
        run(tmp_path, [b"fifo.png"])
