"""Why rows have no features, kept beside them as one line of JSON per row."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from fixgrid.cache.disk import commit_bytes, read_file

from .job import BadRow

NAME = "quarantine.jsonl"


def write_reasons(folder: Path, bad: Iterable[BadRow]) -> None:
    """Record the bad rows of one key.

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
    commit_bytes(folder / NAME, "".join(line + "\n" for line in lines).encode("ascii"))


def read_reasons(folder: Path) -> dict[int, str]:
    """Reason by row id, as recorded; what is missing or damaged says nothing."""
    try:
        lines = read_file(folder / NAME).splitlines()
        records = [json.loads(line) for line in lines]
        return {int(record["row"]): str(record["reason"]) for record in records}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
