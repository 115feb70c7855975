"""A dealt split is a stratified partition that does not move when images are added."""

from __future__ import annotations

import csv
import errno
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fixgrid.cache.errors import DataError, DiskError
from fixgrid.embed import splits
from fixgrid.embed.dealing import SHARES, choose_shares, deal_counts, deal_images, find_parted
from fixgrid.embed.splits import read_split, recall_split, write_split

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
    monkeypatch.setattr(splits, "commit_stream", None)
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


def write_as_before(
    labels: dict[bytes, str], tmp_path: Path, root: bytes = b"/data"
) -> tuple[dict[bytes, str], Path]:
    """A split as earlier versions kept it: under a name that tells no labels, and alone."""
    dealt, file = recall(labels, tmp_path, root)
    file.with_suffix(".labels.json").unlink()
    return dealt, file.rename(file.with_name(file.name[:33] + ".csv"))


def relabel(labels: dict[bytes, str], n: int) -> dict[bytes, str]:
    """Every n-th image is red, the others are grey."""
    return {path: "grey" if i % n else "red" for i, path in enumerate(sorted(labels))}


BOTH = number(20) | number(20, "dog")


def is_within_one(dealt: dict[bytes, str], labels: dict[bytes, str]) -> bool:
    counts, total = Counter((labels[path], dealt[path]) for path in dealt), Counter(labels.values())
    near = all(abs(counts[a, b] - n * SHARES[b] / 100) < 1 for a, n in total.items() for b in SHARES)
    return near and all(counts[label, "train"] for label in total)


