"""Stanford Dogs keeps its official split, by its lists; it is downloaded once."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from stub import SilentWatcher
from zoo import draw_photo, encode

from fixgrid.cache.datasets import find_source, name_here
from fixgrid.cache.errors import DataError
from fixgrid.cache.hints import say_extract
from fixgrid.cache.rowsfile import write_manifest
from fixgrid.cache.store import FeatureStore
from fixgrid.embed.changes import Changes, find_changes
from fixgrid.embed.manifest import read_manifest
from fixgrid.embed.sources import stanford
from fixgrid.embed.sources.source import Image
from fixgrid.embed.sources.stanford import find_stanford_lists, list_stanford, name_breeds
from fixgrid.embed.sources.walk import Walk
from fixgrid.requests import Request
from fixgrid.sourcing import read_data


def write_list(file: Path, names: list[str]) -> None:
    file.parent.mkdir(exist_ok=True)
    cells = np.empty((len(names), 1), dtype=object)
    cells[:, 0] = names
    savemat(file, {"file_list": cells, "labels": np.ones((len(names), 1))})


@pytest.fixture
def dogs(tmp_path: Path) -> Path:
    """Two breeds, 4 train and 2 test images each, one image in neither list."""
    for folder in ("n02-Shih-Tzu", "n01-Chihuahua"):
        (tmp_path / "Images" / folder).mkdir(parents=True)
        for number in range(6):
            (tmp_path / "Images" / folder / f"{number}.jpg").touch()
    (tmp_path / "Images" / "n02-Shih-Tzu" / "unlisted.jpg").touch()
    for split, numbers in (("train", range(4)), ("test", range(4, 6))):
        names = [f"{folder}/{i}.jpg" for folder in ("n01-Chihuahua", "n02-Shih-Tzu") for i in numbers]
        write_list(tmp_path / "lists" / f"{split}_list.mat", names)
    return tmp_path


def test_the_official_split_and_the_breeds_are_read(dogs):
    listing = list_stanford(dogs, dogs / "lists")
    assert listing.classes == ("Chihuahua", "Shih-Tzu")
    assert listing.images[5] == Image(b"Images/n02-Shih-Tzu/1.jpg", "Shih-Tzu", "train")
    counts = Counter((image.label, image.split) for image in listing.images)
    assert counts == {(breed, s): n for breed in listing.classes for s, n in (("train", 4), ("test", 2))}
    assert listing.notes == ("ignored 1 image(s) that neither list names",)


def test_lists_are_found_in_their_folder_or_beside_the_images(dogs):
    assert find_stanford_lists(dogs) == dogs / "lists"
    for file in (dogs / "lists").iterdir():
        shutil.move(file, dogs)
    assert find_stanford_lists(dogs) == dogs
    (dogs / "test_list.mat").unlink()
    assert find_stanford_lists(dogs) is None


def test_breeds_that_the_folder_names_do_not_tell_apart_keep_the_whole_name():
    assert name_breeds([b"n1-Shih-Tzu", b"n2-Pug"]) == ("Shih-Tzu", "Pug")
    assert name_breeds([b"n1-Pug", b"n2-Pug"]) == ("n1-Pug", "n2-Pug")
    assert name_breeds([b"pug", b"n2-Pug"]) == ("pug", "n2-Pug")


def test_the_2020_split_deals_all_images_anew(dogs, monkeypatch):
    monkeypatch.setattr(stanford, "STANFORD_2020", {"train": 3, "val": 1})
    listing = list_stanford(dogs, dogs / "lists", split="2020")
    counts = Counter((image.label, image.split) for image in listing.images)
    sizes = {"train": 3, "val": 1, "test": 2}
    assert counts == {(breed, split): n for breed in listing.classes for split, n in sizes.items()}


@pytest.fixture
def published(dogs: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same with pictures, in a folder beside which an experiment runs."""
    folder = tmp_path_factory.mktemp("work")
    for i, file in enumerate(sorted((dogs / "Images").rglob("*.jpg"))):
        file.write_bytes(encode(draw_photo(24, 20, i)))
    shutil.copytree(dogs, folder / "dogs")
    monkeypatch.setattr(stanford, "STANFORD_2020", {"train": 3, "val": 1})
    monkeypatch.chdir(folder)
    return folder


def test_a_name_asks_for_the_split_behind_a_colon(published):
    cache = published / "c"
    official, dealt = (read_manifest(name, cache_dir=cache)[0] for name in ("dogs", "dogs:2020"))
    assert {split: len(rows) for split, rows in dealt.splits.items()} == {"train": 6, "val": 2, "test": 4}
    assert official.splits["test"].digest != dealt.splits["test"].digest
    assert (dealt.source, dealt.options) == ("dogs:2020", ())
    (published / "dogs:2020").symlink_to("dogs")  # a folder that is called so is that folder
    assert read_manifest("dogs:2020", cache_dir=cache)[0].splits["test"].digest == official.splits["test"].digest


