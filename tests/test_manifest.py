"""Every kind of source becomes the same thing: sorted, labelled, hashed rows of train, val and test."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from zoo import write_photos

from fixgrid.cache.errors import DataError, FixgridError, UsageError
from fixgrid.cache.rows import Manifest
from fixgrid.embed.manifest import read_manifest
from fixgrid.embed.sources import stanford

ROOT = Path(__file__).resolve().parents[1]


def draw(folder: Path, *names: str) -> Path:
    """A tiny photograph for every name, another for each path."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        seed = list(os.fsencode(str(file.relative_to(folder))))
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)).save(file, "png")
    return folder


def draw_classes(folder: Path, n: int = 10, *classes: str) -> Path:
    return draw(folder, *(f"{label}/{i}.png" for label in classes or ("cat", "dog") for i in range(n)))


@pytest.fixture
def read(tmp_path: Path):
    """Reads ``data``, or another source, with a cache beside it."""
    return lambda source=tmp_path / "data", **options: read_manifest(
        str(source), cache_dir=tmp_path / "cache", **options
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def split_of(manifest: Manifest) -> dict[bytes, str]:
    return {path: split for split, rows in manifest.splits.items() for path in rows.paths}


def test_rows_are_sorted_labelled_and_hashed(data, read):
    draw(
        data,
        "train/b/1.png",
        "train/a/2.png",
        "train/a/10.png",
        "val/a/1.png",
        "test/b/1.png",
        "test/a/1.png",
    )
    manifest, notes = read()
    train = manifest.splits["train"]
    assert (manifest.source, manifest.root, manifest.classes) == (str(data), str(data), ("a", "b"))
    assert list(manifest.splits) == ["train", "val", "test"]
    assert train.paths == (b"train/a/10.png", b"train/a/2.png", b"train/b/1.png")
    assert train.labels.tolist() == [0, 0, 1]
    assert train.labels.dtype == train.sizes.dtype == np.int64
    for path, size, content in zip(train.paths, train.sizes, train.sha256, strict=True):
        file = data / os.fsdecode(path)
        assert (size, content.tobytes()) == (file.stat().st_size, hashlib.sha256(file.read_bytes()).digest())
    assert notes == ("val has no image of 1 of 2 classes: b",)


def test_class_folders_are_split_once_and_the_split_is_kept(data, read, tmp_path):
    draw_classes(data, 20)
    manifest, notes = read()
    assert {split: len(rows) for split, rows in manifest.splits.items()} == {"train": 28, "val": 6, "test": 6}
    (saved,) = (tmp_path / "cache" / "splits").glob("*.csv")
    assert notes == (
        f"the images were split with seed 0 into 28 train, 6 val, 6 test; the split is kept in {saved}",
    )
    again, _ = read()
    assert split_of(again) == split_of(manifest)
    draw_classes(data, 30)
    grown = split_of(read()[0])
    assert {path: grown[path] for path in split_of(manifest)} == split_of(manifest)
    assert len(grown) == 60


@pytest.mark.parametrize(
    ("missing", "sizes", "note"),
    [
        ("val", (34, 6, 20), "the training images were split with seed 5 into 34 train, 6 val;"),
        ("test", (34, 20, 6), "the training images were split with seed 5 into 34 train, 6 test;"),
        ("val test", (28, 6, 6), "the training images were split with seed 5 into 28 train, 6 val, 6 test;"),
    ],
)
def test_a_missing_split_is_carved_from_train_and_said_so(data, read, missing, sizes, note):
    draw_classes(data / "train", 20)
    for split in {"val", "test"} - set(missing.split()):
        draw_classes(data / split, 10)
    manifest, notes = read(seed=5)
    assert tuple(len(rows) for rows in manifest.splits.values()) == sizes
    assert notes[0].startswith(note)
    assert all(path.startswith(b"train/") for path in manifest.splits["train"].paths)


def test_every_digest_follows_content_and_membership_not_time_or_place(data, read, tmp_path):
    draw_classes(data / "train", 4)
    draw_classes(data / "val", 2)
    draw_classes(data / "test", 2)
    before = read()[0].splits["train"].digest
    os.utime(data / "train" / "cat" / "0.png", ns=(0, 0))
    data.rename(tmp_path / "moved")
    assert read(tmp_path / "moved")[0].splits["train"].digest == before
    (tmp_path / "moved" / "train" / "cat" / "0.png").write_bytes(b"other")
    assert read(tmp_path / "moved")[0].splits["train"].digest != before


def test_corrupt_and_empty_files_keep_their_rows(data, read):
    draw_classes(data, 10)
    (data / "cat" / "3.png").write_bytes(b"")
    (data / "dog" / "4.png").write_bytes(b"<html>")
    paths = split_of(read()[0])
    assert len(paths) == 20
    assert {b"cat/3.png", b"dog/4.png"} < set(paths)


def test_a_csv_gives_its_own_split_or_is_split(data, read):
    draw_classes(data, 10)
    lines = [f"{label}/{i}.png,{label}" for label in ("cat", "dog") for i in range(10)]
    (data / "all.csv").write_text("\n".join(["path,label", *lines]))
    assert [len(rows) for rows in read(data / "all.csv")[0].splits.values()] == [14, 3, 3]
    given = [f"{line},{split}" for line, split in zip(lines, ["train", "train", "val", "test"] * 5, strict=True)]
    (data / "given.csv").write_text("\n".join(["path,label,split", *reversed(given)]))
    manifest, notes = read(data / "given.csv")
    assert [len(rows) for rows in manifest.splits.values()] == [10, 5, 5]
    assert all(list(rows.paths) == sorted(rows.paths) for rows in manifest.splits.values())
    assert notes == ()


def publish_dogs(folder: Path, *breeds: str) -> Path:
    """Stanford Dogs' published layout: 20 train and 10 test images a breed."""
    draw_classes(folder / "Images", 30, *breeds)
    (folder / "lists").mkdir()
    for split, numbers in (("train", range(20)), ("test", range(20, 30))):
        cells = np.array([f"{breed}/{i}.png" for breed in breeds for i in numbers], dtype=object).reshape(-1, 1)
        savemat(folder / "lists" / f"{split}_list.mat", {"file_list": cells})
    return folder


def test_stanford_dogs_keeps_its_test_list_and_carves_val_from_train(data, read):
    publish_dogs(data, "n1-Pug", "n2-Shih-Tzu")
    manifest, notes = read()
    assert manifest.classes == ("Pug", "Shih-Tzu")
    assert [len(rows) for rows in manifest.splits.values()] == [34, 6, 20]
    assert {int(path.split(b"/")[2][:-4]) for path in manifest.splits["test"].paths} == set(range(20, 30))
    assert notes[0].startswith("the training images were split with seed 0 into 34 train, 6 val;")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a/1.png", "a/2.png"], r"found one class \(a\)"),
        (["\x1b[2J/1.png", "\x1b[2J/2.png"], r"found one class \(\\x1b\[2J\)"),
        (
            ["Images/a/1.png", "Images/b/2.png"],
            r"found one class \(Images\) .* Did you mean .*/data/Images/\?",
        ),
        (["\x1b[2J/a/1.png", "\x1b[2J/b/2.png"], r"Did you mean .*/data/\\x1b\[2J/\?$"),
        (["a/1.png", "b/2.png"], "found no val image .*too few to split"),
        (
            ["train/a/1.png", "train/b/1.png", "val/c/1.png", "test/a/2.png"],
            "no training image of 1 .* such as c",
        ),
        (["train/a/1.png", "train/b/1.png", "test/B/1.png"], "'B' .test. and 'b' .train. .* differ only in case"),
        (["val/a/1.png", "test/b/1.png"], r"only the split\(s\) test, val; expected train"),
    ],
)
def test_data_that_cannot_be_learnt_from_is_refused(data, read, names, message):
    draw(data, *names)
    with pytest.raises(DataError, match=message):
        read()


