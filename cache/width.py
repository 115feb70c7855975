"""How many columns of a terminal text takes, and as much of it as some columns hold."""

from __future__ import annotations

import unicodedata
from itertools import accumulate


def measure_width(text: str) -> int:
    """Columns of a text: two for each wide character, as of Chinese, none for marks that stand on others."""
    return len(text) if text.isascii() else sum(map(_measure_character, text))


def cut_start(text: str, width: int) -> str:
    """As much of the begin of a text as ``width`` columns hold."""
    if text.isascii():
        return text[: max(width, 0)]
    return text[: sum(columns <= width for columns in accumulate(map(_measure_character, text)))]


def cut_end(text: str, width: int) -> str:
    """As much of the end of a text as ``width`` columns hold."""
    columns = range(1, len(text) + 1) if text.isascii() else accumulate(map(_measure_character, reversed(text)))
    end = text[len(text) - sum(used <= width for used in columns) :]
    while end and not _measure_character(end[0]):  # a mark whose letter is cut off
        end = end[1:]
    return end


def pad(text: str, width: int, left: bool) -> str:
    """A text in ``width`` columns, to the left of them or to the right."""
    gap = " " * (width - measure_width(text))
    return text + gap if left else gap + text


def _measure_character(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me") or "\u1160" <= char <= "\u11ff":  # vowels and ends of Hangul
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
