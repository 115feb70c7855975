"""Images in tar, zip and Parquet files give what the same images in folders give, or are refused in one line."""

from __future__ import annotations

import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packed import Member, pack_parquet, pack_samples, pack_tar, pack_zip, read_folder, write_parquet
from test_hints import INLINE, type_in
from test_script import CODE, LAYERS
from zoo import draw_photo, encode, write_splits

from fixgrid.cache.errors import DataError
from fixgrid.cache.rows import Manifest
from fixgrid.cache.strings import Strings
from fixgrid.embed import hashes
from fixgrid.embed.manifest import read_manifest
from fixgrid.embed.sources.archives import index, kept
from fixgrid.embed.sources.archives.content import Archives
from fixgrid.embed.sources.archives.found import find_below
from fixgrid.embed.sources.archives.index import Index
from fixgrid.embed.sources.archives.members import expand_braces, name_groups, name_key, read_splits_of
from fixgrid.embed.sources.catalogue import open_content
from fixgrid.embed.sources.reading import Reading

PNG = encode(draw_photo(8, 8, 0))
KINDS = ("folder", "tar", "ustar", "zip", "stored", "samples", "parquet")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in splits, packed in each way, and a trunk."""
    folder = tmp_path_factory.mktemp("work")
    write_splits(folder / "folder")
    members = read_folder(folder / "folder")
    pack_tar(folder / "tar" / "all.tar", [(f"./{name}", data) for name, data in members])
    pack_tar(folder / "ustar" / "all.tar", members, form=tarfile.USTAR_FORMAT)
    pack_zip(folder / "zip" / "all.zip", members)
    pack_zip(folder / "stored" / "all.zip", members, how=zipfile.ZIP_STORED)
    pack_samples(folder / "samples", members, 5)
    pytest.importorskip("pyarrow")
    classes = sorted({name.split("/")[1] for name, _ in members})
    for split, word in (("train", "train"), ("val", "validation"), ("test", "test")):
        mine = [member for member in members if member[0].startswith(f"{split}/")]
        for k in (0, 1):
            pack_parquet(folder / "parquet/data" / f"{word}-0000{k}-of-00002.parquet", mine[k::2], classes)
    (folder / "script_layers.py").write_text(LAYERS)
    (folder / "nets.py").write_text(CODE)
    return folder


@pytest.fixture(autouse=True)
def remember(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was hashed just now is remembered, and so are large tar files, in a place of the test's own."""
    monkeypatch.setattr(hashes, "RACY_NS", -(10**18))
    monkeypatch.setattr(kept, "_RACY_NS", -(10**18))
    monkeypatch.setenv("FIXGRID_MIRROR", str(tmp_path / "mirror"))


def read(data: Path | str, tmp_path: Path, **more: object) -> Manifest:
    return read_manifest(str(data), cache_dir=tmp_path / "cache", **more)[0]  # type: ignore[arg-type]


def describe(manifest: Manifest) -> set[tuple[str, str, bytes]]:
    """Split, class and content of each image."""
    return {
        (split, str(label), content.tobytes())
        for split, rows in manifest.splits.items()
        for label, content in zip(manifest.name_labels(split), rows.sha256, strict=True)
    }


def read_features(cache: Path) -> dict[tuple[str, bytes], bytes]:
    """Features by view and content."""
    import h5py

    from fixgrid.cache.rowsfile import read_rows

    found = {}
    for file in cache.rglob("features.h5"):
        view = json.dumps(json.loads((file.parent / "spec.json").read_text())["view"], sort_keys=True)
        rows = read_rows(file.parent / "rows.h5")
        with h5py.File(file) as held:
            features = held["features"][...]
        found |= {(view, rows.sha256[i].tobytes()): features[i].tobytes() for i in range(len(rows.paths))}
    return found


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("engine", ["inline", "local"])
def test_packed_images_have_the_features_of_those_in_folders(
    work: Path, tmp_path: Path, kind: str, engine: str
) -> None:
    for data in ("folder", kind):
        trunk = ("--trunk", f"{work}/nets.py:build", "--res", "24", "--train-views", "2")
        said = type_in(
            "extract", "--data", f"{work}/{data}", *trunk, "--cache", f"{tmp_path}/{data}", "--engine", engine
        )
        assert " 0 images skipped" in said
    assert read_features(tmp_path / kind) == read_features(tmp_path / "folder") != {}


