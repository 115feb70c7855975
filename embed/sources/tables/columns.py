"""Which column of a table names the images, their labels, splits and groups."""

from __future__ import annotations

from dataclasses import dataclass

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.text import show_text

from ..reading import NONE, Reading, split_words
from ..tasks import Labelled, are_marks, read_labels, read_marks
from ..words import read_split_word
from .names import (
    ADDRESSES,
    BOXES,
    FOLDS,
    GROUPS,
    IMAGES,
    LABELS,
    LOOSE_SPLITS,
    SPLITS,
    find_mark,
    means,
    reduce_name,
)
from .table import Table

_USUAL = {"image": "path", "label": "label", "split": "split", "group": "group"}


@dataclass(frozen=True)
class Columns:
    """Places of columns, and what the user ought to know of the choice.

    Attributes
    ----------
    image : int
    labels : tuple of int
        One of labels, or several of marks, one a class; none without labels.
    splits : tuple of int
        One of words, or some of `MARKS`.
    group : int, optional
    notes : tuple of str
    """

    image: int
    labels: tuple[int, ...]
    splits: tuple[int, ...]
    group: int | None
    notes: tuple[str, ...]


def find_columns(table: Table, reading: Reading) -> Columns:
    """What the columns of a table mean: by the user's word, else by their names.

    Several columns without a name that is known are labels if nothing else is and all of their cells are marks.

    Raises
    ------
    UsageError
        If the user named a column that is not there.
    DataError
        If no column names images, or two have one meaning.
    """
    return _Choice(table, reading).choose()


def label_rows(table: Table, columns: Columns, reading: Reading) -> Labelled:
    """The labels of all rows.

    Raises
    ------
    DataError, UsageError
        See `read_labels` and `read_marks`.
    """
    if not columns.labels:
        if reading.task not in ("", "unlabelled"):
            raise UsageError(
                f"found --task {reading.task} and no labels in {table.file}; --label-col names their column, of "
                f"{table.show(*range(len(table.names)))}."
            )
        return Labelled("unlabelled", [""] * len(table.rows))
    cells = {table.names[column]: [row[column] for row in table.rows] for column in columns.labels}
    if len(cells) > 1:
        return read_marks(cells, reading, table.where)
    [(name, column)] = cells.items()
    return read_labels(column, show_text(name), reading, table.where)


class _Choice:
    def __init__(self, table: Table, reading: Reading) -> None:
        self.table, self.reading = table, reading
        asked = {role: getattr(reading, f"{role}_col") for role in _USUAL}
        self.asked = {role: self._find_named(role, said) for role, said in asked.items() if said}
        self.free = [
            column
            for column, name in enumerate(table.names)
            if name and not any(column in columns for columns in self.asked.values())
        ]

    def choose(self) -> Columns:
        image = self._choose_image()
        splits = self._choose_splits()
        group = self._choose_group(folds=not splits)
        labels = self._choose_labels()
        ignored = [column for column in self.free if self.table.names[column]]
        notes = self._say_roles({"image": (image,), "label": labels, "split": splits, "group": group})
        if ignored:
            several = "s" if len(ignored) > 1 else ""
            boxes = any(means(self.table.names[column], BOXES) for column in ignored)
            whole = "; images are seen whole: cut out what boxes are of" if boxes else ""
            notes += (f"ignored the column{several} {self.table.show(*ignored)} of {self.table.file.name}{whole}",)
        if not labels and self.reading.label_col != NONE and self.reading.task != "unlabelled":
            notes += (f"found no labels in {self.table.file.name}; --label-col names their column",)
        return Columns(image, labels, splits, group[0] if group else None, notes)

    def _find_named(self, role: str, said: str) -> tuple[int, ...]:
        """The columns that the user named; none for `NONE`."""
        if said == NONE:
            return ()
        whole = said in self.table.names
        return tuple(self._find_one(role, name) for name in ([said] if whole else split_words(said)))

    def _find_one(self, role: str, name: str) -> int:
        alike = [column for column, own in enumerate(self.table.names) if reduce_name(own) == reduce_name(name)]
        exact = [column for column, own in enumerate(self.table.names) if own == name] or alike
        if len(exact) != 1:
            held = self.table.show(*(column for column, own in enumerate(self.table.names) if own))
            raise UsageError(
                f"found --{role}-col {name}; expected one of the columns of {self.table.file}: {held or 'none'}."
            )
        return exact[0]

    def _take(self, role: str, pattern: str) -> tuple[int, ...]:
        """The one free column whose name fits; refused if there are two."""
        found = [column for column in self.free if means(self.table.names[column], pattern)]
        if len(found) > 1:
            raise DataError(
                f"found {len(found)} columns for the {role} in {self.table.file}: {self.table.show(*found)}; "
                f"choose with --{role}-col {self.table.names[found[0]]}."
            )
        self.free = [column for column in self.free if column not in found]
        return tuple(found)

    def _choose_image(self) -> int:
        found = self.asked.get("image")
        if found is None:
            found = next(filter(None, (self._take("image", tier) for tier in IMAGES)), ())
        if len(found) == 1:
            return found[0]
        table, remote = self.table, [c for c in self.free if means(self.table.names[c], ADDRESSES)]
        if remote:
            raise DataError(
                f"found addresses alone in {table.file}, under {table.show(*remote)}; expected files: download the "
                "images, and name the files in a column path."
            )
        held = table.show(*range(len(table.names))) or "none"
        raise DataError(
            f"found the columns {held} in {table.file}; expected path,label[,split], or images under "
            "path, image, file_name or the like: --image-col names the column."
        )

    def _choose_splits(self) -> tuple[int, ...]:
        if "split" in self.asked:
            return self.asked["split"]
        found = self._take("split", SPLITS)
        marks = [column for column in self.free if find_mark(self.table.names[column])]
        loose = [column for column in self.free if self._says_split(column)]
        several = [*found, *marks[:1], *loose]
        if len(several) > 1:
            raise DataError(
                f"found {len(several)} columns for the split in {self.table.file}: {self.table.show(*several)}; "
                f"choose with --split-col {self.table.names[several[0]]}."
            )
        chosen = (*found, *marks, *loose)
        self.free = [column for column in self.free if column not in chosen]
        return chosen

    def _says_split(self, column: int) -> bool:
        if not means(self.table.names[column], LOOSE_SPLITS):
            return False
        cells = {cells[column] for cells in self.table.rows}
        return all(isinstance(cell, str) and read_split_word(cell) for cell in cells)

    def _choose_group(self, *, folds: bool) -> tuple[int, ...]:
        if "group" in self.asked:
            return self.asked["group"]
        return self._take("group", GROUPS) or (self._take("group", FOLDS) if folds else ())

    def _choose_labels(self) -> tuple[int, ...]:
        if "label" in self.asked:
            return self.asked["label"]
        if self.reading.task == "unlabelled":
            return ()
        found = self._take("label", LABELS)
        if not found:
            found = tuple(column for column in self.free if are_marks([cells[column] for cells in self.table.rows]))
            found = found if len(found) > 1 else ()
        self.free = [column for column in self.free if column not in found]
        return found

    def _say_roles(self, chosen: dict[str, tuple[int, ...]]) -> tuple[str, ...]:
        """A note where a column was taken by another than its usual name, or several were."""
        said = [
            f"{self.table.show(*columns)} as {_USUAL[role]}"
            for role, columns in chosen.items()
            if [self.table.names[column].lower() for column in columns] not in ([], [_USUAL[role]])
        ]
        return (f"read {', '.join(said)} in {self.table.file.name}",) if said else ()
