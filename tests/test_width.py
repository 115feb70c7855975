"""Columns of a terminal: wide characters, marks on others, and tables of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixgrid.cache.text import WIDTH, format_records, shorten_names, shorten_path, shorten_paths
from fixgrid.cache.width import cut_end, cut_start, measure_width

TEXT = st.text("ab/日é\u0301-", max_size=60)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("dog", 3),
        ("日本", 4),
        ("ｱ", 1),
        ("\uff41", 2),
        ("e\u0301", 1),
        ("é…", 2),
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8", 4),
    ],
)
def test_wide_characters_take_two_columns_and_marks_none(text: str, columns: int) -> None:
    assert measure_width(text) == columns


@given(TEXT, st.integers(0, 60))
def test_what_is_cut_holds_as_much_as_there_is_room_for(text: str, width: int) -> None:
    start, end = cut_start(text, width), cut_end(text, width)
    assert text.startswith(start)
    assert text.endswith(end)
    assert measure_width(start) <= width
    assert measure_width(end) <= width
    assert min(map(measure_width, (start, end))) >= min(width - 1, measure_width(text))


@given(st.lists(TEXT, unique=True, max_size=4), st.integers(12, 60))
def test_no_path_or_name_is_wider_than_its_room(texts: list[str], width: int) -> None:
    for short in (shorten_paths(texts, width), shorten_names(texts, width)):
        assert all(measure_width(text) <= width for text in short)


def test_a_wide_path_loses_its_begin() -> None:
    assert shorten_path("日" * 40 + "/本.jpg", 10) == "…/本.jpg"
    assert shorten_path("日" * 40, 10) == "…日日日日"
    assert cut_end("ae\u0301b", 1) == "b"  # no mark without its letter


def test_columns_of_wide_characters_stand_below_each_other_and_fit() -> None:
    records = [{"path": f"{name}/" * 20 + "1.jpg", "class": name, "n": 10} for name in ("日本語", "dog")]
    short = {"path": shorten_paths, "class": shorten_names}
    lines = format_records(records, "table", shortened=short).splitlines()
    assert max(map(measure_width, lines)) <= WIDTH
    assert len({measure_width(line) for line in lines[2:]}) == 1
    told = [{"said": "日本" * n + " dog, " * n} for n in (10, 20)]
    for how in ({"wrapped": ["said"]}, {"broken": ["said"]}):
        lines = format_records(told, "table", **how).splitlines()
        assert max(map(measure_width, lines)) <= WIDTH
