"""Torchvision's data sets keep their official splits, classes and files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torchvision

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.embed.sources.source import Image
from fixgrid.embed.sources.torchvision import TORCHVISION, list_torchvision


class FakePets:
    """As torchvision's Oxford-IIIT Pet: ``trainval`` and ``test``, downloaded on demand."""

    classes = ("Beagle", "Pug")
    downloads = 0
    fails = False

    def __init__(self, root: str | Path, split: str = "trainval", download: bool = False) -> None:
        if split not in ("trainval", "test"):
            raise ValueError(f"unknown split {split}")
        folder = Path(root) / "pets" / "images"
        if download and not folder.is_dir():
            type(self).downloads += 1
            folder.mkdir(parents=True)
            for i in range(4):
                (folder / f"{i}.jpg").touch()
                if self.fails:
                    raise OSError("connection reset")
        if not folder.is_dir():
            raise RuntimeError("Dataset not found")
        print("Files already downloaded")
        numbers = range(3) if split == "trainval" else range(3, 4)
        self._images = [folder / f"{i}.jpg" for i in numbers]
        self._labels = [i % 2 for i in numbers]


@pytest.fixture
def pets(monkeypatch: pytest.MonkeyPatch) -> type[FakePets]:
    monkeypatch.setattr(torchvision.datasets, "OxfordIIITPet", FakePets)
    monkeypatch.setattr(FakePets, "downloads", 0)
    return FakePets


def test_torchvisions_files_labels_and_splits_are_taken_over(pets, tmp_path, capsys):
    listing = list_torchvision("OxfordIIITPet", tmp_path)
    assert listing.root == os.fsencode(tmp_path / "OxfordIIITPet")
    assert listing.classes == ("Beagle", "Pug")
    assert listing.images == [
        Image(b"pets/images/0.jpg", "Beagle", "train"),
        Image(b"pets/images/1.jpg", "Pug", "train"),
        Image(b"pets/images/2.jpg", "Beagle", "train"),
        Image(b"pets/images/3.jpg", "Pug", "test"),
    ]
    assert capsys.readouterr().out == ""
    assert list_torchvision("OxfordIIITPet", tmp_path) == listing
    assert pets.downloads == 1


def test_a_half_unpacked_download_is_never_used(pets, tmp_path, monkeypatch):
    monkeypatch.setattr(pets, "fails", True)
    with pytest.raises(DataError, match="could not provide OxfordIIITPet: connection reset"):
        list_torchvision("OxfordIIITPet", tmp_path)
    monkeypatch.setattr(pets, "fails", False)
    archive = tmp_path / "OxfordIIITPet.part" / "pets" / "images.tar.gz"
    archive.touch()
    listing = list_torchvision("OxfordIIITPet", tmp_path)
    assert all(os.path.exists(os.path.join(listing.root, image.path)) for image in listing.images)
    assert (tmp_path / "OxfordIIITPet" / "pets" / "images.tar.gz").exists()


@pytest.mark.parametrize("name", ["CIFAR10", "MNIST", "NoSuchThing", "", "datasets.utils"])
def test_a_data_set_without_image_files_is_refused_before_any_download(name, tmp_path):
    with pytest.raises(UsageError, match="expected one of Flowers102"):
        list_torchvision(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_offered_data_set_is_one_of_torchvisions():
    for name in TORCHVISION:
        assert hasattr(torchvision.datasets, name)


class FakeFolders:
    """As torchvision's EuroSAT: an ImageFolder without official splits."""

    suffix = ".jpg"
    classes = (("tench", "Tinca tinca"), "crane", "crane")

    def __init__(self, root: str | Path, download: bool = False) -> None:
        self.samples = [(f"{root}/{label}{self.suffix}", label) for label in range(3)]


def test_a_data_set_without_splits_gives_none_and_its_class_names_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "EuroSAT", FakeFolders)
    listing = list_torchvision("EuroSAT", tmp_path)
    assert listing.classes == ("tench, Tinca tinca", "crane (1)", "crane (2)")
    assert {image.split for image in listing.images} == {""}


def test_samples_that_are_no_image_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "EuroSAT", FakeFolders)
    monkeypatch.setattr(FakeFolders, "suffix", ".npy")
    with pytest.raises(DataError, match="holds no image files"):
        list_torchvision("EuroSAT", tmp_path)
