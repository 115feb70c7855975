"""A URL as a data set."""

from __future__ import annotations

from ..content import Content
from ..source import DataSource
from .content import Remote


class Bucket(DataSource):
    """A folder in a bucket."""

    words = "a URL of such a folder or table (s3:// gs:// az:// http://)"

    def takes(self, text: str) -> bool:
        """Not yet."""
        return False

    def open(self, rest: str) -> Content:
        """See `Remote`."""
        return Remote(rest)
