"""Text for people: paths that fit, and still tell files apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fixgrid.cache.text import shorten_path, shorten_paths


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
