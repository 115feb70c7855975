"""Duplicates: images that occur twice, by cached features, no trunk needed."""

from __future__ import annotations

from dataclasses import dataclass

from .asking import takes
from .cache.holdings import Holdings
from .feature_requests import FeaturesRequest
from .freshness import say_changes
from .heads.twins import Twin, choose_res, find_twins, format_twins, looks_alike


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Images that occur twice.

    Attributes
    ----------
    twins : list of Twin
    holdings : Holdings
    alike : bool
        Whether so many images look alike to the trunk that near ones may well be different.
    """

    twins: list[Twin]
    holdings: Holdings
    alike: bool

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        return format_twins(self.twins, self.holdings.manifest.splits, style)


@takes(FeaturesRequest)
def duplicates(request: FeaturesRequest) -> Duplicates:
    """Images that occur twice, within a split or across splits: equal bytes, equal pixels, or nearly alike.

    Arguments are those of `FeaturesRequest`.

    Raises
    ------
    CacheError
        If center views of a split are not cached.
    """
    holdings = request.open()
    say_changes(holdings, request.folder, request.watcher)
    twins = find_twins(holdings, choose_res(holdings), holdings.manifest.splits)
    n = sum(map(len, holdings.manifest.splits.values()))
    return Duplicates(twins, holdings, looks_alike(twins, n))
