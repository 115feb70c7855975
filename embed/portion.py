"""A portion of a pass: which rows are one process' of several, on one machine or many, without a word to others."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError

MIN_ROWS, MAX_ROWS, PIECES = 128, 2048, 1024
"""Rows of a piece: a power of two, so that batches of accelerators end where they do in one run of all rows."""
_WRITTEN = re.compile(r"(\d+|auto)(?:/(\d+))?")


@dataclass(frozen=True)
class Portion:
    """Part ``index`` of ``count``, from 0.

    Attributes
    ----------
    index, count : int
    why : str
        The variables of the environment that said so; empty if the user did.
    """

    index: int
    count: int
    why: str = ""

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def cut(self, sizes: Mapping[str, int]) -> dict[str, NDArray[np.bool_]]:
        """Its rows of each split: bool arrays, shapes (n,).

        Pieces are the same whatever ``count`` is, and dealt in turn: classes and sizes of files differ along the
        rows, and so each part gets some of all.

        Parameters
        ----------
        sizes : mapping of split to int
            Rows, in the order in which pieces are counted.
        """
        found, before = {}, 0
        for split, n in sizes.items():
            piece = before + np.arange(n) // piece_rows(n)
            found[split] = np.asarray(piece % self.count == self.index)
            before = int(piece[-1]) + 1 if n else before
        return found


def piece_rows(n: int) -> int:
    """Rows of a piece of a split of ``n``: near n / 1,024, from 128 to 2,048."""
    return int(np.clip(2 ** round(np.log2(max(n, 1) / PIECES)), MIN_ROWS, MAX_ROWS))


def read_portion(text: str | None, environment: Mapping[str, str] | None = None) -> Portion | None:
    """The part that is meant by ``I/N``, ``auto``, or ``auto/N``; None of nothing.

    ``auto`` is what a scheduler says to each of its processes: the place in a Slurm array, times the tasks of its
    steps (``SLURM_ARRAY_TASK_ID`` and ``_COUNT``, ``SLURM_PROCID`` and ``SLURM_NTASKS``), ``RANK`` of
    ``WORLD_SIZE``, or ``JOB_COMPLETION_INDEX``, for which N has to be given.

    Parameters
    ----------
    text : str or None
    environment : mapping, optional
        That of this process if not given.

    Raises
    ------
    UsageError
        If it names no part, or the environment tells none.
    """
    if not text:
        return None
    written = _WRITTEN.fullmatch(text.strip())
    if not written or (written[1] != "auto" and written[2] is None):
        raise UsageError(f"found --part {text!r}; expected I/N, from 0/4 to 3/4 for four parts, or auto.")
    count = int(written[2] or 0)
    if written[1] == "auto":
        return _find_portion(os.environ if environment is None else environment, count)
    return _expect_part(Portion(int(written[1]), count), f"--part {text}")


def _find_portion(environment: Mapping[str, str], count: int) -> Portion:
    """What the environment says, of ``count`` parts if that is not 0."""
    slurm, why = _read_slurm(environment)
    if slurm:
        found = Portion(*slurm, why)
    elif "RANK" in environment and "WORLD_SIZE" in environment:
        rank, size = (_read_number(environment, name) for name in ("RANK", "WORLD_SIZE"))
        found = Portion(rank, size, "RANK and WORLD_SIZE")
    elif "JOB_COMPLETION_INDEX" in environment:
        if not count:
            raise UsageError(
                "found --part auto with JOB_COMPLETION_INDEX, which does not say of how many; expected their "
                "number behind it, as in --part auto/16."
            )
        found = Portion(_read_number(environment, "JOB_COMPLETION_INDEX"), count, "JOB_COMPLETION_INDEX")
    else:
        raise UsageError(
            "found --part auto, but no variables of a scheduler (SLURM_ARRAY_TASK_ID, SLURM_PROCID, RANK, "
            "JOB_COMPLETION_INDEX); expected some, or I/N, as in --part 0/4."
        )
    if count not in (0, found.count):
        raise UsageError(f"found --part auto/{count}, but part {found} from {found.why}; expected one number.")
    return _expect_part(found, f"part {found} from {found.why}")


def _read_slurm(environment: Mapping[str, str]) -> tuple[tuple[int, int] | None, str]:
    """Index and count of a task of a Slurm array, of a step, or of steps of an array; and what said so."""
    index, count, why = 0, 1, []
    if "SLURM_ARRAY_TASK_ID" in environment:
        task, count = (_read_number(environment, f"SLURM_ARRAY_TASK_{name}") for name in ("ID", "COUNT"))
        first, step = (
            _read_number(environment, f"SLURM_ARRAY_TASK_{name}", default)
            for name, default in (("MIN", 0), ("STEP", 1))
        )
        index, why = (task - first) // max(step, 1), ["SLURM_ARRAY_TASK_ID"]
    if "SLURM_PROCID" in environment and "SLURM_NTASKS" in environment:
        place, tasks = (_read_number(environment, name) for name in ("SLURM_PROCID", "SLURM_NTASKS"))
        if tasks > 1 or not why:
            index, count, why = index * tasks + place, count * tasks, [*why, "SLURM_PROCID"]
    return ((index, count) if why else None), " and ".join(why)


def _read_number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environment.get(name, "" if default is None else str(default))
    if not text.isdecimal():
        raise UsageError(f"found {name}={text!r}; expected a whole number, or the part itself, as in --part 0/4.")
    return int(text)


def _expect_part(portion: Portion, said: str) -> Portion:
    if not 0 <= portion.index < portion.count:
        of = f"from 0/{portion.count} to {portion.count - 1}/{portion.count}" if portion.count else "N of 1 or more"
        raise UsageError(f"found {said}; expected a part {of}.")
    return portion