def test_both_splits_of_a_folder_are_found_in_one_cache_from_anywhere(published, monkeypatch):
    store = FeatureStore(published / "c")
    made = {name: read_manifest(name, cache_dir=store.root)[0] for name in ("dogs:2020", "dogs")}
    for manifest in made.values():
        write_manifest(store.folder / "data", manifest)
    monkeypatch.chdir(published.parent)
    for name, manifest in made.items():
        found, known = find_source(store, f"{published}/{name}")
        assert found.splits["test"].digest == manifest.splits["test"].digest
        assert name_here(found) == f"{published}/{name}"
        assert len(known) == 2
        assert find_changes(found, store.root) == Changes()


def test_a_data_set_recorded_with_the_split_as_an_option_is_found_under_both_names(published):
    store = FeatureStore(published / "c")
    manifest = read_manifest("dogs:2020", cache_dir=store.root, seed=1)[0]
    old = replace(manifest, source="dogs", options=("--seed", "1", "--split", "2020"))
    write_manifest(store.folder / "data", old)
    for name in ("dogs:2020", "dogs"):
        found, _ = find_source(store, name)
        assert (found.source, found.options) == ("dogs:2020", ("--seed", "1"))
        assert "--data dogs:2020 --res 24 --seed 1" in say_extract(found, store.root, ["--res", "24"])
        assert find_changes(found, store.root) == Changes()


def test_the_split_as_an_option_is_taken_and_told_as_typed_now(published):
    watcher = SilentWatcher()
    asked = {"cache": published / "c", "watcher": watcher}
    assert read_data(Request("dogs", split="2020", **asked)).name == "dogs:2020"
    assert watcher.notices[0].startswith("note: --split is part of the data's name now: --data dogs:2020")
    assert read_data(Request("dogs", split="official", **asked)).name == "dogs"


def test_a_listed_image_that_is_missing_is_named(dogs):
    (dogs / "Images" / "n01-Chihuahua" / "3.jpg").unlink()
    with pytest.raises(DataError, match=r"train_list\.mat names Images/n01-Chihuahua/3\.jpg, which is not there"):
        list_stanford(dogs, dogs / "lists")


def test_an_image_in_both_lists_is_named(dogs):
    shutil.copy(dogs / "lists" / "train_list.mat", dogs / "lists" / "test_list.mat")
    with pytest.raises(DataError, match=r"names Images/n01-Chihuahua/0\.jpg a second time"):
        list_stanford(dogs, dogs / "lists")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "../evil.jpg", "n01-Chihuahua", "a//b"])
def test_a_list_cannot_name_files_elsewhere(dogs, name):
    write_list(dogs / "lists" / "test_list.mat", [name])
    with pytest.raises(DataError, match="expected <folder>/<name>"):
        list_stanford(dogs, dogs / "lists")


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "other"])
def test_a_damaged_list_is_named(dogs, damage):
    file = dogs / "lists" / "train_list.mat"
    if damage == "other":
        savemat(file, {"something": 1})
    else:
        file.write_bytes({"empty": b"", "text": b"train" * 100, "cut": file.read_bytes()[:300]}[damage])
    with pytest.raises(DataError, match=r"train_list\.mat as a list of Stanford Dogs"):
        list_stanford(dogs, dogs / "lists")


@pytest.fixture
def all_dogs(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published lists, their 20,580 images taken to be there."""
    (tmp_path / "lists").mkdir()
    for split in ("train", "test"):
        source = shared_data / "stanford_lists" / f"{split}_list.reconstructed.mat"
        shutil.copy(source, tmp_path / "lists" / f"{split}_list.mat")
    monkeypatch.setattr(stanford, "check_file", lambda *_, **__: None)
    monkeypatch.setattr(stanford, "walk_images", lambda *_, **__: Walk([], [], []))
    return tmp_path


def test_the_published_lists_give_12000_and_8580_images_of_120_breeds(all_dogs):
    listing = list_stanford(all_dogs, all_dogs / "lists")
    assert Counter(image.split for image in listing.images) == {"train": 12_000, "test": 8_580}
    assert len(listing.classes) == 120
    assert listing.classes[:2] == ("Chihuahua", "Japanese_spaniel")
    assert "Shih-Tzu" in listing.classes
    assert listing.notes == ()


def test_the_2020_split_has_its_proportions_in_every_breed(all_dogs):
    listing = list_stanford(all_dogs, all_dogs / "lists", split="2020")
    assert Counter(image.split for image in listing.images) == {"train": 12_240, "val": 4_200, "test": 4_140}
    counts = Counter((image.label, image.split) for image in listing.images)
    assert {counts[breed, "train"] for breed in listing.classes} == {102}
    assert {counts[breed, "val"] for breed in listing.classes} == {35}
    other = list_stanford(all_dogs, all_dogs / "lists", split="2020", seed=1)
    assert other.images != listing.images
