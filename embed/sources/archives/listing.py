"""Images in containers, as if these had been unpacked, or as the rows of a table that lies beside them."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, repeat

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.rows import CONTAINED
from fixgrid.cache.strings import Strings
from fixgrid.cache.text import show_path, show_text

from ..folder import list_walk
from ..images import Column, Images
from ..remote.address import is_address
from ..source import Asked, Listing
from ..walk import describe_passed
from .container import Indexed
from .content import Archives, find_kind
from .found import Found, expect_plain, find_named
from .members import make_walk, name_groups, read_made, read_splits_of
from .parquet import Parquet
from .samples import Place, Rows, SampleTable, is_wanted, join_texts, read_samples
from .scan import Scan

_AT_ONCE = 8  # containers behind a URL
_MOST_NAMED = 8


def list_archives(found: Found, asked: Asked) -> Listing:
    """The images in containers; labels that lie beside them count before those of folders inside.

    A container's name says a split if all of them say one; those that only a count tells apart are one.

    Raises
    ------
    DataError
        If a container is damaged, packed as a whole or has no image; or as of a folder, or of a table.
    UsageError
        If what reads them is not installed, or what is asked for does not fit.
    """
    expect_plain(found)
    kinds = {find_kind(name) for name in found.names}
    if Parquet in kinds and len(kinds) > 1:
        raise DataError(f"found Parquet and other files of images in {found.said}; expected one kind: name one.")
    content = Archives(found.place, found.stamps)
    listing = (_list_tables if Parquet in kinds else _list_members)(found, content, asked)
    return replace(listing, root=os.fsencode(f"{CONTAINED}:{found.place}"), content=content)


def holds_images(text: str) -> bool:
    """Whether a Parquet file, by its name, holds images and not their paths; one that cannot be read does not."""
    if not text.lower().endswith(".parquet"):
        return False
    found = find_named(text)
    try:
        file = Archives(found.place).open_container(found.names[0])
        return isinstance(file, Parquet) and bool(file.list_held())
    except (OSError, UsageError):
        return False


def _list_members(found: Found, content: Archives, asked: Asked) -> Listing:
    """Of tar and zip files."""
    rows, names, others = Rows(), list[Strings](), [*found.passed]
    for container, scan in _scan_all(found, content):
        if twice := scan.index.find_twice():
            raise DataError(
                f"found {show_path(twice)} twice in {show_path(container)}; expected each name once: pack it anew."
            )
        join_texts(rows, scan, container, asked.reading)
        names.append(scan.index.names)
        others += scan.list_passed()
        _tell(asked, len(names), len(found.names))
    if not rows.rows:
        said = "; ".join(describe_passed(others, hidden=True)) or "nothing is in there"
        nested = any(one.path in (b"x.tar", b"x.zip") for one in others)
        cure = ": unpack it once, and name the folder of what is inside" * nested
        raise DataError(f"found no image in {found.said}: {said}; expected images{cure}.")
    if rows.names:
        return _list_rows(found, rows, names, asked, "cls" * ("cls" in rows.names), describe_passed(others))
    if asked.reading.names_columns:
        raise UsageError(f"found columns asked for, but no labels beside the images of {found.said}.")
    groups = name_groups(found.names)
    walk = make_walk(groups, ((number, member) for number, one in enumerate(names) for member in one))
    listing = list_walk(walk, b"", Place(found.said), one_class=asked.one_class)
    made = listing.columns
    paths = Strings.gather(read_made(path, found.names, groups) for path in made.paths)
    notes = (*describe_passed(others), *_say_unread(found, rows), *listing.notes)
    return replace(listing, images=replace(made, paths=paths), notes=notes)


def _list_tables(found: Found, content: Archives, asked: Asked) -> Listing:
    """Of Parquet files."""
    rows, names = Rows(), list[Strings]()
    for container in found.names:
        try:
            file = content.open_container(container)
            assert isinstance(file, Parquet)
            names.append(file.name_images(asked.reading.image_col))
            columns = file.read_plain(lambda name: is_wanted(name, asked.reading))
        except OSError as error:
            raise _name_error(container, found, error) from error
        rows.left_out |= dict.fromkeys(file.list_unread(asked.reading.image_col, columns))
        for cells in zip(*columns.values(), strict=True) if columns else repeat((), len(names[-1])):
            rows.add(dict(zip(columns, cells, strict=True)))
        _tell(asked, len(names), len(found.names))
    if not rows.rows:
        raise DataError(f"found no row in {found.said}; expected one for each image.")
    return _list_rows(found, rows, names, asked, "", describe_passed(found.passed))


def _list_rows(
    found: Found, rows: Rows, names: Sequence[Strings], asked: Asked, label: str, notes: tuple[str, ...]
) -> Listing:
    """The images with what their table says of them."""
    paths = Strings.gather(
        container + b"/" + name for container, held in zip(found.names, names, strict=True) for name in held
    )
    groups = name_groups(found.names)
    of_containers = read_splits_of(groups)
    _expect_one_each(found, groups, of_containers)
    splits = chain.from_iterable(map(repeat, of_containers, map(len, names)))
    table: SampleTable = rows.tabulate(Place(found.said), paths.__getitem__)
    said = read_samples(table, asked.reading, splits, label)
    columns = (Column.gather(one) for one in (said.labelled.labels, said.splits, said.groups))
    told = (*notes, *_say_unread(found, rows), *said.notes)
    return Listing(b"", Images(paths, *columns), told, said.labelled.classes, said.labelled.task)


def _expect_one_each(found: Found, groups: Sequence[str], splits: Sequence[str]) -> None:
    """Refuse a split that lies in several folders: those are several data sets, such as configurations of one."""
    folders: dict[str, dict[str, None]] = {}
    for group, split in zip(groups, splits, strict=True):
        folders.setdefault(split, {})[posixpath.dirname(group)] = None
    twice = next((split for split, held in folders.items() if split and len(held) > 1), "")
    if twice:
        one, two, *_ = folders[twice]
        raise DataError(
            f"found {twice} in {len(folders[twice])} folders of {found.said}, such as {one or '.'}/ and "
            f"{two or '.'}/; expected one data set: name the folder of one."
        )


def _say_unread(found: Found, rows: Rows) -> list[str]:
    """A note on what lies beside images and is not read."""
    named = [show_text(name) for name in rows.left_out]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    several = "s" if len(named) > 1 else ""
    name = posixpath.basename(found.said.rstrip("/"))
    return [f"ignored the column{several} {', '.join(named[:_MOST_NAMED])}{more} of {name}"] * bool(named)


def _scan_all(found: Found, content: Archives) -> Iterator[tuple[bytes, Scan]]:
    """What is in each container; of those behind a URL, several at once."""

    def scan(container: bytes) -> Scan:
        try:
            opened = content.open_container(container)
            assert isinstance(opened, Indexed)
            return opened.scanned
        except OSError as error:
            raise _name_error(container, found, error) from error

    pool = ThreadPoolExecutor(_AT_ONCE if is_address(found.place) else 1)
    try:
        yield from zip(found.names, pool.map(scan, found.names), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _name_error(container: bytes, found: Found, error: OSError) -> DataError:
    beside = "" if found.said.endswith(os.fsdecode(container)) else f" of {found.said}"
    return DataError(f"could not read {show_path(container)}{beside}: {error.strerror}.")


def _tell(asked: Asked, done: int, n: int) -> None:
    if asked.listed:
        asked.listed(done, n)
