"""Every kind of data that ``--data`` may name, and which of them a text or the root of a data set belongs to."""

from __future__ import annotations

import os
from importlib import import_module

from fixgrid.cache.errors import DataError, UsageError

from .content import Content, Files
from .source import DataSource, expand_path

SOURCES: dict[str, str] = {
    "sample": "fixgrid.embed.sources.sample:Sample",
    "stanford-dogs": "fixgrid.embed.sources.stanford:StanfordDogs",
    "torchvision": "fixgrid.embed.sources.torchvision:Torchvision",
    "archive": "fixgrid.embed.sources.archives.archive:Archive",
    "folder": "fixgrid.embed.sources.folder:Folder",
    "table": "fixgrid.embed.sources.tables.tablefile:TableFile",
    "remote-table": "fixgrid.embed.sources.remote.bucket:BucketTable",
    "remote": "fixgrid.embed.sources.remote.bucket:Bucket",
}
"""Name to ``module:class`` of a `DataSource`, in the order in which they are asked; imported only then."""


def load_source(line: str) -> DataSource:
    """The source that a line of `SOURCES` names."""
    module, _, name = line.partition(":")
    source: DataSource = getattr(import_module(module), name)()
    return source


def describe_sources() -> str:
    """What ``--data`` may say, for help and error messages."""
    *first, last = (load_source(line).words for line in SOURCES.values())
    return f"{', '.join(first)}, or {last}"


def find_source(text: str) -> DataSource:
    """The first source that takes a text.

    Raises
    ------
    UsageError
        If it is a word, or a file, that no source takes.
    DataError
        If it is a path, and nothing is there.
    """
    if not text:
        raise UsageError(f"found an empty name of a data set; expected {describe_sources()}.")
    for line in SOURCES.values():
        source = load_source(line)
        if source.takes(text):
            return source
    path = expand_path(text)
    if path.exists() or not (os.sep in text or path.suffix):
        raise UsageError(f"cannot read {text} as a data set; expected {describe_sources()}.")
    raise DataError(f"there is no {text}; expected {describe_sources()}.")


def find_opener(root: str) -> str:
    """The line of `SOURCES` whose source opens a data set's root; empty for files in a folder.

    Raises
    ------
    DataError
        If it is no absolute folder, and begins with the name of no source.
    """
    if os.path.isabs(root):
        return ""
    name, colon, _ = root.partition(":")
    if not colon or name not in SOURCES:
        raise DataError(
            f"cannot open the images in {root}; expected an absolute folder, or NAME:PLACE by one of the sources "
            f"{', '.join(SOURCES)}."
        )
    return SOURCES[name]


def open_content(root: str, opener: str = "") -> Content:
    """What reads the images of a data set.

    Parameters
    ----------
    root : str
        Of the manifest: an absolute folder, or ``NAME:rest``.
    opener : str
        What `find_opener` said of it, where this process' own table may lack the line.

    Raises
    ------
    DataError
        See `find_opener`.
    """
    line = opener or find_opener(root)
    return load_source(line).open(root.partition(":")[2]) if line else Files(root)
