"""Images that occur twice: looked for among features, proven on pixels."""

from __future__ import annotations

from dataclasses import dataclass

from .asking import takes
from .cache.holdings import Holdings
from .embed.copies import open_copies
from .feature_requests import FeaturesRequest
from .freshness import say_changes
from .heads.twin_table import DOUBT, format_twins, say_unseen
from .heads.twins import Twin, choose_res, find_twins, looks_alike


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
        Images compared by their features alone: gone, changed, too small or too plain to tell.
    """

    twins: list[Twin]
    holdings: Holdings
    alike: bool
    unseen: int = 0

    def describe(self) -> list[str]:
        """How many pairs there are, what could not be compared, and whether to doubt them: a line each."""
        across = sum(twin.first[0] != twin.second[0] for twin in self.twins)
        conflicts = sum(twin.conflict for twin in self.twins)
        counts = f"{across} pairs across splits, {len(self.twins)} pairs in all, {conflicts} with other labels"
        return [counts + say_unseen(self.unseen), *[DOUBT] * self.alike]

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        return format_twins(self.twins, self.holdings.manifest.splits, style)


@takes(FeaturesRequest)
def duplicates(request: FeaturesRequest) -> Duplicates:
    """Images that occur twice, within a split or across splits: equal files, or copies by their pixels.

    Each image is compared with its five nearest by features and with what is much like it as a whole: saved again,
    resized, recoloured, mirrored, cropped, framed or written on. Where images are gone or too plain, features
    nearly alike are all that can be found.

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