@pytest.mark.parametrize("kind", KINDS[1:])
def test_packed_images_are_those_of_the_folder_and_are_read_once(
    work: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read(work / kind, tmp_path)
    assert describe(first) == describe(read(work / "folder", tmp_path))
    monkeypatch.setattr(Archives, "read", None)
    assert read(work / kind, tmp_path).splits["test"].digest == first.splits["test"].digest


@pytest.mark.parametrize("kind", KINDS[1:])
def test_images_are_shown_and_found_by_their_names(work: Path, tmp_path: Path, kind: str) -> None:
    cache = ("--cache", f"{tmp_path}/c")
    type_in(
        "extract", "--data", f"{work}/{kind}", "--trunk", f"{work}/nets.py:build", "--res", "24", *cache, *INLINE
    )
    rows = read(work / kind, tmp_path).splits["test"]
    said = type_in("nearest", rows.paths[0].decode(), *cache, "--format", "csv")
    assert rows.paths[0].decode() in said
    assert open_content(f"archive:{work / kind}").read(rows.paths[0]).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["all.tar", "all.zip"])
def test_one_file_is_found_by_its_name_from_anywhere(
    work: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = work / name[-3:]
    monkeypatch.chdir(folder)
    trunk = ("--trunk", f"{work}/nets.py:build", "--res", "24", "--cache", f"{tmp_path}/c")
    type_in("extract", "--data", name, *trunk, *INLINE)
    monkeypatch.chdir("/")
    assert "24" in type_in("grid", "--data", f"{folder}/{name}", "--heads", "mean", "--cache", f"{tmp_path}/c")
    assert "all features" in type_in("extract", "--data", f"{folder}/{name}", *trunk, *INLINE)


def test_a_container_that_was_replaced_is_hashed_anew(work: Path, tmp_path: Path) -> None:
    members = read_folder(work / "folder")
    file = pack_tar(tmp_path / "x.tar", members)
    before = describe(read(file, tmp_path))
    pack_tar(file, [(name, data + b"\0") for name, data in members])
    assert not describe(read(file, tmp_path)) & before


def test_a_container_that_is_replaced_meanwhile_ends_the_run(work: Path, tmp_path: Path) -> None:
    members = read_folder(work / "folder")
    file, given = pack_tar(tmp_path / "x.tar", members), Archives._make
    words = ("--trunk", f"{work}/nets.py:build", "--res", "24", "--cache", f"{tmp_path}/c", *INLINE)
    read(file, tmp_path)

    with pytest.MonkeyPatch.context() as patch:
        done = []

        def make(self: Archives, container: bytes) -> object:
            opened = given(self, container)
            if done:  # the second time it is opened is by the extraction
                opened.read([members[0][0].encode()])
                pack_tar(file, [(name, encode(draw_photo(9, 9, i))) for i, (name, _) in enumerate(members)])
            done.append(opened)
            return opened

        patch.setattr(Archives, "_make", make)
        said = type_in("extract", "--data", str(file), *words, code=3)
    assert "x.tar/" in said
    assert "changed while it was being extracted" in said


NAMES = {
    "shards": (["d/train-000.tar", "d/train-001.tar", "d/val-000.tar"], ["train", "train", "val"], True),
    "parquet": (["d/train-00000-of-00002-0a1b2c3d.parquet", "d/test-0-of-1.parquet"], ["train", "test"], True),
    "folders": (["train/0.tar", "train/1.tar", "dev/0.tar"], ["train", "train", "dev"], True),
    "glued": (["train1.tar", "train2.tar", "val1.tar"], ["train", "train", "val"], True),
    "one": (["dogs.tar"], [""], False),
    "one split": (["imagenet-train-000000.tar"], ["imagenet-train"], True),
    "counts": (["0001.tar", "0002.tar"], ["", ""], False),
    "pieces": (["shard_0001.tar", "shard_0002.tar"], ["", ""], False),
    "classes": (["n01440764.tar", "n01443537.tar"], ["n01440764", "n01443537"], False),
    "some": (["train-0.tar", "more-0.tar"], ["train", "more"], False),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_the_names_of_containers_say_splits_or_folders(case: str) -> None:
    names, groups, splits = NAMES[case]
    found = name_groups([name.encode() for name in names])
    assert found == groups
    words = {"dev": "val", "imagenet-train": "train"}
    assert read_splits_of(found) == ([words.get(group, group) for group in groups] if splits else [""] * len(names))


def test_braces_stand_for_names() -> None:
    assert [*expand_braces("x-{08..10}.tar")] == ["x-08.tar", "x-09.tar", "x-10.tar"]
    assert [*expand_braces("{a,b}/{1..2}.zip")] == ["a/1.zip", "a/2.zip", "b/1.zip", "b/2.zip"]
    assert name_key(b"a.b/c.left.jpg") == b"a.b/c"


def test_braces_name_some_of_several_files(work: Path, tmp_path: Path) -> None:
    some = read(f"{work}/samples/photos-{{train,val,test}}-000000.tar", tmp_path)
    assert {len(rows.paths) for rows in some.splits.values()} == {5}
    with pytest.raises(DataError, match=r"there is no .*photos-train-000008.tar, which .*\{000008..000009\}"):
        read(f"{work}/samples/photos-train-{{000008..000009}}.tar", tmp_path)


def photos(*names: str) -> list[Member]:
    """Photographs, all different."""
    return [(name, encode(draw_photo(8, 8, i))) for i, name in enumerate(names)]


def number(pattern: str, n: int = 10) -> list[Member]:
    return photos(*(pattern.format(i) for i in range(n)))


def test_class_folders_may_lie_in_any_of_several_containers(tmp_path: Path) -> None:
    pack_tar(tmp_path / "d/0.tar", number("a/{}.png") + number("b/{}.png", 4))
    pack_zip(tmp_path / "d/1.zip", [(name, data + b"\0") for name, data in number("b/{}.png")])
    found = read(tmp_path / "d", tmp_path)
    assert found.classes == ("a", "b")
    assert sum(len(rows.paths) for rows in found.splits.values()) == 24
    paths = {path for rows in found.splits.values() for path in rows.paths}
    assert {b"0.tar/a/3.png", b"0.tar/b/3.png", b"1.zip/b/9.png"} <= paths


def test_a_container_may_be_a_class(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        pack_tar(tmp_path / f"d/{name}.tar", number(name + "_{}.png"))
    assert read(tmp_path / "d", tmp_path).classes == ("cat", "dog")


def test_labels_lie_beside_images_in_json(tmp_path: Path) -> None:
    members = []
    for i, (name, data) in enumerate(number("{:04d}.png", 20)):
        text = json.dumps({"label": "xy"[i % 2], "url": "http://h", "patient": i // 2, "caption": f"no. {i}"})
        members += [(name, data), (name.replace("png", "json"), text.encode())]
    pack_tar(tmp_path / "d.tar", members)
    manifest, notes = read_manifest(str(tmp_path / "d.tar"), cache_dir=tmp_path / "c")
    assert manifest.classes == ("x", "y")
    assert any("url, caption of d.tar" in note for note in notes)
    groups = [set(rows.groups.tolist()) for rows in manifest.splits.values() if rows.groups is not None]
    assert len(groups) == 3
    assert sum(map(len, groups)) == len(set.union(*groups)) == 10


def test_a_long_name_a_hidden_one_and_a_link(tmp_path: Path) -> None:
    long = "a/" + "x" * 300 + ".png"
    file = pack_tar(
        tmp_path / "d.tar",
        [*photos(long), *number("a/{}.png"), *number("b/{}.png", 12), ("a/._0.png", b"junk"), ("b/notes.txt", b"")],
        form=tarfile.GNU_FORMAT,
    )
    with tarfile.open(file, "a") as tar:
        link = tarfile.TarInfo("b/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "0.png"
        tar.addfile(link)
    manifest, notes = read_manifest(str(file), cache_dir=tmp_path / "c")
    assert any(long.encode() in path for rows in manifest.splits.values() for path in rows.paths)
    assert sum(len(rows.paths) for rows in manifest.splits.values()) == 23
    assert {"ignored 1 member(s) that are links", "ignored 1 file(s) that are not images: 1 .txt"} <= {*notes}


def test_hidden_columns_and_numbers_of_classes(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    data = [data for _, data in number("{}", 20)]
    file = write_parquet(tmp_path / "d.parquet", {"img": data, "fine_label": ["a", "b"] * 10, "label": [0, 1] * 10})
    assert read(file, tmp_path).classes == ("0", "1")
    write_parquet(tmp_path / "two.parquet", {"left": data, "right": data[::-1], "label": [0, 1] * 10})
    with pytest.raises(DataError, match=r"two.parquet: it holds images under left, right; .* --image-col names it"):
        read(tmp_path / "two.parquet", tmp_path)
    right = read(tmp_path / "two.parquet", tmp_path, reading=Reading(image_col="right"))
    images = open_content(right.root)
    for path in right.splits["train"].paths:
        assert path.startswith(b"two.parquet/right/")
        assert images.read(path) == data[19 - int(path[-2:])]


def test_a_row_without_an_image_is_an_image_that_cannot_be_decoded(work: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    data = [data for _, data in number("{}", 39)]
    write_parquet(tmp_path / "d.parquet", {"image": [*data, None], "label": ["a", "b"] * 20})
    words = ("--trunk", f"{work}/nets.py:build", "--res", "24", "--cache", f"{tmp_path}/c", *INLINE)
    assert "1 images skipped" in type_in(
        "extract", "--data", f"{tmp_path}/d.parquet", *words, "--max-bad", "3%", code=6
    )


def cut(file: Path, n: int) -> None:
    file.write_bytes(file.read_bytes()[:n])


def damage(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 255
    file.write_bytes(data)


def pack_encrypted(file: Path) -> None:
    pack_zip(file, number("a/{}.png"))
    data = bytearray(file.read_bytes())
    at = data.index(b"PK\1\2")
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(b"PK\1\2", at + 1)
    file.write_bytes(data)


def pack_cut(n: int) -> Callable[[Path], None]:
    def pack(file: Path) -> None:
        pack_tar(file, number("a/{}.png"), form=tarfile.USTAR_FORMAT)
        cut(file, n)

    return pack


def pack_joined(file: Path) -> None:
    pack_tar(file, number("a/{}.png"))
    file.write_bytes(file.read_bytes() * 2)


def pack_one(*members: Member) -> Callable[[Path], object]:
    return lambda file: pack_tar(file, members)


def pack_damaged(file: Path) -> None:
    pack_cut(20 << 10)(file)
    damage(file, 1024 + 150)


def pack_bomb(file: Path) -> None:
    pack_zip(file, number("a/{}.png", 1))
    data = bytearray(file.read_bytes())
    at = data.index(b"PK\1\2") + 24  # the size outside, in the directory
    data[at : at + 4] = (2 << 30).to_bytes(4, "little")
    file.write_bytes(data)


def pack_half_a_zip(file: Path) -> None:
    cut(pack_zip(file, number("a/{}.png")), 900)


def pack_by_bzip2(file: Path) -> None:
    pack_zip(file, number("a/{}.png"), how=zipfile.ZIP_BZIP2)


def write(data: bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(data)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut in an image.tar": (pack_cut(700), "it is no tar file, or a part of one (unexpected end of data)."),
    "cut between.tar": (pack_cut(1024), "it stops at byte 1,024 without an end mark: a part of it is missing."),
    "a damaged header.tar": (pack_damaged, "it is damaged, or goes on behind an end mark, at byte 1,024."),
    "two in one.tar": (pack_joined, "or goes on behind an end mark, at byte"),
    "no tar.tar": (write(b"x" * 2000), "no tar.tar: it is no tar file, or a part of one"),
    "empty.tar": (write(b""), "empty.tar: it is no tar file, or a part of one (empty file)."),
    "twice.tar": (
        pack_one(("a/1.png", PNG), ("./a/1.png", PNG)),
        "found a/1.png twice in twice.tar; expected each",
    ),
    "no image.tar": (pack_one(("a.txt", b"")), "ignored 1 file(s) that are not images: 1 .txt; expected images."),
    "tars.tar": (pack_one(("a.tar", b"")), "unpack it once, and name the folder of what is inside."),
    "packed.tar.gz": (write(b""), "found packed.tar.gz, which is packed as a whole, so that no image can be read"),
    "half a.zip": (pack_half_a_zip, "half a.zip: it is no zip file, or a part of one"),
    "encrypted.zip": (pack_encrypted, "a/0.png is encrypted; expected images that need no password."),
    "bomb.zip": (pack_bomb, "a/0.png would be 2,147,483,648 bytes; expected at most 1 GiB."),
    "bzip2.zip": (pack_by_bzip2, "a/0.png is packed by bzip2; expected stored or deflated: zip it anew."),
    "no json.tar": (pack_one(("a.png", PNG), ("a.json", b"{")), "no json.tar/a.json cannot be read (Expecting"),
    "no label.tar": (
        pack_one(("a.png", PNG), ("a.cls", b"1"), ("b.png", PNG)),
        "no label.tar/b.png of no label.tar",
    ),
    "half a.parquet": (write(b"PAR1" + bytes(100) + b"PAR1"), "could not read half a.parquet as Parquet"),
    "leads out.tar": (pack_one(("../a.png", PNG)), "ignored 1 member(s) whose name leads out of where they lie"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    make, said = REFUSED[name]
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    make(tmp_path / name)
    found = type_in("plan", "--data", f"{tmp_path}/{name}", "--cache", f"{tmp_path}/c", "--res", "32", code=3)
    assert said in found.splitlines()[-1].replace(f"{tmp_path}/", "")


def test_images_and_containers_are_not_mixed(tmp_path: Path) -> None:
    pack_tar(tmp_path / "d/x.tar", number("a/{}.png"))
    (tmp_path / "d/1.png").write_bytes(PNG)
    with pytest.raises(DataError, match=r"found images \(1.png\) and containers of images \(x.tar\) in"):
        find_below(f"{tmp_path}/d")


def test_damage_in_an_image_is_found_when_it_is_read(tmp_path: Path) -> None:
    file = pack_zip(tmp_path / "x.zip", number("a/{}.png") + number("b/{}.png"), how=zipfile.ZIP_STORED)
    damage(file, 60)
    with pytest.raises(DataError, match=r"could not read x.zip/a/0.png: a member has another checksum"):
        read(file, tmp_path)


@given(st.lists(st.binary(min_size=1, max_size=3), unique=True, max_size=30), st.binary(max_size=3))
def test_members_are_found_whatever_their_hashes(names: list[bytes], other: bytes) -> None:
    numbers = np.arange(len(names))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Strings, "hash", lambda self: np.array([one[0] % 2 for one in self], np.int64))
        patch.setattr(index, "hash", lambda name: name[0] % 2 if name else 0, raising=False)
        found = Index(Strings.gather(names), numbers, numbers)
        assert found.find(names).tolist() == [*range(len(names))]
        assert found.find([other]).tolist() == [names.index(other) if other in names else -1]
        assert not found.find_twice()


def test_members_are_cut_into_runs_that_are_read_at_once(tmp_path: Path) -> None:
    members = [(f"{i:02d}.png", bytes([i]) * size) for i, size in enumerate((10, 10, 400_000, 10, 9 << 20, 10))]
    members.insert(2, ("far.txt", bytes(300_000)))
    pack_tar(tmp_path / "x.tar", members)
    container = Archives(str(tmp_path)).open_container(b"x.tar")
    names = [name.encode() for name, _ in members if name.endswith("png")]
    assert container.cut(names) == [2, 2, 1, 1]
    assert container.read(names[2:4]) == [members[3][1], members[4][1]]
    assert container.cut([names[1], names[0]]) == [1, 1]


def test_nothing_is_held_of_a_container_but_columns(tmp_path: Path) -> None:
    file = pack_tar(tmp_path / "x.tar", [(f"{i:06d}.png", b"x") for i in range(20_000)])
    scanned = Archives(str(tmp_path)).open_container(file.name.encode()).scanned
    assert [*Path(tmp_path, "mirror").rglob("*.npz")]
    assert Archives(str(tmp_path)).open_container(b"x.tar").scanned.index.names == scanned.index.names
    held = scanned.index.names.text.nbytes + scanned.index.names.ends.nbytes + scanned.index.starts.nbytes
    assert held / 20_000 < 30
