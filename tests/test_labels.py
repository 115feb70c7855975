"""What trunks are called, and how two of one name are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from entries import fill_entry, make_rows

from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.labels import Labels, Name, Version, find_version, record_name
from fixgrid.cache.store import FeatureStore

A, B = "a1b2c3d499" * 6 + "ffff", "a1b2c3d4e5" * 6 + "ffff"


def name_versions(*named: tuple[Version, str, str], store: FeatureStore | None = None) -> Labels:
    """Labels of versions, each called by the user (or not) and by its library."""
    labels = Labels(store or FeatureStore(Path("nowhere")), [])
    for version, called, trunk in named:
        labels.names.setdefault(version, set()).add(Name(called, trunk))
    return labels


def make_version(
    digest: str, precision: str = "fp32", dtype: str = "float32", architecture: str = "timm:x"
) -> Version:
    return Version(architecture, digest * 64 if len(digest) == 1 else digest, precision, dtype)


@pytest.mark.parametrize(
    ("versions", "labels"),
    [
        ([make_version("1")], ["x"]),
        ([make_version("1"), make_version("2")], ["x@11111111", "x@22222222"]),
        ([make_version("1"), make_version("1", "bf16")], ["x@bf16", "x@fp32"]),
        ([make_version("1"), make_version("1", dtype="float16")], ["x@float16", "x@float32"]),
        (
            [make_version("1"), make_version("2"), make_version("2", "bf16")],
            ["x@11111111", "x@22222222@fp32", "x@bf16"],
        ),
        ([make_version(A), make_version(B)], [f"x@{A}@fp32@float32", f"x@{B}@fp32@float32"]),
        (
            [make_version("1", architecture=f"module:x@{letter * 16}") for letter in "ab"],
            ["x@aaaaaaaa", "x@bbbbbbbb"],
        ),
    ],
)
def test_labels_are_the_shortest_that_tell_versions_apart_and_each_is_found(
    versions: list[Version], labels: list[str]
) -> None:
    known = name_versions(*((version, "", "x") for version in versions))
    assert sorted(known.list_all()) == labels
    for label, version in known.list_all().items():
        assert known.choose(label) == version


def test_a_name_that_was_given_counts_before_a_librarys() -> None:
    published, tuned, other = make_version("1"), make_version("2"), make_version("3")
    labels = name_versions((published, "", "x"), (tuned, "mine", "x"), (other, "theirs", "y"))
    assert list(labels.list_all()) == ["mine", "theirs", "x"]
    assert (labels.choose("x"), labels.choose("mine"), labels.choose("y")) == (published, tuned, other)
    assert labels.choose("x@2222") == labels.choose("mine@fp32") == tuned


def test_names_may_hold_an_at_sign() -> None:
    labels = name_versions((make_version("1"), "", "hub:x@main"), (make_version("2"), "", "hub:x@main"))
    assert labels.choose("hub:x@main@2222") == make_version("2")


@pytest.mark.parametrize("wanted", ["x@111", "x@9999", "x@fp16", "y", "@1111", ""])
def test_what_is_no_label_is_refused_with_those_that_are(wanted: str) -> None:
    labels = name_versions((make_version("1"), "", "x"), (make_version("2"), "", "x"))
    with pytest.raises(CacheError, match="x@11111111, x@22222222"):
        labels.choose(wanted)


def test_what_means_several_is_refused_with_their_labels_alone() -> None:
    labels = name_versions((make_version("1"), "", "x"), (make_version("2"), "", "x"), (make_version("3"), "", "y"))
    with pytest.raises(UsageError, match=r"2 trunks called x \(x@11111111, x@22222222\): choose with --trunk"):
        labels.choose("x")
    with pytest.raises(UsageError, match=r"more than one trunk \(x@11111111, x@22222222, y\)"):
        labels.choose(None)


def test_every_name_that_a_trunk_was_given_finds_it(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    sealed = fill_entry(store, make_rows(8)).open()
    version = find_version(sealed.spec)
    for called in ("one", "two"):
        record_name(store, version, Name(called, "stub"))
    record_name(store, make_version("9"), Name("gone", "stub"))  # its features were removed
    (tmp_path / "v1" / "names" / "damaged.json").write_text("{")
    labels = Labels(store, [sealed])
    assert list(labels.list_all()) == ["one"]
    assert {labels.choose(name) for name in ("stub", "one", "two", "two@0000")} == {version}
    assert (labels.label(version, "two"), labels.label(version, "stub")) == ("two", "stub")
