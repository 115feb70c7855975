"""README.md: every output in it is made by `make readme`, or says why not. No command runs here."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_layout import skip_without

from tests.readme import PROGRESS, ROOT, TABLES, NotMade, Workshop, drop, make_piece, make_text, shorten, split_text

OUTPUT = ["key  rows", "---------", "a    1", "     more of a", "b    2", "c    3"]


def read() -> str:
    skip_without("cli.py", "README.md")
    return (ROOT / "README.md").read_text("utf-8")


def test_every_output_and_table_of_figures_is_made_or_says_why_not() -> None:
    pieces = split_text(read())
    shown = [one for one in pieces if one.has_output or (one.kind == "table" and "---:" in one.lines[1])]
    assert not [one.line for one in shown if not (one.by_hand or one.commands or one.rules)]
    assert len(shown) > 20
    assert {one.get("table") for one in pieces} - {""} == TABLES.keys()


def test_pieces_are_the_whole_readme() -> None:
    text = read()
    assert "\n".join(line for one in split_text(text) for line in one.lines) + "\n" == text


def test_only_what_is_asked_for_is_kept_and_wrapped_lines_go_with_theirs() -> None:
    assert shorten(OUTPUT, "^a|^c") == [*OUTPUT[:4], "...", OUTPUT[5]]
    assert shorten(OUTPUT, "") == OUTPUT
    assert shorten(["note", "loading", "12 images"], "images") == ["12 images"]


def test_what_is_dropped_leaves_no_trace_and_takes_wrapped_lines_along() -> None:
    lines = ["loading libraries", "note: a", "  b", "table", "  c", "", "Leak: x", "  y"]
    assert drop(lines, f"^note|^Leak|{PROGRESS}") == ["table", "  c"]


def make(tmp_path: Path, text: str, **how: bool) -> tuple[str, list[str]]:
    shop = Workshop(tmp_path, tmp_path)
    return make_text(text, shop, everything=how.get("everything", False))


def test_a_block_shows_what_its_commands_print_and_all_else_stays(tmp_path: Path) -> None:
    text = "    python is typed\n\n<!-- made\nprepare: echo 1 > n\nenv: A=2\n-->\n\n    $ cat n; echo $A\n    old\n"
    made, left = make(tmp_path, text)
    assert made == text.replace("    old\n", "    1\n    2\n")
    assert left == []


def test_what_fails_is_named_and_stays_as_it_was(tmp_path: Path) -> None:
    text = "    $ cat ../shared/data/none\n    old\n\nThen\n\n    $ ls none; exit 3\n    old\n"
    made, left = make(tmp_path, text)
    assert made == text
    assert "line 1: cat ../shared/data/none: left as it was: there is no ../shared/data/none" in left[0]
    assert "exit 3" in left[1]


def test_an_expected_failure_shows_what_it_says(tmp_path: Path) -> None:
    text = "<!-- made\nexit: 2\n-->\n\n    $ echo no >&2; exit 2\n"
    assert make(tmp_path, text)[0] == text + "    no\n"


def test_what_takes_long_is_dated_and_made_when_all_is(tmp_path: Path) -> None:
    text = "<!-- made\nlong: 2020-01-01\nrun: echo 7\n-->\n\n    $ seq ...\n    old\n"
    made, left = make(tmp_path, text)
    assert (made, "it is of 2020-01-01: make readme ALL=1" in left[0]) == (text, True)
    (tmp_path / "again").mkdir()
    made, left = make(tmp_path / "again", text, everything=True)
    assert made.endswith("    $ seq ...\n    7\n")
    assert "2020-01-01" not in made


def test_words_of_a_comment_that_nobody_knows_are_refused() -> None:
    with pytest.raises(ValueError, match="found 'kepe: a' in a comment; expected one of prepare"):
        split_text("<!-- made\nkepe: a\n-->\n")


def test_a_picture_needs_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    [*_, piece] = split_text("<!-- made\npicture: report.html 10x10 heads/report.png\n-->\n![x](y)\n")
    with pytest.raises(NotMade, match="no chromium"):
        make_piece(piece, Workshop(tmp_path, tmp_path), "2026-01-01")
