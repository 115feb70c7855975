"""How much memory a fit may take: as it is asked for, or a share of what there is."""

from __future__ import annotations

import re
from pathlib import Path

from .cache.errors import UsageError
from .embed.sizing import read_available_bytes

SHARE = 0.5
"""Of the memory that can be had, if nothing else is asked for."""
_UNITS = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def read_memory(asked: str | int | None) -> int:
    """Bytes from ``4GB``, ``3.5GiB``, ``50%`` of what can be had, or a number of them; half of that if not given.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    if asked is None:
        return int(SHARE * find_memory())
    if isinstance(asked, int):
        size = float(asked)
    else:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%|[kmgt]i?b)", asked.strip().lower())
        number, unit = (float(found[1]), found[2]) if found else (0.0, "")
        size = number / 100 * find_memory() * (number <= 100) if unit == "%" else number * _UNITS.get(unit, 0)
    if size < 1:
        raise UsageError(
            f"found --memory {asked!r}; expected a size as in 4GB, or a share of what is free as in 50%."
        )
    return int(size)


def find_memory(root: Path = Path("/sys/fs/cgroup"), mine: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes that can be had without swapping; of a container or a job no more than its limit."""
    limits = [read_available_bytes()]
    try:
        groups = [line.split(":", 2)[1:] for line in mine.read_text().splitlines()]
    except OSError:
        groups = []
    for kinds, path in groups:
        if kinds in ("", "memory"):
            name = "memory.limit_in_bytes" if kinds else "memory.max"
            folder = root / kinds / path.lstrip("/")
            for place in (folder, *folder.parents):
                if place.is_relative_to(root):
                    limits += _read_limit(place / name)
    return min(limits)


def _read_limit(file: Path) -> list[int]:
    try:
        text = file.read_text().strip()
    except OSError:
        return []
    return [int(text)] if text.isdecimal() else []