@pytest.mark.parametrize("before", [False, True], ids=["now", "by an earlier version"])
@pytest.mark.parametrize("n", [5, 8, 20, 40])
def test_other_labels_of_the_same_images_get_a_split_and_a_file_of_their_own(tmp_path, before, n):
    first, file = (write_as_before if before else recall)(BOTH, tmp_path)
    red = sorted(path for path in first if first[path] != "train")[: 40 // n]
    other = {path: "red" if path in red else "grey" for path in BOTH}
    second, mine = recall(other, tmp_path)
    assert mine != file
    assert is_within_one(second, other)
    assert "train" in {second[path] for path in red}
    assert (recall(BOTH, tmp_path), recall(other, tmp_path)) == ((first, file), (second, mine))


def test_classes_that_are_renamed_keep_the_split_and_its_file(tmp_path):
    first, file = recall(BOTH, tmp_path)
    write_split(file, first | dict.fromkeys(sorted(first)[:6], "train"))
    renamed = {path: {"cat": "z", "dog": "a"}[label] for path, label in BOTH.items()}
    assert recall(renamed, tmp_path) == recall(BOTH, tmp_path)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_a_class_of_few_images_always_trains(tmp_path, n):
    labels = number(20) | number(n, "dog")
    assert "train" in {split for path, split in recall(labels, tmp_path)[0].items() if labels[path] == "dog"}


@given(labelled, st.lists(st.sampled_from(["x", "y", "z"]), min_size=60, max_size=60))
def test_what_is_kept_for_one_labelling_suits_another_only_if_it_is_as_stratified(labels, names):
    other = dict(zip(sorted(labels), names, strict=False))
    kept = deal_images(labels, SHARES, seed=0)
    suited = splits.suits(kept, labels, other, SHARES, seed=0) if labels else True
    assert suited == (is_within_one(kept, other) or splits.has_same_classes(labels, other))


def test_classes_that_are_merged_and_parted_again_keep_the_first_split(tmp_path):
    labels = {path: str(i % 7) for i, path in enumerate(sorted(BOTH))}
    first = recall(labels, tmp_path)
    merged = {path: "few" if label in "0123" else label for path, label in labels.items()}
    second, file = recall(merged, tmp_path)
    assert is_within_one(second, merged)
    assert file != first[1]
    assert recall(labels, tmp_path) == first


def test_a_split_kept_by_an_earlier_version_is_found_under_its_name_even_when_edited(tmp_path):
    first, file = write_as_before(BOTH, tmp_path)
    assert recall(BOTH, tmp_path) == (first, file)
    edited = first | dict.fromkeys([path for path in sorted(first) if first[path] == "test"][:5], "train")
    assert not is_within_one(edited, BOTH)
    write_split(file, edited)
    assert recall(BOTH, tmp_path) == (edited, file)
    assert recall(BOTH, tmp_path, root=b"/moved")[0] == edited
    more, fewer = BOTH | number(3, "eel"), number(20) | number(15, "dog")
    for changed in (more, fewer):
        found, _ = recall(changed, tmp_path)
        assert all(found[path] == edited[path] for path in changed if path in edited)


def test_images_that_come_and_go_move_none_of_an_edited_split_but_other_labels_do(tmp_path):
    first, file = recall(BOTH, tmp_path)
    edited = first | dict.fromkeys(sorted(first)[:30], "train")
    write_split(file, edited)
    changed = {path: label for path, label in BOTH.items() if path != b"dog/3.png"} | number(22)
    found, _ = recall(changed, tmp_path)
    assert all(found[path] == edited[path] for path in changed if path in edited)
    other = relabel(changed, 6)
    assert is_within_one(recall(other, tmp_path)[0], other)


grouped = st.dictionaries(
    names, st.tuples(st.sampled_from("ab"), st.sampled_from("uvwxyz")), min_size=1, max_size=60
)


@given(grouped, shares, st.integers(0, 3))
def test_no_group_is_ever_parted_whatever_comes_later(images, shares, seed):
    labels, groups = ({path: both[i] for path, both in images.items()} for i in (0, 1))
    assume(len(set(groups.values())) >= len(shares))
    first = {path: labels[path] for path in sorted(labels)[::2]}
    assume(len({groups[path] for path in first}) >= len(shares))
    dealt = deal_images(first, shares, seed=seed, groups=groups)
    grown = deal_images(labels, shares, seed=seed, groups=groups, kept=dealt)
    assert not find_parted(grown, groups)
    assert {path: grown[path] for path in dealt} == dealt


def test_groups_are_dealt_near_their_shares_in_every_class():
    groups = {b"%d.png" % i: f"patient {i // 4}" for i in range(800)}
    labels = {path: "sick" if int(group.split()[1]) % 4 == 0 else "well" for path, group in groups.items()}
    dealt = deal_images(labels, SHARES, seed=0, groups=groups)
    for label in ("sick", "well"):
        count = Counter(dealt[path] for path in labels if labels[path] == label)
        assert all(abs(100 * count[split] / sum(count.values()) - share) < 3 for split, share in SHARES.items())


def test_a_split_kept_without_groups_is_dealt_anew_where_it_parts_one(tmp_path):
    labels = number(40)
    groups = {path: f"{i // 4}" for i, path in enumerate(labels)}
    plain, first = recall_split(labels, SHARES, seed=0, root=b"/r", folder=tmp_path)
    whole, second = recall_split(labels, SHARES, seed=0, root=b"/r", folder=tmp_path, groups=groups)
    assert find_parted(plain, groups)
    assert not find_parted(whole, groups)
    assert first != second
    assert recall_split(labels, SHARES, seed=0, root=b"/r", folder=tmp_path, groups=groups) == (whole, second)


def test_a_kept_split_edited_to_part_a_group_is_refused(tmp_path):
    labels = number(40)
    groups = {path: f"{i // 4}" for i, path in enumerate(labels)}
    dealt, file = recall_split(labels, SHARES, seed=0, root=b"/r", folder=tmp_path, groups=groups)
    path = next(path for path in dealt if dealt[path] == "train")
    write_split(file, {**dealt, path: "test"})
    with pytest.raises(DataError, match=f"the group {groups[path]} in several splits of"):
        recall_split(labels, SHARES, seed=0, root=b"/r", folder=tmp_path, groups=groups)


def test_fewer_groups_than_splits_are_refused():
    labels = number(9)
    with pytest.raises(DataError, match="found 2 groups to deal to train, val, test"):
        deal_images(labels, SHARES, seed=0, groups={path: "ab"[i % 2] for i, path in enumerate(labels)})
