"""Text for people and programs: names made harmless, first lines of errors, records as tables. None is printed."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from .width import cut_end, cut_start, measure_width, pad

FORMATS = ("table", "md", "csv", "json")
WIDTH = 80
_NARROWEST = 12  # no text is wrapped to less, however little room there is
_LEAST_CUT = 4  # of a name, to show of it more than an end
_LEAST, _LEAST_BROKEN = 24, 40  # what columns get before spare ones do
_MARK = re.compile(r"[\s/:@_]|(?<!\s)(?<!\d[eE])[+-]|[,.](?!\d)")
_NUMBER = re.compile(r"[+-]?[\d.,]+$")
Shorten = Callable[[Sequence[str], int], Sequence[str]]
"""Texts in so many columns of a terminal each."""


def show_text(text: str) -> str:
    """Text for a terminal: control characters (escapes, bidi marks, line ends) and lone surrogates escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in text
    )


def escape_markdown(text: str) -> str:
    r"""Text that Markdown shows as it is: on one line, every mark of its syntax behind a ``\``."""
    text = re.sub(r"([\\`*_{}\[\]<>#|~&!@$=^])", r"\\\1", show_text(text))
    return text.replace("www.", "www\\.").replace("://", "\\://")


def show_label(label: str | tuple[str, ...] | float) -> str:
    """A label as `Manifest.name_label` gives it, for people."""
    if isinstance(label, float):
        return f"{label:g}"
    return show_text(label if isinstance(label, str) else ", ".join(label))


def show_path(path: bytes) -> str:
    """A path for people: undecodable bytes and control characters (terminal escapes, bidi marks) escaped."""
    return show_text(os.fsdecode(path))


def write_path(path: bytes, style: str) -> str:
    """A path for programs: as it is in ``json``, undecodable bytes as `os.fsdecode` has them; else `show_path`."""
    return os.fsdecode(path) if style == "json" else show_path(path)


def shorten_path(path: str, width: int) -> str:
    """A path in ``width`` columns, cut at the left: ``…/train/cat/1.jpg``, for its end tells files apart.

    Folders go whole if the file's name then fits; else the name is cut.
    """
    if measure_width(path) <= width:
        return path
    end = cut_end(path, max(width - 1, 1))
    folder = end.find("/")
    return f"…{end[folder:] if 0 <= folder < len(end) - 1 else end}"


def shorten_paths(paths: Sequence[str], width: int) -> list[str]:
    """Each path in ``width`` columns as `shorten_path` has it, different ones differently where there is room.

    Those whose ends are alike show the end of what differs before it: ``…/cat/1…000.jpg``.
    """
    shown = {path: shorten_path(path, width) for path in paths}
    for group in (group for group in _list_alike(shown) if width >= _NARROWEST):
        tail = width // 3
        common = _count_common([path[::-1] for path in group])
        starts = shorten_paths([path[: len(path) - common] for path in group], width - tail - 1)
        shown |= {path: f"{start}…{cut_end(path, tail)}" for path, start in zip(group, starts, strict=True)}
    return [shown[path] for path in paths]


def tell_apart(names: Sequence[str], show: Callable[[str], str] = show_text) -> list[str]:
    """Names as they are shown; those that would be shown alike have their number, from 1, behind them.

    Parameters
    ----------
    names : sequence of str
        Of different classes.
    show : callable
    """
    shown = [show(name) for name in names]
    while len(count := Counter(shown)) < len(shown):
        shown = [f"{text} ({i})" if count[text] > 1 else text for i, text in enumerate(shown, 1)]
    return shown


def join_names(names: Iterable[str]) -> str:
    r"""Names with a ``|`` between two, for a cell of a CSV; one that is in a name has a ``\`` before it.

    A ``\`` that stands before either, or ends a name, is doubled, so that other names are never joined alike.
    """
    return "|".join(re.sub(r"(\\*)(\||\Z)", lambda at: 2 * at[1] + "\\|" * bool(at[2]), name) for name in names)


