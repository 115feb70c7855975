"""Results of cells on disk, named by all that makes them: a grid that ran before is read, not fitted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixgrid.cache.disk import commit_bytes, read_file
from fixgrid.cache.errors import DiskError

from .source import Place

# Raise it with any change that moves a figure of a cell: older results are then left aside.
HEADS_SEMANTICS = 3


@dataclass(frozen=True)
class Memo:
    """A folder of results.

    Attributes
    ----------
    folder : Path
        Made when the first result is kept.
    identify : callable
        From (split, kind, res) to a string that changes whenever the features, the rows left out or the labels
        there do; it must not cost a load.
    """

    folder: Path
    identify: Callable[[str, str, int], str]

    def name(self, facts: Mapping[str, Any], places: Iterable[Place]) -> str:
        """Hex sha256 over what a result depends on: ``facts`` (JSON values) and the features of ``places``."""
        features = [[*place, self.identify(*place)] for place in places]
        return _digest({"semantics": HEADS_SEMANTICS, "facts": facts, "features": features})

    def recall(self, name: str) -> dict[str, Any] | None:
        """What was kept under a name; None if nothing was or its file is damaged."""
        try:
            kept = json.loads(read_file(self._file(name)))
            record = kept["record"]
            whole = isinstance(record, dict) and kept["sha256"] == _digest([name, record])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return record if whole else None

    def keep(self, name: str, record: Mapping[str, Any]) -> None:
        """Write a record of JSON values under a name, whole or not at all.

        A folder that cannot be written costs the next grid its time and this one nothing; so does a record of an
        estimate without an interval, whose NaN JSON does not have.
        """
        with suppress(DiskError, ValueError):
            data = json.dumps({"sha256": _digest([name, record]), "record": record}, separators=(",", ":"))
            commit_bytes(self._file(name), data.encode())

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
