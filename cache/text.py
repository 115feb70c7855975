"""Text for people and programs: names made harmless, first lines of errors, records as tables. None is printed."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Collection, Sequence
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
    """A shown path in ``width`` columns: of a longer one the beginning is left out, since its end is what tells."""
    if len(path) <= width:
        return path
    end = path[len(path) - width + 1 :]
    folder = end.find("/", 0, -1)
    return "…" + end[max(folder, 0) :]


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
        if i in cut:
            return _break_name(text, widths[i])
        return textwrap.wrap(text, widths[i], break_long_words=False, break_on_hyphens=False) or [""]

    return [list(line) for line in zip_longest(*(wrap(i, text) for i, text in enumerate(row)), fillvalue="")]


def _break_name(text: str, width: int) -> list[str]:
    """Lines of a name: broken behind blanks, ``_``, ``/`` and ``-`` where one is near enough, else anywhere."""
    lines = [""]
    for part in re.findall(r"[^\s_/-]*[\s_/-]?", text):
        if len(lines[-1] + part.rstrip()) > width and lines[-1]:
            lines.append("")
        lines[-1] += part
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return [line.rstrip() for line in lines]


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