def test_images_without_labels_are_all_test_or_in_the_splits_that_are_given(data, read):
    draw(data, "1.png", "2.png")
    manifest, _ = read()
    assert (manifest.task, manifest.classes) == ("unlabelled", ())
    assert {split: rows.labels.tolist() for split, rows in manifest.splits.items()} == {"test": [-1, -1]}
    draw(data.parent / "split", "train/1.png", "test/2.png")
    assert [*read(data.parent / "split")[0].splits] == ["train", "test"]


def test_folds_are_kept_whole_and_nothing_is_dealt(data, read, tmp_path):
    draw(data, *(f"fold_{fold}/{label}/{i}.png" for fold in range(4) for label in "ab" for i in range(2)))
    manifest, notes = read()
    assert {split: len(rows) for split, rows in manifest.splits.items()} == {"train": 8, "val": 4, "test": 4}
    assert all(path.startswith(b"fold_3/") for path in manifest.splits["test"].paths)
    assert manifest.splits["test"].groups is not None
    assert len({*manifest.splits["train"].groups.tolist()}) == 2
    assert not (tmp_path / "cache" / "splits").exists()
    assert any("fold_2 is val, fold_3 is test" in note for note in notes)


def test_one_word_that_names_nothing_lists_what_is_accepted(read):
    with pytest.raises(UsageError, match=r"expected sample, stanford-dogs.*, torchvision:NAME .*<class>/<images>"):
        read("smaple")


