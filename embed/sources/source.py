"""What a kind of data is to the rest: it says which names are its own, and lists the images behind one."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fixgrid.cache.rows import TASKS

from .content import Content, Files
from .images import Image as Image
from .images import Images
from .images import Label as Label
from .reading import Reading

Progress = Callable[[str, int, int], None]
"""Called with (archive name, bytes done, bytes in all) while something is downloaded."""


@dataclass(frozen=True)
class Listing:
    """What a source names.

    Attributes
    ----------
    root : bytes
        What every path is relative to: an absolute folder, links resolved; or ``NAME:rest``, the images that the
        source of that name in the table opens by ``rest``.
    images : Images
        Made of any iterable of `Image`, in any order, without repeats.
    notes : tuple of str
        What was passed over, for the user.
    classes : tuple of str
        In the source's own order; empty means "sort the labels". Of numbers what they are, one name.
    task : str
        What the labels are, one of `fixgrid.cache.rows.TASKS`.
    content : Content, optional
        What reads the images, if listing them told their stamps as well.
    """

    root: bytes
    images: Collection[Image]
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    task: str = TASKS[0]
    content: Content | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", Images.gather(self.images))

    @property
    def columns(self) -> Images:
        """The images, by column."""
        return Images.gather(self.images)


@dataclass(frozen=True)
class Asked:
    """What the user wants of a data set beside its name; a source takes what concerns it.

    Attributes
    ----------
    cache_dir : Path
        Downloads go below it, each source into a folder of its own.
    seed : int
        Of a split that the source deals itself.
    follow_links : bool
        Follow symbolic links that stay inside the source.
    progress : callable, optional
        Hears of downloads.
    listed : callable, optional
        Called with (files listed, files in all) where these hold many images each.
    reading : Reading
        Of a table's columns; what its labels are.
    one_class : bool
        Whether one class is enough, as of images that a head is to be scored on.
    """

    cache_dir: Path
    seed: int = 0
    follow_links: bool = False
    progress: Progress | None = None
    reading: Reading = field(default_factory=Reading)
    one_class: bool = False
    listed: Callable[[int, int], None] | None = None


def expand_path(text: str) -> Path:
    """The place that a text names, ``~`` being the user's home."""
    return Path(os.path.expanduser(text))


class DataSource(Protocol):
    """One kind of data; made without arguments, from its line of the table.

    Attributes
    ----------
    words : str
        What ``--data`` may say, for help and error messages.
    reads_columns : bool
        Whether it heeds all of `Reading`; of others labels alone are taken for what is asked.
    """

    words: str
    reads_columns: bool = False

    def takes(self, text: str) -> bool:
        """Whether ``--data text`` means this source: cheap, from the text or a look at the disk."""
        ...

    def list(self, text: str, asked: Asked) -> Listing:
        """The images that `text` names, written or downloaded first if need be.

        Raises
        ------
        UsageError, DataError, DiskError
            If there are none; the message names the file.
        """
        ...

    def is_local(self, text: str, cache_dir: Path) -> bool:
        """Whether listing `text` downloads nothing."""
        return True

    def open(self, rest: str) -> Content:
        """What reads the images of a listing whose root is ``NAME:rest``; touches nothing yet."""
        return Files(rest)
