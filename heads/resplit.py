"""How much a single split decides: the images dealt to train, val and test anew, and chosen from again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError
from fixgrid.cache.phase import Phase, keep_silent

from .contender import Contender, enter, find_best
from .deck import Deck
from .measures import MEASURES, Measure
from .pool import Dealt
from .question import Ask
from .recipe import FITTING, Recipe, list_recipes
from .select import score_head
from .training import Training


@dataclass(frozen=True, eq=False)
class Resplits:
    """The cells of several splits.

    Attributes
    ----------
    contenders : list of Contender
        All k cells.
    val, test : float64 array, shape (splits, k)
        Figures.
    sizes : dict of str to int
        Images of each split, of the first deal.
    winners : int64 array, shape (splits,)
        The cell that each split's val chose.
    measure : Measure
        What chose, and what the figures are.
    """

    contenders: list[Contender]
    val: NDArray[np.float64]
    test: NDArray[np.float64]
    sizes: dict[str, int]
    winners: NDArray[np.int64]
    measure: Measure = MEASURES["accuracy"]

    @property
    def chosen(self) -> Counter[int]:
        """How many splits chose each of the cells that one did."""
        return Counter(self.winners.tolist())

    @property
    def won(self) -> NDArray[np.float64]:
        """Test accuracy of each split's choice: float64, shape (splits,)."""
        return np.take_along_axis(self.test, self.winners[:, None], 1)[:, 0]


def choose_again(
    asks: Sequence[Ask],
    deck: Deck,
    seeds: Sequence[int],
    shares: Mapping[str, float] | None = None,
    phase: Phase = keep_silent,
) -> Resplits:
    """What each of several splits' val would have chosen, and how all cells do on its test images.

    No trunk runs. Heads are shared by all test_res, as in a grid: a deal costs one path for each trunk, kind of
    features, train_res and family.

    Parameters
    ----------
    asks : sequence of Ask
        To a `heads.pool.Pool`, of the same images; they compete.
    deck : Deck
        Those images.
    seeds : sequence of int
        Of the splits.
    shares : mapping of str to float, optional
        Of train, val and test; .7, .15 and .15 if not given.
    phase : callable
        Is told how many splits of a question are fitted.

    Raises
    ------
    UsageError
        If there is no cell or no seed, or too few images.
    """
    shares = shares or {"train": 0.7, "val": 0.15, "test": 0.15}
    deals = [deck.deal_splits(shares, seed) for seed in seeds]
    contenders = [enter(recipe, ask) for ask in asks for recipe in list_recipes(ask)]
    if not deals or not contenders:
        raise UsageError(
            f"found {len(deals)} splits and {len(contenders)} cells, expected one or more: see --pairs."
        )
    answers: list[list[list[tuple[float, float]]]] = []
    for ask in asks:
        answers.append([])
        for deal in deals:
            phase(FITTING, sum(map(len, answers)), len(asks) * len(deals), "splits")
            answers[-1].append(_recall_answers(ask, deal))
    val, test = (
        np.array([[one[side] for each in answers for one in each[i]] for i in range(len(deals))]) for side in (0, 1)
    )
    winners = np.array([find_best(row, contenders) for row in val.tolist()])
    sizes = {split: len(rows) for split, rows in deals[0].items()}
    return Resplits(contenders, val, test, sizes, winners, asks[0].options.measure)


def _recall_answers(ask: Ask, deal: Mapping[str, NDArray[np.int64]]) -> list[tuple[float, float]]:
    """Accuracy of each cell on val and on test."""
    ask = replace(ask, source=Dealt(ask.source, deal))
    memo, recipes = ask.memo, list(list_recipes(ask))
    places = dict.fromkeys(place for recipe in recipes for place in recipe.places)
    name = memo.name({"resplit": [recipe.facts for recipe in recipes]}, places) if memo else ""
    record = memo.recall(name) if memo else None
    if record is None:
        record = {"answers": _answer(recipes)}
        if memo:
            memo.keep(name, record)
    return [(val, test) for val, test in record["answers"]]


def _answer(recipes: Sequence[Recipe]) -> list[tuple[float, float]]:
    answers: list[tuple[float, float]] = []
    refits: dict[tuple[object, ...], tuple[float, float]] = {}
    shared: tuple[Training, Training] | None = None
    for recipe in recipes:
        if shared is None or shared[0] is not recipe.training:
            whole = recipe.training
            shared = whole, Training(whole.source, whole.views, walk=recipe.options.walk)
        key = recipe.family, recipe.test_res
        if not (recipe.is_refit and key in refits):  # every train_res has the same of these
            found = _answer_one(replace(recipe, training=shared[1]))
            if recipe.is_refit:
                refits[key] = found
        answers.append(refits[key] if recipe.is_refit else found)
    return answers


def _answer_one(recipe: Recipe) -> tuple[float, float]:
    chosen, test = recipe.choose(), recipe.load("test")
    score = score_head(chosen.head, recipe.see(test), test, recipe.options.measure)
    return chosen.choice.val.value, score.figure.value
