"""Text for people: paths that fit, and still tell files apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixgrid.cache.text import (
    WIDTH,
    format_records,
    join_names,
    shorten_names,
    shorten_path,
    shorten_paths,
    show_path,
    show_text,
    write_path,
)


def test_a_path_loses_its_first_folders_whole() -> None:
    path = "photos/train/n02085620-Chihuahua/n02085620_11337.jpg"
    assert shorten_path(path, 52) == path
    assert shorten_path(path, 51) == "…/train/n02085620-Chihuahua/n02085620_11337.jpg"
    assert shorten_path(path, 30) == "…/n02085620_11337.jpg"
    assert shorten_path(path, 10) == "…11337.jpg"


def test_a_file_is_named_even_where_its_folder_ends_with_a_slash() -> None:
    assert shorten_path("a" * 20 + "/", 8) == "…aaaaaa/"


def test_paths_of_one_end_are_told_apart_by_what_differs_before_it() -> None:
    ends = "/a/very/long/way/to/the/picture-000001.jpg"
    assert shorten_paths([f"cats{ends}", f"dogs{ends}"], 24) == ["cat…0001.jpg", "dog…0001.jpg"]
    same = [f"cats{ends}"] * 2
    assert shorten_paths(same, 24) == ["…/the/picture-000001.jpg"] * 2


@given(st.lists(st.text("ab/", min_size=1, max_size=60), unique=True), st.integers(1, 60))
def test_no_path_is_wider_than_its_room(paths: list[str], width: int) -> None:
    short = shorten_paths(paths, width)
    assert all(len(text) <= max(width, 2) for text in short)
    assert all(text == path for path, text in zip(paths, short, strict=True) if len(path) <= width)


@given(st.text("ab/", max_size=20), st.text("ab/", max_size=20), st.text("ab/", max_size=80))
def test_two_paths_that_differ_in_one_place_never_look_alike(one: str, other: str, end: str) -> None:
    pair = [f"{one}x{end}", f"{other}y{end}"]
    assert len(set(shorten_paths(pair, 24))) == 2


def test_names_of_one_begin_and_end_show_where_they_differ() -> None:
    poodles = ["n02113712-miniature_poodle", "n02113799-standard_poodle"]
    assert shorten_names([*poodles, "n02085620-Chihuahua"], 11) == ["n02…12-…dle", "n02…99-…dle", "n0208…uahua"]
    assert shorten_names(poodles[:1] * 2, 11) == ["n0211…oodle"] * 2


@given(st.lists(st.text("ab…", max_size=40), unique=True, max_size=30), st.integers(4, 30))
def test_different_names_are_never_shown_alike(names: list[str], width: int) -> None:
    short = shorten_names(names, width)
    assert len(set(short)) == len(names)
    assert all(len(text) <= width for text in short)


LONG = [{"path": f"photos/{'long/' * 12}{i}.png", "kind": "x" * 40, "name": "y" * 36, "n": i} for i in (1, 2)]


def fit(**how: object) -> list[str]:
    return format_records(LONG, "table", **how).splitlines()


def test_shortened_fields_share_what_the_others_leave() -> None:
    lines = fit(shortened={"path": shorten_paths, "kind": shorten_names, "name": shorten_names})
    assert WIDTH - 6 < max(map(len, lines)) <= WIDTH
    assert [line.split()[0][-5:] for line in lines[2:]] == ["1.png", "2.png"]
    assert "…" in format_records(LONG, "table", shortened={"path": shorten_paths})
    assert format_records(LONG, "md", shortened={"path": shorten_paths}) == format_records(LONG, "md")


def test_spare_fields_go_before_others_become_narrow_and_are_named_in_order() -> None:
    lines = fit(shortened={"path": shorten_paths, "kind": shorten_names}, spare=["kind", "name", "n"])
    assert lines[0].split() == ["path", "name", "n"]
    assert lines[-1] == "Not shown for want of room: kind; the other formats have them."
    lines = fit(spare=["name", "kind"])
    assert (lines[0].split(), lines[-1][28:38]) == (["path", "n"], "kind, name")


def test_a_name_that_must_be_broken_is_so_after_a_mark() -> None:
    name = "dogs-timm:vit_small.lvd142m-" * 5
    first, second = format_records([{"name": name}], "table", broken=["name"]).splitlines()[2:]
    assert first.endswith(("-", ":", "_", "."))
    assert first + second == name


@pytest.mark.parametrize(
    "text",
    [
        "n02109961-Eskimo_dog 94.6%",
        "a-kind-of_the_dogs -1.25e-3",
        "ab 1,234,567,890,123,456.5",
        "dog 0123456789012345678901",
    ],
)
def test_no_line_breaks_inside_a_number(text: str) -> None:
    lines = format_records([{"path": "y" * 54, "given": text}], "table", broken=["given"]).splitlines()[2:]
    assert [line[54:].strip() for line in lines] == text.split()


PARTS = st.lists(st.text("a|\\", min_size=1, max_size=4), max_size=3)


@given(PARTS, PARTS)
def test_joined_names_are_joined_alike_only_if_they_are_the_same(one: list[str], other: list[str]) -> None:
    assert (join_names(one) == join_names(other)) == (one == other)


def test_a_bar_within_a_name_has_a_backslash_before_it() -> None:
    assert join_names(["cat", "dog"]) == "cat|dog"
    assert join_names(["cat|dog"]) == r"cat\|dog"
    assert join_names([r"C:\cat", "a\\", "b"]) == r"C:\cat|a\\|b"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("beagle", "beagle"), ("a\u202eb", "a\\u202eb"), ("\udc80", "\\udc80"), ("a\nb", "a\\nb"), ("Löwe", "Löwe")],
)
def test_names_are_shown_without_what_moves_text(name: str, shown: str) -> None:
    assert show_text(name) == shown


def test_programs_get_a_path_as_it_is_as_far_as_their_format_has_it() -> None:
    path = b"a\xff\n.png"
    assert write_path(path, "json").encode("utf-8", "surrogateescape") == path
    assert write_path(path, "csv") == show_path(path) == "a\\udcff\\n.png"
