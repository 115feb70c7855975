"""A dealt split is a stratified partition that does not move when images are added."""

from __future__ import annotations

import csv
import errno
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgrid.cache.errors import DataError, DiskError
from fixgrid.embed import splits
from fixgrid.embed.splits import (
    SHARES,
    choose_shares,
    deal_counts,
    deal_images,
    read_split,
    recall_split,
    write_split,
)

names = st.binary(min_size=1, max_size=6).filter(lambda name: b"\0" not in name)
labelled = st.dictionaries(names, st.sampled_from(["cat", "dog", "eel"]), max_size=60)
shares = st.sampled_from([SHARES, {"train": 60, "val": 20, "test": 20}, {"train": 85, "val": 15}])


def number(n: int, label: str = "cat") -> dict[bytes, str]:
    return {b"%s/%d.png" % (label.encode(), i): label for i in range(n)}


@given(labelled, shares, st.integers(0, 3))
def test_every_image_gets_one_split_within_one_of_its_share_in_every_class(labels, shares, seed):
    dealt = deal_images(labels, shares, seed=seed)
    assert dealt.keys() == labels.keys()
    for label in set(labels.values()):
        counts = Counter(dealt[path] for path in labels if labels[path] == label)
        n = sum(counts.values())
        assert set(counts) <= set(shares)
        assert all(abs(counts[split] - n * share / 100) < 1 for split, share in shares.items())


@given(labelled, labelled, shares)
def test_images_added_later_move_none_and_keep_the_shares(before, added, shares):
    first = deal_images(before, shares, seed=0)
    both = added | before
    second = deal_images(both, shares, seed=0, kept=first)
    assert {path: second[path] for path in before} == first
    for label in set(both.values()):
        counts = Counter(second[path] for path in both if both[path] == label)
        n = sum(counts.values())
        assert all(abs(counts[split] - n * share / 100) < 1 for split, share in shares.items())


@given(labelled, st.randoms())
def test_the_order_in_which_files_are_found_does_not_matter(labels, random):
    shuffled = list(labels.items())
    random.shuffle(shuffled)
    assert deal_images(dict(shuffled), SHARES, seed=0) == deal_images(labels, SHARES, seed=0)


def test_a_seed_changes_who_is_where_and_the_first_split_is_pinned():
    labels = number(8)
    dealt = deal_images(labels, SHARES, seed=0)
    assert dealt != deal_images(labels, SHARES, seed=1)
    assert sorted(path for path, split in dealt.items() if split != "train") == [b"cat/2.png", b"cat/5.png"]


def test_odd_images_of_many_classes_go_to_val_and_test_alike():
    labels = {path: label for i in range(100) for path, label in number(10, f"class{i}").items()}
    counts = Counter(deal_images(labels, SHARES, seed=0).values())
    assert counts == {"train": 700, "val": 150, "test": 150}


def test_removed_images_are_forgotten():
    first = deal_images(number(10), SHARES, seed=0)
    second = deal_images(number(5), SHARES, seed=0, kept=first)
    assert second == {path: first[path] for path in number(5)}


def test_fixed_counts_fill_each_class_in_order_and_leave_the_rest():
    labels = number(150) | number(140, "dog")
    dealt = deal_counts(labels, {"train": 102, "val": 35}, "test", seed=0)
    for label, n in (("cat", 150), ("dog", 140)):
        counts = Counter(dealt[path] for path in labels if labels[path] == label)
        assert counts == {"train": 102, "val": 35, "test": n - 137}
    assert dealt != deal_counts(labels, {"train": 102, "val": 35}, "test", seed=1)


@pytest.mark.parametrize(
    ("given_splits", "expected"),
    [
        ([], {"train": 70, "val": 15, "test": 15}),
        (["train", "test"], {"train": 85, "val": 15}),
        (["train", "val"], {"train": 85, "test": 15}),
        (["train"], {"train": 70, "val": 15, "test": 15}),
        (["train", "val", "test"], {"train": 100}),
    ],
)
def test_only_missing_splits_take_from_train(given_splits, expected):
    assert choose_shares(given_splits) == expected


@settings(deadline=None)  # every example is synced to disk
@given(st.dictionaries(names, st.sampled_from(["train", "val", "test"]), max_size=20))
def test_any_file_name_survives_the_csv(tmp_path_factory, dealt):
    file = tmp_path_factory.mktemp("splits") / "split.csv"
    write_split(file, dealt)
    assert read_split(file) == dealt


def test_no_cell_of_the_csv_starts_like_a_formula(tmp_path):
    write_split(tmp_path / "split.csv", {b"=cmd()/a.png": "train", b"@x/b.png": "val"})
    with open(tmp_path / "split.csv", newline="") as stream:
        cells = [cell for line in csv.reader(stream) for cell in line]
    assert not any(cell[0] in "=+-@\t\r" for cell in cells)


def recall(labels: dict[bytes, str], tmp_path: Path, root: bytes = b"/data", seed: int = 0):
    return recall_split(labels, SHARES, seed=seed, root=root, folder=tmp_path / "splits")


def test_a_saved_split_is_used_again_even_when_edited(tmp_path):
    first, file = recall(number(10), tmp_path)
    moved = next(path for path in first if first[path] == "test")
    write_split(file, first | {moved: "train"})
    second, again = recall(number(10), tmp_path)
    assert again == file
    assert second == first | {moved: "train"}


def test_a_saved_split_needs_no_second_write(tmp_path, monkeypatch):
    first = recall(number(10), tmp_path)
    monkeypatch.setattr(splits, "commit_bytes", None)
    assert recall(number(10), tmp_path) == first


def test_a_root_whose_images_changed_keeps_its_latest_split(tmp_path):
    first, file = recall(number(10), tmp_path)
    edited = first | dict.fromkeys(list(first)[:4], "train")
    write_split(file, edited)
    second, grown = recall(number(14), tmp_path)
    assert grown != file
    assert {path: second[path] for path in first} == edited


def test_a_moved_folder_finds_its_split_again(tmp_path):
    first, file = recall(number(10), tmp_path)
    edited = first | dict.fromkeys(list(first)[:4], "train")
    write_split(file, edited)
    assert recall(number(10), tmp_path, root=b"/moved")[0] == edited
    assert recall(number(10), tmp_path, root=b"/moved", seed=1)[0] != edited


def test_an_edit_that_is_no_split_is_named_with_its_line(tmp_path):
    _, file = recall(number(10), tmp_path)
    file.write_text(file.read_text().replace(",val", ",vla", 1))
    line = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if "vla" in text)
    with pytest.raises(DataError, match=f"line {line} of {file}"):
        recall(number(10), tmp_path)


def test_a_split_that_cannot_be_saved_is_an_error(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DiskError):
        recall(number(10), tmp_path)
