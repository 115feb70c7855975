"""Images that occur twice: looked for among features, proven on pixels."""

from __future__ import annotations

from dataclasses import dataclass

from .asking import takes
from .cache.holdings import Holdings
from .embed.copies import open_copies
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
        Whether so many images look alike to the trunk that those not proven may well be different.
    unseen : int
        Images compared by their features alone: gone, changed, or too small to tell.
    """

    twins: list[Twin]
    holdings: Holdings
    alike: bool
    unseen: int = 0

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        return format_twins(self.twins, self.holdings.manifest.splits, style)


@takes(FeaturesRequest)
def duplicates(request: FeaturesRequest) -> Duplicates:
    """Images that occur twice, within a split or across splits: equal files, or copies by their pixels.

    Each image is compared with its five nearest by features: saved again, resized, recoloured, mirrored, cropped,
    framed or written on. Where images are gone, features nearly alike are all that can be found.

    Arguments are those of `FeaturesRequest`.

    Raises
    ------
    CacheError
        If center views of a split are not cached.
    """
    holdings = request.open()
    say_changes(holdings, request.folder, request.watcher)
    request.watcher.phase("comparing images")
    splits = holdings.manifest.splits
    twins, unseen = find_twins(holdings, choose_res(holdings), splits, open_copies(holdings))
    return Duplicates(twins, holdings, looks_alike(twins, sum(map(len, splits.values()))), unseen)
