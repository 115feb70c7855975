"""Which formats features are written in, and the writing, whole or not at all."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from fixgrid.cache.disk import commit_stream
from fixgrid.cache.errors import UsageError

from .lines import Lines

FORMATS = {
    ".npz": "fixgrid.heads.formats.npz",
    ".parquet": "fixgrid.heads.formats.parquet",
    ".safetensors": "fixgrid.heads.formats.tensors",
    ".lightly.csv": "fixgrid.heads.formats.lightly",
    ".csv": "fixgrid.heads.formats.text",
}
"""One line a format: the end of a file's name, and a module that is a `Format`."""


class Format(Protocol):
    """Writes lines."""

    def check(self, lines: Lines) -> None:
        """Refuse lines that the format cannot hold, or a library that is not here, before anything is written."""

    def write(self, lines: Lines, file: BinaryIO) -> None:
        """Write all of them."""


def find_format(file: Path) -> Format:
    """The format that a file's name asks for.

    Raises
    ------
    UsageError
        If it asks for none.
    """
    for suffix, module in FORMATS.items():
        if file.name.lower().endswith(suffix) and file.name.lower() != suffix:
            return cast(Format, import_module(module))
    raise UsageError(f"found --out {file}; expected a name that ends in one of {', '.join(FORMATS)}.")


def write_lines(lines: Lines, file: Path) -> None:
    """Write the lines into a file, in the format that its name asks for.

    Raises
    ------
    UsageError
        As `find_format`, or if the format cannot hold them.
    DiskError
        If it cannot be written; an older file is untouched then.
    """
    form = find_format(file)
    form.check(lines)
    commit_stream(file, lambda stream: form.write(lines, stream))
