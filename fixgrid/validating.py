"""How far a choice can be trusted: nested cross-validation, and splits dealt anew, on cached features alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .asking import takes
from .cache.errors import UsageError
from .cache_requests import GridRequest
from .heads import nested, resplit
from .heads.deal_table import format_nested, format_resplits
from .heads.deck import Deck, Folds, note_thin
from .heads.leak import warn_of_leak
from .heads.pool import pool_asks
from .heads.question import Asked

_FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class SplitsRequest(GridRequest):
    """Which splits.

    Attributes
    ----------
    splits : int
        How many, of the seeds from `fold_seed` on.
    """

    splits: int = 20


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """A nested cross-validation, and a warning where the trunk has seen the labels."""

    nested: nested.Nested
    warning: str

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        return format_nested(self.nested, style, self.warning)


@dataclass(frozen=True, eq=False)
class Resplits:
    """What each of several splits chose, and a warning where the trunk has seen the labels."""

    found: resplit.Resplits
    warning: str

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        return format_resplits(self.found, style, self.warning)


@takes(GridRequest)
def cross_validate(request: GridRequest) -> CrossValidation:
    """How good choosing is here: each of `folds` (5) tests once what the others chose; no split is needed.

    All images are one pool, those of test as well, as far as they were seen as the training images were.
    Arguments are those of `GridRequest`.

    Raises
    ------
    FixgridError
        As `fixgrid.grid`; also if there are fewer than 3 folds.
    """
    asks, deck = _pool(request)
    folds = Folds(deck, request.folds or _FOLDS, request.fold_seed, request.repeats)
    for note in note_thin(deck, folds.n, asks[0].holdings.manifest):
        request.watcher.notice(note)
    return CrossValidation(nested.cross_validate(asks, folds, request.watcher.phase), _warn(asks))


@takes(SplitsRequest)
def choose_again(request: SplitsRequest) -> Resplits:
    """Which cell each of several splits would have chosen, dealt anew from all images: how much one split decides.

    70 % of each class train, 15 % are val and 15 % test. Arguments are those of `SplitsRequest`.

    Raises
    ------
    FixgridError
        As `fixgrid.grid`; also if folds are asked for, or there are too few images.
    """
    if request.folds is not None:
        raise UsageError(f"found --folds {request.folds} with --resplit, expected one of them: leave one out.")
    asks, deck = _pool(request)
    seeds = range(request.fold_seed, request.fold_seed + request.splits)
    return Resplits(resplit.choose_again(asks, deck, seeds, phase=request.watcher.phase), _warn(asks))


def _pool(request: GridRequest) -> tuple[list[Asked], Deck]:
    """The questions to all images that can be learnt from; says which cannot."""
    asks, deck, notes = pool_asks(replace(request, folds=None, repeats=1).list_asks())
    for note in notes:
        request.watcher.notice(note)
    return asks, deck


def _warn(asks: Sequence[Asked]) -> str:
    return warn_of_leak(*(asked.holdings for asked in asks))