@pytest.mark.parametrize("source", ["no/such/folder", "list.csv", "~/no-such-folder"])
def test_a_missing_path_is_a_data_error(read, source):
    with pytest.raises(DataError, match=f"there is no {source}"):
        read(source)


def test_an_empty_name_is_not_the_current_folder(read):
    with pytest.raises(UsageError, match="empty name"):
        read("")


def test_a_file_that_is_no_csv_is_a_usage_error(data, read):
    draw(data, "1.png")
    with pytest.raises(UsageError, match="cannot read"):
        read(data / "1.png")


def test_the_2020_split_is_for_stanford_dogs_only(data, read):
    draw_classes(data)
    for source in (f"{data}:2020", "sample:2020", f"{data}:2019"):
        with pytest.raises(FixgridError, match=r"stanford-dogs\[:2020\]"):
            read(source)


def test_home_and_relative_paths_are_resolved(data, read, tmp_path, monkeypatch):
    draw_classes(data)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(data)
    assert read("~/data")[0].root == read(".")[0].root == str(data)


def test_the_sample_needs_nothing_but_a_cache(read, tmp_path, monkeypatch):
    (tmp_path / "sample" / "Images").mkdir(parents=True)
    for split in ("train", "test"):
        (tmp_path / "sample" / f"{split}_list.mat").touch()
    monkeypatch.chdir(tmp_path)
    manifest, notes = read("sample")
    assert {split: len(rows) for split, rows in manifest.splits.items()} == {
        "train": 1078,
        "val": 360,
        "test": 359,
    }
    assert manifest.classes == tuple("0123456789")
    assert notes == ()


def test_stanford_dogs_downloads_then_reads_its_layout(tmp_path, read, monkeypatch):
    def download(folder: Path, *, progress: object) -> Path:
        return publish_dogs(folder, "n1-pug")

    monkeypatch.setattr(stanford, "download_stanford_dogs", download)
    with pytest.raises(DataError, match=r"one class \(pug\) in stanford-dogs"):
        read("stanford-dogs")
    assert (tmp_path / "cache" / "stanford-dogs" / "Images" / "n1-pug").is_dir()


def test_a_download_without_its_lists_is_no_folder_of_classes(tmp_path, read):
    for part in ("lists", "Images/n1-pug"):
        (tmp_path / "cache" / "stanford-dogs" / part).mkdir(parents=True)
    with pytest.raises(DataError, match=r"found no lists/train_list\.mat .* in .*stanford-dogs; remove it"):
        read("stanford-dogs")


def test_torchvision_is_asked_by_name(read, monkeypatch):
    with pytest.raises(UsageError, match="torchvision:CIFAR10 is not a data set of image files"):
        read("torchvision:CIFAR10")


def test_names_that_another_machine_takes_for_one_are_noted(data, read):
    draw_classes(data, 10)
    draw(
        data,
        "cat/A.png",
        "cat/a.png",
        "cat/caf\u00e9.png",
        "cat/" + unicodedata.normalize("NFD", "caf\u00e9.png"),
    )
    assert any(note.startswith("2 file name(s) differ only in case or Unicode form") for note in read()[1])


