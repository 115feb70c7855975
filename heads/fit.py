"""One head to keep: the pair of resolutions and the strength chosen on val, then scored on test once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cache.errors import UsageError

from .linear import LinearHead
from .metrics import fit_temperature
from .recipe import GridOptions, Load, Pair, Recipe, list_recipes
from .select import Choice, Head, Score, score_head, score_views


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
        What val chose.
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
    head: LinearHead
    family: str = "logistic"
    correction: str = "none"


def fit_best(load: Load, pairs: Sequence[Pair], n_classes: int, options: GridOptions) -> Fitted:
    """The head of the cell that is best on val; test images are seen by that head alone.

    Parameters
    ----------
    load : callable
        See `heads.recipe.Load`.
    pairs : sequence of (train_res, test_res), px
        Of cells equal on val the first wins.
    n_classes : int
    options : GridOptions

    Raises
    ------
    UsageError
        If there is no pair, or the best head is not linear.
    """
    recipe, choice, head = choose_best(load, pairs, n_classes, options)
    if not isinstance(head, LinearHead):
        raise UsageError(
            f"found a {recipe.family} head, which cannot be kept, expected a linear one: ask for another"
        )
    val, test = recipe.load("val"), recipe.load("test")
    temperature = fit_temperature(score_views(choice.head, recipe.see(val)), val.y)
    score = score_head(head, recipe.see(test), test.y)
    return Fitted(
        train_res=recipe.training.res,
        test_res=recipe.test_res,
        apparent=recipe.apparent,
        choice=choice,
        temperature=temperature,
        score=score,
        head=recipe.fold(head),
        family=recipe.family,
        correction=recipe.correction,
    )


def choose_best(
    load: Load, pairs: Sequence[Pair], n_classes: int, options: GridOptions
) -> tuple[Recipe, Choice, Head]:
    """The cell that is best on val, what val chose there, and the head to keep. No test image is loaded.

    Raises
    ------
    UsageError
        If there is no pair.
    """
    best: tuple[Recipe, Choice, Head] | None = None
    for recipe in list_recipes(load, pairs, n_classes, options):
        choice, head = recipe.choose()
        if best is None or choice.val.value > best[1].val.value:
            best = recipe, choice, head
    if best is None:
        raise UsageError("found no pair of resolutions to choose from, expected at least one: give --pairs")
    return best
