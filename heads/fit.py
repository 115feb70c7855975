"""One head to keep: the pair of resolutions and the strength chosen on val, then scored on test once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .design import rotate_features
from .grid import GridOptions, Load, Pair, apparent_ratio
from .linear import LinearHead
from .logistic import LogisticPath
from .metrics import fit_temperature
from .select import Choice, Score, choose_strength, score_head
from .views import mean_view, view_rows


@dataclass(frozen=True, eq=False)
class Fitted:
    """A head that was chosen, and how it did.

    Attributes
    ----------
    train_res, test_res : int
        px.
    apparent : float
        See `apparent_ratio`.
    choice : Choice
        What val chose; its head is to be kept.
    temperature : float
        Divides the logits before a softmax; fitted on val.
    score : Score
        On test.
    """

    train_res: int
    test_res: int
    apparent: float
    choice: Choice
    temperature: float
    score: Score

    @property
    def head(self) -> LinearHead:
        """The linear head on raw features."""
        head = self.choice.head
        assert isinstance(head, LinearHead)
        return head


def fit_best(load: Load, pairs: Sequence[Pair], n_classes: int, options: GridOptions) -> Fitted:
    """The head of the pair that is best on val; test images are seen by that head alone.

    Parameters
    ----------
    load : callable
        See `heads.grid.Load`.
    pairs : sequence of (train_res, test_res), px
        Of pairs equal on val the first wins.
    n_classes : int
    options : GridOptions
    """
    best: tuple[Pair, Choice] | None = None
    for train_res in dict.fromkeys(train for train, _ in pairs):
        X, y = view_rows([load("train", kind, train_res) for kind in options.train_kinds])
        path = LogisticPath(rotate_features(X, y, n_classes))
        for pair in (pair for pair in pairs if pair[0] == train_res):
            val = load("val", options.test_kind, pair[1])
            choice = choose_strength(path, mean_view(val), val.y, options.strengths, coarse=options.coarse)
            if best is None or choice.val.value > best[1].val.value:
                best = pair, choice
    if best is None:
        raise ValueError("no pair of resolutions to choose from")
    (train_res, test_res), choice = best
    val, test = (load(split, options.test_kind, test_res) for split in ("val", "test"))
    return Fitted(
        train_res,
        test_res,
        apparent_ratio(options.train_kinds, train_res, test_res),
        choice,
        fit_temperature(choice.head.scores(mean_view(val)), val.y),
        score_head(choice.head, mean_view(test), test.y),
    )
