"""From cells that name images to the files they mean."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

from fixgrid.cache.errors import DataError
from fixgrid.cache.text import show_path, show_text

from ..walk import SUFFIXES
from .finder import Finder, Found
from .table import Table

_ADDRESS = re.compile(r"(?!file://)[a-z][a-z0-9+.]+://", re.IGNORECASE)
_PROBED = 20  # rows that a folder must have one of before all are looked for in it
_SUFFIXES = tuple(suffix.decode() for suffix in SUFFIXES)
_DRIVE = re.compile(r"[a-z]:[\\/]|\\\\", re.IGNORECASE)


def find_images(table: Table, column: int, finder: Finder) -> tuple[list[bytes], tuple[str, ...]]:
    """The image that each row names, relative to the root, and notes on those that are spelt otherwise there.

    If the root has none of them, the one folder inside it is taken that has them all, or else the one inside such a
    folder.

    Parameters
    ----------
    table : Table
    column : int
    finder : Finder
        Of the root.

    Raises
    ------
    DataError
        If a file is not there or may be one of several, or a path leads out of the root; the message has the line.
    """
    cells = _read_cells(table, column, finder)
    found, notes, folder = [finder.find(cell) for cell in cells], [], b""
    if cells and not any(one.paths for one in found):
        folder = _find_folder(finder, cells)
        if folder:
            found = [finder.find(cell, folder) for cell in cells]
            notes.append(f"found the images of {table.file.name} in {show_path(folder)}/")
    odd: Counter[str] = Counter()
    first: dict[str, str] = {}
    for row, (cell, one) in enumerate(zip(cells, found, strict=True)):
        if len(one.paths) != 1:
            lacking = sum(not one.paths for one in found)
            more = f" Of {len(cells)} rows {lacking} name no file." if lacking > 1 else ""
            raise DataError(
                f"{table.where(row)} names {show_text(cell)}, {_say_missing(finder, cell, one, folder)}.{more}"
            )
        if one.how:
            odd[one.how] += 1
            first.setdefault(one.how, f"{show_text(cell)} for {show_path(one.paths[0])}")
    notes += [f"{n} path(s) are spelt {how}, such as {first[how]}" for how, n in odd.items()]
    return [one.paths[0] for one in found], tuple(notes)


def _read_cells(table: Table, column: int, finder: Finder) -> list[str]:
    """The cells, blanks at their ends included, which may belong to a name; what can be no file here is refused."""
    cells = []
    for row, text in enumerate(table.read_texts(column)):
        cell, where, address = str(table.rows[row][column]), table.where(row), _ADDRESS.match(text)
        shown = show_text(text.partition("?")[0] if address else text)  # what is behind may be a key
        if not text or "\0" in text:
            raise DataError(f"{where} names no file.")
        if address and not finder.is_far:
            raise DataError(
                f"{where} names {shown}, an address; expected a file: download it, and name that, or say with "
                "--root URL which address all are below."
            )
        if not any(finder.spell(cell)):
            raise DataError(
                f"{where} names {shown}; expected a path inside the table's folder or --root, "
                f"{show_path(finder.root)}: {_say_cure(finder, text)}."
            )
        cells.append(cell)
    return cells


def _say_cure(finder: Finder, text: str) -> str:
    """What to type for a path outside."""
    above = os.path.dirname(text)
    if text.startswith("/") and text.lower().endswith(_SUFFIXES) and os.path.isfile(text):
        return f"--root {show_text(above)}, or a folder above it, reads it there; else make paths relative"
    tail = finder.find_tail(text)
    return f"{show_path(tail)} is there, take off what is before it" if tail else "make paths relative to it"


def _find_folder(finder: Finder, cells: list[str]) -> bytes:
    """The one folder inside the root that has all images, or else the most; empty if none has any.

    Raises
    ------
    DataError
        If several have them.
    """
    inside, most = finder.list_folders(), (0, b"")
    for folders in (inside, [below for folder in inside for below in finder.list_folders(folder)]):
        likely = [folder for folder in folders if any(finder.find(cell, folder).paths for cell in cells[:_PROBED])]
        counts = {folder: sum(len(finder.find(cell, folder).paths) == 1 for cell in cells) for folder in likely}
        holding = [folder for folder, count in counts.items() if count == len(cells)]
        most = max([most, *((count, folder) for folder, count in counts.items())], key=lambda one: one[0])
        if len(holding) > 1:
            named = " and ".join(show_path(folder) + "/" for folder in holding[:3])
            raise DataError(
                f"found all images in {len(holding)} folders of {show_path(finder.root)}, such as {named}; "
                f"expected one: say which with --root {show_path(os.path.join(finder.root, holding[0]))}."
            )
        if holding:
            return holding[0]
    return most[1]


def _say_missing(finder: Finder, cell: str, found: Found, folder: bytes) -> str:
    """What is wrong with a name that means no file, or several, and what to do."""
    if found.paths:
        return f"which may be {' or '.join(map(show_path, found.paths[:3]))}; expected one: add the suffix"
    tail = finder.find_tail(cell)
    cure = "expected a path relative to the table's folder or --root"
    cure = f"{show_path(tail)} is there, take off what is before it" if tail else cure
    if _DRIVE.match(cell.strip()):
        return f"which is a place on Windows; {cure}"
    if folder:
        return f"which is not in {show_path(folder)}/, where others are; add the image, or leave the row out"
    like = finder.guess(cell)
    if like:
        return f"which is not there, but {show_path(like)} is; mend the name"
    for other in (os.path.dirname(finder.root), os.fsencode(Path.cwd())):
        if other != finder.root and len(Finder(os.path.realpath(other)).find(cell).paths) == 1:
            return f"which is not there, but below {show_path(other)}: --root {show_path(other)}"
    return f"which is not there; {cure}"