def first_line(error: BaseException, length: int = 160) -> str:
    """What an error says first, or else its class; libraries' own messages may go on for a page."""
    return (str(error).splitlines() or [""])[0][:length] or type(error).__name__


def shorten_names(names: Sequence[str], width: int) -> list[str]:
    """Each name in ``width`` columns: its begin and its end, as in ``n0208…huahua``; different ones differently.

    Those of one begin and end show where they begin to differ, ``n02…12-…dle``, or without room for it a number.
    """
    shown = _cut_middles(dict.fromkeys(names), width)
    while len(count := Counter(shown.values())) < len(shown):
        for number, (name, text) in enumerate(shown.items(), 1):
            if count[text] > 1:
                mark = f"…{number}"
                shown[name] = cut_start(text, width - len(mark)) + mark
    return [shown[name] for name in names]


def _cut_middles(names: Iterable[str], width: int) -> dict[str, str]:
    end = (width - 1) // 2
    shown = {
        name: name if measure_width(name) <= width else f"{cut_start(name, width - 1 - end)}…{cut_end(name, end)}"
        for name in names
    }
    for group in (group for group in _list_alike(shown) if width >= _LEAST_CUT):
        start = width // 3
        common = _count_common(group)
        rests = _cut_middles([name[common:] for name in group], width - start - 1)
        shown |= {name: f"{cut_start(name, start)}…{rests[name[common:]]}" for name in group}
    return shown


def _count_common(texts: Sequence[str]) -> int:
    """Characters that all begin with."""
    columns = enumerate(zip(*texts, strict=False))
    return next((n for n, chars in columns if len(set(chars)) > 1), min(map(len, texts)))


def _list_alike(shown: Mapping[str, str]) -> list[list[str]]:
    """Those that are shown alike, together."""
    alike: dict[str, list[str]] = {}
    for name, text in shown.items():
        alike.setdefault(text, []).append(name)
    return [group for group in alike.values() if len(group) > 1]


def format_records(
    records: Sequence[dict[str, Any]],
    style: str,
    wrapped: Sequence[str] = (),
    broken: Sequence[str] = (),
    shortened: Mapping[str, Shorten] | None = None,
    spare: Sequence[str] = (),
) -> str:
    """Records with equal fields in one of `FORMATS`, ending in a newline; None is shown as nothing.

    The last four say what is done where a terminal's 80 columns have no room; the other formats are whole.

    Parameters
    ----------
    records : sequence of dict
    style : str
    wrapped : sequence of str
        Fields whose words are wrapped.
    broken : sequence of str
        Those that are wrapped inside words as well, after marks such as ``-`` where there are some.
    shortened : mapping of str to function (texts, width) -> texts
        Those whose texts are shortened, as `shorten_paths` does.
    spare : sequence of str
        Those that are left out if others would become too narrow, the first first; a line below says so.
    """
    if style == "json":
        return json.dumps(records, indent=2) + "\n"
    if style == "csv":
        return to_csv(records)
    if not records:
        return "nothing\n"
    shown = [["" if value is None else str(value) for value in record.values()] for record in records]
    rows = [list(records[0]), *shown]
    if style == "md":
        return "\n".join(to_markdown(rows)) + "\n"
    least = dict.fromkeys(wrapped, _LEAST) | dict.fromkeys(shortened or (), _LEAST)
    rows, left_out = _leave_out(rows, spare, {**least, **dict.fromkeys(broken, _LEAST_BROKEN)})
    lines = to_columns(_fit_fields(rows, wrapped, broken, shortened or {}), left=True)
    said = ["", *textwrap.wrap(say_left_out(left_out), WIDTH, subsequent_indent="  ")] if left_out else []
    return "\n".join([*lines, *said]) + "\n"


def say_left_out(names: Sequence[str]) -> str:
    """What stands below a table that has no room for some columns; those called by a number are of ranks."""
    ranks = ", ".join(name for name in names if name.isdigit())
    said = [name for name in names if not name.isdigit()] + [f"rank{'s' * (',' in ranks)} {ranks}"] * bool(ranks)
    return f"Not shown for want of room: {', '.join(said)}; the other formats have them."


