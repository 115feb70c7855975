"""Parameters and multiply-adds of trunks, remembered: they depend on the architecture alone, and torch is slow."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from fixgrid.cache.disk import commit_bytes, read_file
from fixgrid.cache.errors import DiskError

from .library import list_versions

if TYPE_CHECKING:
    from .trunk import Trunk

COSTS_FILE = Path("trunks", "costs.json")
"""Where a cache folder keeps them."""


def recall_costs(
    architecture: str, resolutions: Sequence[int], memo: Path, load: Callable[[], Trunk] | None = None
) -> tuple[int, dict[int, int]]:
    """Parameters of a trunk, and multiply-adds per image at each resolution (px).

    Parameters
    ----------
    architecture : str
        See `embed.trunks.source.TrunkSource`.
    resolutions : sequence of int, px
    memo : Path
        File that remembers counts; one that cannot be written costs the next call its time.
    load : callable, optional
        Loads the trunk, for one that its architecture is not enough to build: a user's own module.

    Raises
    ------
    UsageError
        If the architecture is unknown, or another module's and not remembered.
    """
    known = _recall(memo)
    wanted = {res: f"{architecture} {res}" for res in resolutions}
    if not {architecture, *wanted.values()} <= known.keys():
        from .trunk import count_architecture, count_module

        own = load() if load else None
        for res, name in wanted.items():
            if own is None:
                costs = count_architecture(architecture, res)
            else:
                costs = count_module(own.name, own.module, own.dim, res)
            known |= {name: costs.macs, architecture: costs.parameters}
        _remember(memo, known)
    return known[architecture], {res: known[name] for res, name in wanted.items()}


def _recall(memo: Path) -> dict[str, int]:
    try:
        record = json.loads(read_file(memo))
        counts = record["counts"] if record["versions"] == _versions() else {}
        return {str(name): int(count) for name, count in counts.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _remember(memo: Path, counts: dict[str, int]) -> None:
    with suppress(DiskError):
        commit_bytes(memo, json.dumps({"versions": _versions(), "counts": counts}, sort_keys=True).encode())


def _versions() -> list[str]:
    return [version("torch"), *list_versions()]
