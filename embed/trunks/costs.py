"""Parameters and multiply-adds of trunks, remembered: they depend on the architecture alone, and torch is slow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from fixgrid.cache.disk import commit_bytes, read_file
from fixgrid.cache.errors import DiskError

COSTS_FILE = Path("trunks", "costs.json")
"""Where a cache folder keeps them."""


def recall_costs(architecture: str, resolutions: Sequence[int], memo: Path) -> tuple[int, dict[int, int]]:
    """Parameters of a trunk, and multiply-adds per image at each resolution (px).

    Parameters
    ----------
    architecture : str
        See `embed.architectures.find_source`.
    resolutions : sequence of int, px
    memo : Path
        File that remembers counts; one that cannot be written costs the next call its time.

    Raises
    ------
    UsageError
        If the architecture is unknown.
    """
    known = _recall(memo)
    wanted = {res: f"{architecture} {res}" for res in resolutions}
    if not {architecture, *wanted.values()} <= known.keys():
        from .trunk import count_costs

        for res, name in wanted.items():
            costs = count_costs(architecture, res)
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
    return [version(name) for name in ("torch", "timm", "torchvision")]
