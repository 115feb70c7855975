"""Label errors: which labels are probably wrong, from cached features, no trunk needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .asking import takes
from .cache.holdings import Holdings
from .feature_requests import CachedRequest
from .freshness import say_changes
from .heads.label_error_table import format_ranking, say_ranking
from .heads.label_errors import Ranking, rank_labels
from .heads.measures import find_measure
from .heads.twins import choose_res
from .recording import records
from .requests import open_cache


@dataclass(frozen=True, kw_only=True)
class LabelsRequest(CachedRequest):
    """How to judge labels.

    Attributes
    ----------
    res : int, optional
        px of the center views; of those cached for every split the nearest to 224, if not given.
    folds : int
        How many parts train and val are dealt to, each judged by heads of the others.
    """

    res: int | None = None
    folds: int = 5

    def choose(self) -> tuple[Holdings, int]:
        """The features and the resolution, px; says which they are.

        Raises
        ------
        CacheError
            If center views of a split are not cached.
        DataError
            If there are no labels.
        """
        open_cache(self.folder, self.watcher)
        holdings = self.find()
        find_measure(holdings.manifest.task, None)  # which refuses images without labels
        if self.res is not None:
            holdings.expect((split, "center", self.res) for split in holdings.manifest.splits)
        res = self.res or choose_res(holdings)
        self.say([holdings], res=(res, "" if self.res else "the cached one nearest 224"))
        return holdings, res


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """Labels, the most doubtful first.

    Attributes
    ----------
    ranking : Ranking
        Every label as arrays: which image, given and likely label, their probabilities.
    res, folds : int
        px, and how many.
    """

    ranking: Ranking
    res: int
    folds: int

    def format(self, style: str = "table", top: int | None = None) -> str:
        """The labels that look drawn at random, at least 20 lines, or the first ``top``.

        As ``table``, ``md``, ``csv`` or ``json``.
        """
        return format_ranking(self.ranking, style, top)

    def say(self) -> list[str]:
        """How many labels are probably wrong, and what that does not mean: a sentence a line."""
        return say_ranking(self.ranking, self.res, self.folds)


def _summarise(found: LabelErrors) -> dict[str, Any]:
    share = {"share": found.ranking.share._asdict()} if found.ranking.share else {}
    return {"labels": len(found.ranking), "suspects": found.ranking.n_suspect, "res": found.res, **share}


@takes(LabelsRequest)
@records(_summarise)
def label_errors(request: LabelsRequest) -> LabelErrors:
    """Which labels are probably wrong, of every split: each judged by a head that did not learn from it.

    Nothing is changed, and test labels teach nothing. Arguments are those of `LabelsRequest`.

    Raises
    ------
    FixgridError
        If there are no labels, the cache lacks center views of a split, or there are too few images for the folds.
    """
    holdings, res = request.choose()
    say_changes(holdings, request.folder, request.watcher)
    memo, phase = request.folder / "cells", request.watcher.phase
    return LabelErrors(rank_labels(holdings, res, request.folds, memo, phase), res, request.folds)