def _leave_out(
    rows: list[list[str]], spare: Sequence[str], least: Mapping[str, int]
) -> tuple[list[list[str]], list[str]]:
    """The rows without the first of the spare columns, until the others have at least the room that they need."""
    names, left_out = rows[0], set()
    for name in spare:
        widths = _measure_columns(rows)
        needed = (min(width, least.get(head, width)) for head, width in zip(rows[0], widths, strict=True))
        if sum(needed) + 2 * (len(widths) - 1) <= WIDTH:
            break
        at = rows[0].index(name)
        rows = [[*row[:at], *row[at + 1 :]] for row in rows]
        left_out.add(name)
    return rows, [name for name in names if name in left_out]


def _fit_fields(
    rows: list[list[str]], names: Sequence[str], broken: Sequence[str], shortened: Mapping[str, Shorten]
) -> list[list[str]]:
    """The rows with the columns called ``names`` wrapped at words into what the others leave of 80 columns.

    Those called ``broken`` are wrapped wherever they must be, those of ``shortened`` are shortened.
    """
    cut = {i for i, name in enumerate(rows[0]) if name in broken}
    widths = _measure_columns(rows)
    fitted = {i for i, name in enumerate(rows[0]) if name in (*names, *broken, *shortened)}
    room = WIDTH - 2 * (len(widths) - 1) - sum(widths) + sum(widths[i] for i in fitted)
    for left, i in zip(range(len(fitted), 0, -1), sorted(fitted, key=widths.__getitem__), strict=True):
        widths[i] = max(min(widths[i], room // left), min(widths[i], _NARROWEST))
        room -= widths[i]
    columns = [list(column) for column in zip(*rows, strict=True)]
    for i in fitted:
        if (shorten := shortened.get(rows[0][i])) is not None:
            columns[i][1:] = shorten(columns[i][1:], widths[i])
    rows = [list(row) for row in zip(*columns, strict=True)]
    return [line for row in rows for line in _wrap_row(row, {i: widths[i] for i in fitted}, cut)]


def _measure_columns(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(measure_width, column)) for column in zip(*rows, strict=True)]


def _wrap_row(row: Sequence[str], widths: dict[int, int], cut: Collection[int]) -> list[list[str]]:
    def wrap(i: int, text: str) -> list[str]:
        if i not in widths or measure_width(text) <= widths[i]:
            return [text]
        return (_break_text if i in cut else _wrap_words)(text, widths[i])

    return [list(line) for line in zip_longest(*(wrap(i, text) for i, text in enumerate(row)), fillvalue="")]


def _wrap_words(text: str, width: int) -> list[str]:
    """Its lines, none broken inside a word."""
    lines: list[str] = []
    for word in text.split():
        if lines and measure_width(lines[-1]) + 1 + measure_width(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]


def _break_text(text: str, width: int) -> list[str]:
    """Its lines, broken after a blank or a mark of names in the last two thirds of a line, and inside no number."""
    lines = []
    while measure_width(text) > width:
        room = len(cut_start(text, width))
        marks = [mark.end() for mark in _MARK.finditer(text, 0, room + 1) if mark.end() <= room]
        at = next((end for end in reversed(marks) if 3 * end >= room or _NUMBER.match(text, end, room)), room)
        lines.append(text[:at].rstrip())
        text = text[at:].lstrip()
    return [*lines, text]


def to_columns(rows: Sequence[Sequence[str]], left: bool = False) -> list[str]:
    """Lines of a header and rows, under each other; numbers to the right unless ``left``."""
    widths = _measure_columns(rows)
    lines = ["  ".join(pad(text, w, left) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], "-" * max(map(measure_width, lines)), *lines[1:]]


def to_markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table of a header and rows."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + "---:|" * len(rows[0]), *lines[1:]]


def to_csv(records: Sequence[dict[str, Any]], fields: Iterable[str] = ()) -> str:
    """Records with equal fields as CSV with a header, which is of ``fields`` where there are no records."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0] if records else fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
