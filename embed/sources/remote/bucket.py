"""A URL as a data set: a folder in a bucket, or a table there or on a web server."""

from __future__ import annotations

import os
import posixpath
from dataclasses import replace

from fixgrid.cache.datasets import TABLES, is_table
from fixgrid.cache.errors import DataError

from ..archives.found import find_named, is_packed, part_containers
from ..archives.listing import holds_images, list_archives
from ..content import Content
from ..folder import list_walk
from ..source import Asked, DataSource, Listing
from ..tables.tablefile import list_table
from .address import Address, is_address, read_address
from .content import Remote
from .names import name_root, sort_paths
from .store import expect_reader


class Bucket(DataSource):
    """A folder in a bucket."""

    words = "a URL of such a folder (s3:// gs:// az:// abfs:// hf://datasets/)"

    def takes(self, text: str) -> bool:
        """Any URL: one that cannot be read is refused with a reason."""
        return is_address(text)

    def list(self, text: str, asked: Asked) -> Listing:
        """Images by the layout of their folders, as if these were here.

        Raises
        ------
        UsageError
            If the URL is none that can be read, or what reads its scheme is not installed.
        DataError
            If it cannot be listed, or as `fixgrid.embed.sources.folder.list_folder`.
        """
        address = read_address(text)
        if address.is_web:
            raise DataError(
                f"found {address}, a folder, which a web server does not list; expected a table there "
                f"({' '.join(TABLES)}) of paths and labels."
            )
        content = Remote(text)
        paths = content.list()
        if not paths:
            raise DataError(f"there is nothing below {address}; expected a folder of images.")
        walk = sort_paths(paths)
        if not walk.images and any(is_packed(os.fsdecode(one.path)) for one in walk.passed):
            stamps = {path: content.stamp(path) for path in paths}
            return list_archives(part_containers(str(address), walk.images, walk.passed, text, stamps), asked)
        found = list_walk(walk, name_root(address), address, one_class=asked.one_class)
        return replace(found, content=content)

    def open(self, rest: str) -> Content:
        """See `Remote`."""
        return Remote(rest)


class BucketTable(DataSource):
    """A table in a bucket or on a web server."""

    words = "a URL of such a table (and http:// https://)"
    reads_columns = True

    def takes(self, text: str) -> bool:
        """Any URL with such a suffix."""
        return is_address(text) and is_table(text)

    def list(self, text: str, asked: Asked) -> Listing:
        """See `list_table`, and `list_archives` of images in a Parquet file; paths are below the URL's folder."""
        file = FarFile(read_address(text))
        expect_reader(file.address)
        if holds_images(text):
            return list_archives(find_named(text), asked)
        return list_table(file, asked.reading, follow_links=asked.follow_links)


class FarFile:
    """A table behind a URL, as readers of tables take it."""

    def __init__(self, address: Address) -> None:
        self.address, self.name, self.parent = address, address.name, address.go_up()
        self.suffix = posixpath.splitext(self.name)[1]

    def __str__(self) -> str:
        return str(self.address)

    def read_bytes(self) -> bytes:
        """All of it; `OSError` if it cannot be read."""
        return Remote(str(self.parent)).read(self.name.encode())
