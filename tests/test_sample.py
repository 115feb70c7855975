"""The built-in sample is scikit-learn's digits, whole or absent, split the same everywhere."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from fixgrid.cache.errors import DiskError
from fixgrid.embed.sources import sample
from fixgrid.embed.sources.folder import list_folder


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample.write_sample(tmp_path_factory.mktemp("sample"))


def test_all_1797_digits_are_there_in_a_stratified_split(digits):
    images = list_folder(digits).images
    assert Counter(image.split for image in images) == {"train": 1078, "val": 360, "test": 359}
    per_class = Counter((image.label, image.split) for image in images)
    for label, n in enumerate(np.bincount(load_digits().target)):
        for split, share in sample.SHARES.items():
            assert abs(per_class[str(label), split] - n * share / 100) < 1


def test_a_file_holds_the_digit_of_its_number_and_class(digits):
    data = load_digits()
    for file in list(digits.glob("*/*/*.png"))[::100]:
        number = int(file.stem)
        assert file.parent.name == str(data.target[number])
        with Image.open(file) as image:
            assert (image.mode, image.size) == ("L", (32, 32))
            small = np.asarray(image.resize((8, 8), Image.Resampling.BOX), dtype=float)
        distances = np.abs(data.images * 255 / 16 - small).sum(axis=(1, 2))
        assert distances.argmin() == number


def test_the_split_is_the_same_on_every_machine(digits):
    assert sorted(file.name for file in (digits / "test" / "0").iterdir())[:4] == [
        "0000.png",
        "0079.png",
        "0126.png",
        "0150.png",
    ]


def test_a_second_call_writes_nothing(digits, monkeypatch):
    monkeypatch.setattr(sample, "_write_digits", None)
    assert sample.write_sample(digits.parent) == digits


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "half.png").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(sample, "_write_digits", interrupt)
    with pytest.raises(KeyboardInterrupt):
        sample.write_sample(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_process_that_was_faster_wins(tmp_path, monkeypatch):
    def write_late(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "late.png").touch()
        (tmp_path / "digits").mkdir()
        (tmp_path / "digits" / "early.png").touch()

    monkeypatch.setattr(sample, "_write_digits", write_late)
    assert [file.name for file in sample.write_sample(tmp_path).iterdir()] == ["early.png"]
    assert os.listdir(tmp_path) == ["digits"]


def test_a_full_disk_is_a_disk_error(tmp_path, monkeypatch):
    def refuse(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sample, "_write_digits", refuse)
    with pytest.raises(DiskError, match="No space left"):
        sample.write_sample(tmp_path)
