"""Types of options that name a place: a file, a folder, or a cache, which may be in a bucket."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from fixgrid.cache.address import is_bucket


class Place(click.Path):
    """A path, in which ~ is expanded where no shell does it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, which must not be empty."""
        if not value:
            self.fail("found nothing; expected a path.", param, ctx)
        return Path(os.fsdecode(super().convert(os.path.expanduser(value), param, ctx)))


class CachePlace(Place):
    """A folder, or the address of a bucket."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or the address as it is."""
        return value if value and is_bucket(value) else super().convert(value, param, ctx)


class Root(Place):
    """A folder, or a URL as it is."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The folder's path, which must be there, or the URL's text."""
        return value if "://" in str(value) else super().convert(value, param, ctx)
