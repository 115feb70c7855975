"""Text for people and programs: names made harmless, first lines of errors, records as tables. None is printed."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import textwrap
from collections.abc import Collection, Sequence
from itertools import zip_longest
from typing import Any

FORMATS = ("table", "md", "csv", "json")
WIDTH = 80
_NARROWEST = 12  # no text is wrapped to less, however little room there is


def show_text(text: str) -> str:
    """Text for a terminal: control characters (escapes, bidi marks, line ends) and lone surrogates escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in text
    )


def escape_markdown(text: str) -> str:
    r"""Text that Markdown shows as it is: on one line, every mark of its syntax behind a ``\``."""
    return (
        re.sub(r"([\\`*_{}\[\]<>#|~&!@$=^])", r"\\\1", show_text(text))
        .replace("www.", "www\\.")
        .replace("://", "\\://")
    )


def show_label(label: str | tuple[str, ...] | float) -> str:
    """A label as `Manifest.name_label` gives it, for people."""
    if isinstance(label, float):
        return f"{label:g}"
    return show_text(label if isinstance(label, str) else ", ".join(label))


def show_path(path: bytes) -> str:
    """A path for people: undecodable bytes and control characters (terminal escapes, bidi marks) escaped."""
    return show_text(os.fsdecode(path))


def shorten_path(path: str, width: int) -> str:
    """A path in ``width`` characters, cut at the left: ``…/train/cat/1.jpg``, for its end tells files apart.

    Folders go whole if the file's name then fits; else the name is cut.
    """
    if len(path) <= width:
        return path
    end = path[len(path) - max(width - 1, 1) :]
    folder = end.find("/")
    return f"…{end[folder:] if 0 <= folder < len(end) - 1 else end}"


def shorten_paths(paths: Sequence[str], width: int) -> list[str]:
    """Each path in ``width`` characters as `shorten_path` has it, different ones differently where there is room.

    Those whose ends are alike show the end of what differs before it: ``…/cat/1…000.jpg``.
    """
    shown = {path: shorten_path(path, width) for path in paths}
    alike: dict[str, list[str]] = {}
    for path, short in shown.items():
        alike.setdefault(short, []).append(path)
    for group in (group for group in alike.values() if len(group) > 1 and width >= _NARROWEST):
        tail = width // 3
        columns = zip(*(reversed(path) for path in group), strict=False)
        common = next((n for n, chars in enumerate(columns) if len(set(chars)) > 1), min(map(len, group)))
        starts = shorten_paths([path[: len(path) - common] for path in group], width - tail - 1)
        shown |= {path: f"{start}…{path[-tail:]}" for path, start in zip(group, starts, strict=True)}
    return [shown[path] for path in paths]


def first_line(error: BaseException, length: int = 160) -> str:
    """What an error says first, or else its class; libraries' own messages may go on for a page."""
    return (str(error).splitlines() or [""])[0][:length] or type(error).__name__


def format_records(
    records: Sequence[dict[str, Any]], style: str, wrapped: Sequence[str] = (), broken: Sequence[str] = ()
) -> str:
    """Records with equal fields in one of `FORMATS`, ending in a newline; None is shown as nothing.

    Parameters
    ----------
    records : sequence of dict
    style : str
    wrapped : sequence of str
        Fields whose words are wrapped where a terminal's 80 columns have no room for them.
    broken : sequence of str
        Those that are wrapped inside words as well.
    """
    if style == "json":
        return json.dumps(records, indent=2) + "\n"
    if style == "csv":
        return to_csv(records)
    if not records:
        return "nothing\n"
    shown = [["" if value is None else str(value) for value in record.values()] for record in records]
    rows = [list(records[0]), *shown]
    lines = to_markdown(rows) if style == "md" else to_columns(_wrap_fields(rows, wrapped, broken), left=True)
    return "\n".join(lines) + "\n"


def _wrap_fields(rows: list[list[str]], names: Sequence[str], broken: Sequence[str]) -> list[list[str]]:
    """The rows with the columns called ``names`` wrapped at words into what the others leave of 80 columns.

    Those called ``broken`` are wrapped wherever they must be.
    """
    cut = {i for i, name in enumerate(rows[0]) if name in broken}
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    wrapped = sorted((i for i, name in enumerate(rows[0]) if name in (*names, *broken)), key=widths.__getitem__)
    room = WIDTH - 2 * (len(widths) - 1) - sum(widths) + sum(widths[i] for i in wrapped)
    for left, i in zip(range(len(wrapped), 0, -1), wrapped, strict=True):
        widths[i] = max(min(widths[i], room // left), min(widths[i], _NARROWEST))
        room -= widths[i]
    return [line for row in rows for line in _wrap_row(row, {i: widths[i] for i in wrapped}, cut)]


def _wrap_row(row: Sequence[str], widths: dict[int, int], cut: Collection[int]) -> list[list[str]]:
    def wrap(i: int, text: str) -> list[str]:
        if i not in widths:
            return [text]
        return textwrap.wrap(text, widths[i], break_long_words=i in cut, break_on_hyphens=False) or [""]

    return [list(line) for line in zip_longest(*(wrap(i, text) for i, text in enumerate(row)), fillvalue="")]


def to_columns(rows: Sequence[Sequence[str]], left: bool = False) -> list[str]:
    """Lines of a header and rows, under each other; numbers to the right unless ``left``."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    pad = str.ljust if left else str.rjust
    lines = ["  ".join(pad(text, w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def to_markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table of a header and rows."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + "---:|" * len(rows[0]), *lines[1:]]


def to_csv(records: Sequence[dict[str, Any]]) -> str:
    """Records with equal fields as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
