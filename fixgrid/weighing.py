"""What an answer about one image costs: multiply-adds, milliseconds of a core as measured here, parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .cache.errors import FixgridError
from .cache.holdings import Holdings
from .embed.keys import TrunkKey
from .embed.speed import recall_ms
from .embed.trunks.costs import COSTS_FILE, recall_costs
from .heads.cell import Cost

SPEEDS = "speed"
"""Folder of a cache that remembers how fast trunks were."""


def weigh(folder: Path, holdings: Holdings, resolutions: Sequence[int], crops: int) -> Cost | None:
    """The cost of one image seen at each of several resolutions; None if the trunk cannot be counted any more.

    Parameters
    ----------
    folder : Path
        The cache, which remembers costs and speeds.
    holdings : Holdings
        Features of the trunk.
    resolutions : sequence of int, px
    crops : int
        At each of them.
    """
    entry = next(iter(holdings.entries.values()))
    try:
        parameters, macs = recall_costs(str(entry.spec.trunk["architecture"]), resolutions, folder / COSTS_FILE)
    except FixgridError:  # a module of the user's own whose costs are no longer remembered
        return None
    weights = str(entry.spec.trunk["weights_sha256"])
    ms = recall_ms(folder / SPEEDS, weights, resolutions, entry.spec.precision)
    known = set(resolutions) <= ms.keys()
    return Cost(sum(macs.values()) * crops / 1e9, sum(ms.values()) * crops if known else None, parameters)


def measure_ms(folder: Path, trunk: TrunkKey, res: int) -> float | None:
    """Milliseconds of one core for a crop, as measured on this machine; None if it was not."""
    return recall_ms(folder / SPEEDS, trunk.weights_sha256, [res], trunk.precision).get(res)