def test_equal_files_in_two_splits_or_under_two_labels_are_noted(data, read):
    for split in ("train", "val", "test"):
        draw_classes(data / split, 2, f"{split}-cat", f"{split}-dog")
        (data / split / f"{split}-cat").rename(data / split / "cat")
        (data / split / f"{split}-dog").rename(data / split / "dog")
    (data / "test" / "cat" / "copy.png").write_bytes((data / "train" / "cat" / "0.png").read_bytes())
    (data / "train" / "dog" / "copy.png").write_bytes((data / "train" / "cat" / "1.png").read_bytes())
    assert [note.split(",")[0] for note in read()[1]] == [
        "1 image(s) occur in more than one split",
        "1 image(s) occur under more than one label",
    ]


def test_names_that_are_not_utf8_are_read_and_split(data, read):
    draw_classes(data)
    draw(data, os.fsdecode(b"\xff\xfe/\xff.png"), *(f"\udcff\udcfe/{i}.png" for i in range(9)))
    manifest, _ = read()
    assert manifest.classes == ("\\xff\\xfe", "cat", "dog")
    assert b"\xff\xfe/\xff.png" in split_of(manifest)
    assert split_of(read()[0]) == split_of(manifest)


def test_links_are_followed_only_when_asked(data, read):
    draw_classes(data)
    (data / "cat" / "link.png").symlink_to("0.png")
    manifest, notes = read()
    assert "ignored 1 link(s); --follow-links follows them" in notes
    assert b"cat/link.png" in split_of(read(follow_links=True)[0])
    assert b"cat/link.png" not in split_of(manifest)


def test_the_photographs_of_dogs_are_read_as_their_list_says(shared_data, read):
    manifest, _ = read(shared_data / "dogs")
    assert [len(rows) for rows in manifest.splits.values()] == [900, 237, 360]
    header, *lines = (shared_data / "dogs" / "MANIFEST.tsv").read_text().splitlines()
    path, sha256 = header.split("\t").index("path"), header.split("\t").index("sha256")
    listed = {cells[path].encode(): cells[sha256] for cells in (line.split("\t") for line in lines)}
    found = {
        p: s.tobytes().hex()
        for rows in manifest.splits.values()
        for p, s in zip(rows.paths, rows.sha256, strict=True)
    }
    assert found == listed


def test_importing_it_costs_neither_torch_nor_scikit_learn():
    heavy = {"torch", "torchvision", "sklearn", "scipy", "PIL"}
    code = f"import sys, fixgrid.embed.manifest; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_kept_split_that_leaves_a_class_untrained_is_named_with_the_remedy(tmp_path: Path) -> None:
    write_photos(tmp_path / "data", 20)
    read_manifest(str(tmp_path / "data"), cache_dir=tmp_path / "c")
    [file] = (tmp_path / "c" / "splits").glob("*.csv")
    file.write_text(
        "\n".join(
            line.replace(",train", ",val") if "/a/" in line else line for line in file.read_text().splitlines()
        )
    )
    with pytest.raises(
        DataError, match=f"no training image of 1 .* such as a; .*kept in {file}, or delete that file"
    ):
        read_manifest(str(tmp_path / "data"), cache_dir=tmp_path / "c")
    file.unlink()
    read_manifest(str(tmp_path / "data"), cache_dir=tmp_path / "c")


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([f"a {i}" for i in range(6)], "6 images of 6 classes .such as a 0; --task regression"),
        (["a,p", "a,p", "b,q", "b,q", "b,q", "c,r"], "6 images of 3 classes in 3 groups.*--group-col none"),
    ],
)
def test_what_is_too_few_to_split_is_said_with_its_cause_and_not_with_the_split_just_dealt(
    data, read, cells, words
):
    draw(data, *(f"{i}.png" for i in range(6)))
    head = "path,label,patient" if "," in cells[0] else "path,label"
    table = data / "t.csv"
    table.write_text("\n".join([head, *(f"{i}.png,{cell}" for i, cell in enumerate(cells))]))
    with pytest.raises(DataError, match=words) as caught:
        read(table)
    assert "kept in" not in str(caught.value)
