"""Containers of images as a data set."""

from __future__ import annotations

import os

from ..content import Content
from ..remote.address import is_address
from ..source import Asked, DataSource, Listing, expand_path
from .content import Archives
from .found import find_below, find_named, holds_containers, is_packed
from .listing import list_archives
from .members import has_braces


class Archive(DataSource):
    """Containers by their name, by several names with braces, or all that are in a folder without images.

    A single Parquet file is a table; only that tells whether it holds images.
    """

    words = "tar, zip or Parquet files of images (shards/, x-{000..099}.tar)"
    reads_columns = True

    def takes(self, text: str) -> bool:
        """Whether a name is of containers, see `holds_containers` for a folder."""
        path = expand_path(text)
        if not is_address(text) and path.is_dir():
            return holds_containers(os.fsencode(path))
        several = has_braces(text) and not path.exists()
        named = is_packed(text) and (several or not text.lower().endswith(".parquet"))
        return named and (several or is_address(text) or path.is_file())

    def list(self, text: str, asked: Asked) -> Listing:
        """See `list_archives`."""
        folder = not is_address(text) and expand_path(text).is_dir()
        found = find_below(text, follow_links=asked.follow_links) if folder else find_named(text)
        return list_archives(found, asked)

    def open(self, rest: str) -> Content:
        """See `Archives`."""
        return Archives(rest)
