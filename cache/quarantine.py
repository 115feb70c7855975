"""Why rows have no features, kept beside them as one line of JSON per row, and which classes have none."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .disk import commit_bytes, read_file, remove_file
from .key import Spec
from .rows import Manifest
from .shard import Status
from .text import show_path

NAME, PART = "quarantine.jsonl", "quarantine-{}.jsonl"


@dataclass(frozen=True)
class BadRow:
    """A row that has no features, and why."""

    split: str
    row: int
    path: bytes
    status: Status
    reason: str

    def say_cure(self, spec: Spec) -> str:
        """What else to ask for where not its file is at fault but the arithmetic of a key; empty if the file is."""
        if self.status != Status.NONFINITE:
            return ""
        if spec.dtype in self.reason:
            return "run extract again with --dtype float32"
        if spec.precision != "fp32":
            return "run extract again with --precision fp32"
        return "the files are fine: run extract again with other weights or another trunk"


def write_reasons(folder: Path, bad: Iterable[BadRow], part: str = "") -> None:
    """Record the bad rows of one key: all of them, or those of a part, beside those of others.

    Parameters
    ----------
    folder : Path
        Of the key.
    bad : iterable of BadRow
    part : str
        As in ``1/4``, of whose rows more are bad than is known already; empty for all.

    Raises
    ------
    DiskError
        If the write fails.
    """
    lines = [
        json.dumps(
            {
                "row": row.row,
                "path": os.fsdecode(row.path),
                "status": row.status.name.lower(),
                "reason": row.reason,
            }
        )
        for row in bad
    ]
    file = folder / (PART.format(part.replace("/", "-of-")) if part else NAME)
    before = [json.dumps(record) for record in _read_records(file)] if part else []
    text = "".join(line + "\n" for line in dict.fromkeys([*before, *lines]))
    commit_bytes(file, text.encode("ascii"))
    if not part:
        for known in _list_parts(folder):
            remove_file(known)


def read_reasons(folder: Path) -> dict[int, str]:
    """Reason by row id, as recorded; what is missing or damaged says nothing."""
    files = (*_list_parts(folder), folder / NAME)
    return {int(record["row"]): str(record["reason"]) for file in files for record in _read_records(file)}


def _list_parts(folder: Path) -> list[Path]:
    return sorted(folder.glob(PART.format("*")))


def _read_records(file: Path) -> list[dict[str, Any]]:
    try:
        records = [json.loads(line) for line in read_file(file).splitlines()]
        return [record for record in records if {"row", "reason"} <= set(record) and int(record["row"]) >= 0]
    except (OSError, ValueError, TypeError):
        return []


@dataclass(frozen=True)
class Loss:
    """Classes of a split of which no image has features.

    Attributes
    ----------
    split : str
    classes : tuple of str
    whole : bool
        Whether no image of the split has.
    files : int
        Images of these classes.
    first : BadRow
    """

    split: str
    classes: tuple[str, ...]
    whole: bool
    files: int
    first: BadRow

    @property
    def is_fatal(self) -> bool:
        """Whether no head can be fitted, chosen or scored: of val and test a class may be missing."""
        return self.whole or self.split == "train"

    def say_cure(self, spec: Spec) -> str:
        """What to do about it, under a key."""
        other = "put others in their place" if self.whole else "remove the class"
        return self.first.say_cure(spec) or f"mend them or {other}, and run extract again"

    def __str__(self) -> str:
        """What is lost, as ``no usable image of the split val: all 12 files ..., first a.png (empty file)``."""
        what = f"the split {self.split}"
        if not self.whole:
            more = f"{len(self.classes)} classes, such as" if len(self.classes) > 1 else "the class"
            what = f"{more} {show_path(os.fsencode(self.classes[0]))} in {self.split}"
        files = f"all {self.files} files are" if self.files > 1 else "its only file is"
        first = f"{show_path(self.first.path)} ({self.first.reason})"
        return f"no usable image of {what}: {files} without features, first {first}"


def _find_lost(labels: NDArray[Any], ok: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], list[int]]:
    """Rows of which nothing is left, bool (n,), and the classes that these are: of numbers none."""
    if not ok.any():
        classes = np.flatnonzero(labels.any(0)) if labels.ndim == 2 else np.unique(labels)
        return ~ok, [] if labels.dtype.kind == "f" else [k for k in classes.tolist() if k >= 0]
    if labels.dtype.kind == "f":
        return np.zeros(len(ok), np.bool_), []
    if labels.ndim == 2:
        gone = labels.any(0) & ~labels[ok].any(0)
        return np.asarray(labels[:, gone].any(1)), np.flatnonzero(gone).tolist()
    lost = np.isin(labels, labels[ok], invert=True)
    return lost, np.unique(labels[lost]).tolist()


def find_loss(manifest: Manifest, split: str, status: NDArray[np.uint8], reasons: Mapping[int, str]) -> Loss | None:
    """What is lost of a split whose rows have these statuses; None if each of its classes has features.

    Parameters
    ----------
    manifest : Manifest
    split : str
    status : uint8 array, shape (n,)
        A `Status` per row.
    reasons : mapping of row id to str
        As far as they are known.
    """
    rows, ok = manifest.splits[split], status == Status.OK
    lost, gone = _find_lost(rows.labels, ok)
    if not lost.any():
        return None
    row = int(np.argmax(lost))
    code = Status(int(status[row]))
    first = BadRow(split, row, rows.paths[row], code, reasons.get(row, code.name.lower()))
    names = tuple(manifest.classes[label] for label in gone)
    return Loss(split, names, not ok.any(), int(lost.sum()), first)
