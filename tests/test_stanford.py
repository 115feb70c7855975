"""Stanford Dogs keeps its official split, by its lists; it is downloaded once."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from fixgrid.cache.errors import DataError
from fixgrid.embed.sources import stanford
from fixgrid.embed.sources.source import Image
from fixgrid.embed.sources.stanford import find_stanford_lists, list_stanford, name_breeds


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
    monkeypatch.setattr(stanford, "walk_images", lambda *_, **__: ([], {}))
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
