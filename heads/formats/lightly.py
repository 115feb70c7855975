"""LightlyOne's embeddings: filenames, embedding_0, ..., labels (https://docs.lightly.ai/docs/custom-embeddings)."""

from __future__ import annotations

from typing import BinaryIO

from fixgrid.cache.errors import UsageError

from .lines import Lines
from .text import read_texts, to_text


def check(lines: Lines) -> None:
    """Refuse several views of an image, which LightlyOne expects once, and names that are not UTF-8."""
    if lines.view.any():
        raise UsageError(
            f"found {lines.view.max() + 1} views of an image; LightlyOne takes one line an image: --view center."
        )
    lines.expect_text(".csv")


def write(lines: Lines, file: BinaryIO) -> None:
    """Write the lines; ``labels`` is 0 for all, as LightlyOne has it."""
    file.write(to_text([["filenames", *(f"embedding_{i}" for i in range(lines.dim)), "labels"]]))
    for part, texts in read_texts(lines):
        paths = lines.list_paths(part)
        file.write(to_text([path.decode(), *row, 0] for path, row in zip(paths, texts, strict=True)))
