"""A URL as a data set: a folder in a bucket, or a table there or on a web server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fixgrid.cache.errors import DataError

from ..content import Content
from ..folder import list_walk
from ..source import Asked, DataSource, Listing
from ..walk import HIDDEN, OTHER, Passed, Walk, is_hidden, is_image
from .address import Address, is_address, read_address
from .content import Remote
from .store import expect_reader

NAME = "remote"
"""Of this source in the table: what a root begins with."""
_ODD = "name(s) that no folder can have, with an empty part, . or .."


class Bucket(DataSource):
    """A folder in a bucket."""

    words = "a URL of such a folder or table (s3:// gs:// az:// abfs:// http://)"

    def takes(self, text: str) -> bool:
        """Any URL: one that cannot be read is refused with a reason."""
        return is_address(text)

    def list(self, text: str, asked: Asked) -> Listing:
        """See `list_bucket`."""
        return list_bucket(read_address(text), one_class=asked.one_class)

    def open(self, rest: str) -> Content:
        """See `Remote`."""
        return Remote(rest)


def list_bucket(address: Address, *, one_class: bool = False) -> Listing:
    """Images of a folder in a bucket, by its layout as if it were here.

    Raises
    ------
    UsageError
        If what reads the scheme is not installed.
    DataError
        If it cannot be listed, or as `fixgrid.embed.sources.folder.list_folder`.
    """
    expect_reader(address)
    if address.is_web:
        raise DataError(f"found {address}, which a web server does not list; expected a table there.")
    content = Remote(address.url)
    try:
        paths = content.list()
    except OSError as error:
        raise DataError(f"could not list {address}: {error.strerror}.") from error
    if not paths:
        raise DataError(f"there is nothing below {address}; expected a folder of images.")
    found = list_walk(sort_paths(paths), name_root(address), address, one_class=one_class)
    return replace(found, content=content)


def name_root(address: Address) -> bytes:
    """What paths below a URL are relative to, as a `Listing` has it."""
    return f"{NAME}:{address.url}".encode()


def sort_paths(paths: Iterable[bytes]) -> Walk:
    """What a walk would find if these were files below a folder; nothing is opened."""
    images, folders, passed = list[bytes](), set[bytes](), set[Passed]()
    for path in paths:
        parts = path.split(b"/")
        hidden = next((n for n, part in enumerate(parts, 1) if is_hidden(part)), 0)
        if b"\0" in path or any(part in (b"", b".", b"..") for part in parts):
            passed.add(Passed(path, _ODD))
            continue
        depth = hidden or len(parts)
        folders.update(b"/".join(parts[:n]) for n in range(1, depth))
        if hidden:
            passed.add(Passed(b"/".join(parts[:hidden]), HIDDEN))
        elif is_image(path):
            images.append(path)
        else:
            passed.add(Passed(path, OTHER))
    return Walk(sorted(images), sorted(folders), sorted(passed))
