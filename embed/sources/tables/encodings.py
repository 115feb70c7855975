"""From the bytes of a table to its text, as spreadsheets and other systems write it."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from typing import NamedTuple

from fixgrid.cache.errors import DataError

from .table import File

_MARKS = (  # UTF-32 before UTF-16, whose mark begins its own
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOOK = 4096  # bytes that tell UTF-16 without a mark by its NULs
_WINDOWS = "cp1252"
_BYTES = frozenset(map(chr, range(0xDC80, 0xDD00)))  # that were no UTF-8, as surrogateescape has them


class Text(NamedTuple):
    """What a file says, what it was taken for, and a note on that where it is not UTF-8."""

    text: str
    encoding: str = "utf-8"
    notes: tuple[str, ...] = ()


def read_text(file: File) -> Text:
    """The text of a file in UTF-8, with or without its mark, UTF-16, UTF-32 or Windows-1252.

    Bytes that are not UTF-8 are Windows-1252 if no letter of the file is UTF-8 beyond ASCII; in a file that mixes
    both, as a list of files may, they stay the bytes they are (as `os.fsdecode` has them).

    Raises
    ------
    DataError
        If it cannot be read, or is no text.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise DataError(f"could not read {file}: {error.strerror}.") from error
    wide = _find_wide(raw)
    if wide:
        try:
            text = raw.decode(wide).lstrip("\ufeff")
        except UnicodeDecodeError as error:
            raise DataError(f"could not read {file} as {wide.upper()}: {error}; save it as UTF-8.") from error
        return Text(_expect_text(text, file), notes=(f"read {file.name} as {wide[:6].upper()}",))
    text = raw.decode("utf-8-sig", "surrogateescape")
    letters = {char for char in text if not char.isascii()}
    if not any(char in _BYTES for char in letters):
        return Text(_expect_text(text, file))
    if letters <= _BYTES:
        with suppress(UnicodeDecodeError):  # five bytes mean nothing in it
            note = f"{file.name} is not UTF-8: read as Windows-1252; if letters look wrong, save it as UTF-8"
            return Text(_expect_text(raw.decode(_WINDOWS), file), _WINDOWS, (note,))
    note = f"{file.name} is not UTF-8: what is not text stays bytes, as \\xff in labels; better save it as UTF-8"
    return Text(_expect_text(text, file), notes=(note,))


def _find_wide(raw: bytes) -> str:
    """The encoding of several bytes a letter that a file has by its mark or its NULs; empty if none."""
    marked = next((name for mark, name in _MARKS if raw.startswith(mark)), "")
    head = raw[:_LOOK]
    sides = [head[0::2].count(0), head[1::2].count(0)]
    if marked or max(sides) * 4 < len(head):  # of a letter's two bytes one is a NUL in ASCII
        return marked
    return "utf-16-le" if sides[1] > sides[0] else "utf-16-be"


def _expect_text(text: str, file: File) -> str:
    before, nul, _ = text.partition("\0")
    if nul:
        line = len(re.findall(r"\r\n|\r|\n", before)) + 1
        raise DataError(f"{file}, line {line}, has a NUL byte; expected a table of text.")
    return text
