"""How a table is to be read, and what labels are to be taken for: what a user says of it beside its name."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from fixgrid.cache.errors import UsageError
from fixgrid.cache.rows import TASKS

from .remote.address import is_address, read_address

NONE = "none"
"""In place of a column: that there is to be none for the role."""


@dataclass(frozen=True)
class Reading:
    """Each empty where it is left to the data themselves.

    Attributes
    ----------
    image_col, label_col, split_col, group_col : str
        Columns of a table by their names; several, as in ``a,b``, of labels, one 0/1 column a class, and of splits;
        `NONE` for no column at all.
    root : str
        Absolute folder or URL that relative paths begin at; the table's own if not given.
    task : str
        What labels are, one of `fixgrid.cache.rows.TASKS`.
    classes : str
        Names of the classes in their order, as in ``low,mid,high``.
    """

    image_col: str = ""
    label_col: str = ""
    split_col: str = ""
    group_col: str = ""
    root: str = ""
    task: str = ""
    classes: str = ""

    def __post_init__(self) -> None:
        if self.task and self.task not in TASKS:
            raise UsageError(f"found --task {self.task!r}; expected one of {', '.join(TASKS)}.")
        if self.classes and self.task in ("regression", "unlabelled"):
            raise UsageError(f"found --classes with --task {self.task}, which has none; leave one of them out.")

    @classmethod
    def read(
        cls,
        image_col: str | None = None,
        label_col: str | Sequence[str] | None = None,
        split_col: str | None = None,
        group_col: str | None = None,
        root: str | Path | None = None,
        task: str | None = None,
        classes: str | Sequence[str] | None = None,
    ) -> Reading:
        """What a user gave, each as text, words or nothing."""
        far = is_address(str(root or ""))
        folder = str(read_address(str(root))) if far else os.path.realpath(Path(root).expanduser()) if root else ""
        names = image_col or "", join_words(label_col or ""), split_col or "", group_col or ""
        return cls(*names, folder, task or "", join_words(classes or ""))

    @property
    def names_columns(self) -> bool:
        """Whether it is about a table's columns, and not of labels alone."""
        return any((self.image_col, self.label_col, self.split_col, self.group_col, self.root))

    @classmethod
    def recall(cls, options: Sequence[str]) -> Reading:
        """What `say` wrote, among other options."""
        words = {field.name: _name_option(field.name) for field in fields(cls)}
        return cls(**{name: options[options.index(word) + 1] for name, word in words.items() if word in options})

    def say(self) -> tuple[str, ...]:
        """As options of ``extract``."""
        given = {field.name: str(getattr(self, field.name)) for field in fields(self)}
        return tuple(word for name, value in given.items() if value for word in (_name_option(name), value))


def _name_option(name: str) -> str:
    return "--" + name.replace("_", "-")


def join_words(words: str | Sequence[str]) -> str:
    """Several words as one text, with quotes around a word that has a comma."""
    if isinstance(words, str):
        return words
    return ",".join(f'"{word}"' if "," in word else word for word in words)


def split_words(text: str) -> tuple[str, ...]:
    """The words of `join_words`, blanks around them taken off."""
    words = next(csv.reader([text], skipinitialspace=True), [])
    return tuple(word.strip() for word in words if word.strip())
