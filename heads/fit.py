"""One head to keep: the pair of resolutions and the strength chosen on val, then scored on test once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.rows import Rows

from .artifact import SavedHead
from .ask import Ask
from .figures import HeadFigures, measure_head
from .gap import Correction
from .linear import LinearHead
from .metrics import fit_temperature
from .question import describe_training
from .recipe import Recipe, list_recipes
from .select import Choice, Head, Score, score_head, score_views
from .source import Place
from .views import TestRes


@dataclass(frozen=True, eq=False)
class Fitted:
    """A head that was chosen, and how it did.

    Attributes
    ----------
    train_res : int
        px.
    test_res : int or str
        px; see `heads.views.TestRes`.
    apparent : float
        See `fixgrid.cache.view.apparent_ratio`.
    choice : Choice
        What val chose.
    temperature : float
        Divides the logits before a softmax; fitted on val.
    score : Score
        On test.
    head : LinearHead
        On raw features, or on those that ``corrections`` gives.
    n_val : int
        Images it was chosen on.
    test_scores : float32 array, shape (n, K)
    test_y : int64 array, shape (n,)
        Labels of the test images.
    family, correction : str
        Kind of head, and how the resolution gap was corrected.
    places : tuple of (split, kind, px)
        The features it was fitted, chosen and scored on.
    corrections : tuple of Correction
        One for each of several test resolutions; empty if there is nothing to correct that ``head`` does not.
    ask : Ask, optional
        The question that it answers, of several.
    """

    train_res: int
    test_res: TestRes
    apparent: float
    choice: Choice
    temperature: float
    score: Score
    head: LinearHead
    n_val: int
    test_scores: NDArray[np.float32]
    test_y: NDArray[np.int64]
    family: str = "logistic"
    correction: str = "none"
    places: tuple[Place, ...] = ()
    corrections: tuple[Correction, ...] = ()
    ask: Ask | None = None

    def measure(self, classes: Sequence[str], n_confused: int = 10) -> HeadFigures:
        """All figures on test, of the classes by name, and at most ``n_confused`` pairs of them."""
        return measure_head(self.test_scores, self.test_y, classes, self.temperature, n_confused=n_confused)


def fit_best(*asks: Ask) -> Fitted:
    """The head of the cell that is best on val, of one question or several; that head alone sees test images.

    Of cells equal on val the first wins.

    Raises
    ------
    UsageError
        If there is no pair, or the best head is not linear.
    """
    ask, recipe, choice, head = choose_best(*asks)
    if not isinstance(head, LinearHead):
        raise UsageError(
            f"found a {recipe.family} head, which cannot be kept, expected a linear one: ask for another"
        )
    val, test = recipe.load("val"), recipe.load("test")
    temperature = fit_temperature(score_views(choice.head, recipe.see(val)), val.y)
    seen = recipe.see(test)
    score = score_head(head, seen, test.y)
    kept, corrections = recipe.fold(head)
    return Fitted(
        train_res=recipe.train_res,
        test_res=recipe.test_res,
        apparent=recipe.apparent,
        choice=choice,
        temperature=temperature,
        score=score,
        head=kept,
        n_val=len(val.y),
        test_scores=score_views(head, seen),
        test_y=test.y,
        family=recipe.family,
        correction=recipe.correction,
        places=tuple(recipe.places),
        corrections=corrections,
        ask=ask,
    )


def choose_best(*asks: Ask) -> tuple[Ask, Recipe, Choice, Head]:
    """Whose cell is best on val, that cell, what val chose there, and the head to keep. No test image is loaded.

    Raises
    ------
    UsageError
        If there is no pair.
    """
    best: tuple[Ask, Recipe, Choice, Head] | None = None
    for ask in asks:
        for recipe in list_recipes(ask):
            choice, head = recipe.choose()
            if best is None or choice.val.value > best[2].val.value:
                best = ask, recipe, choice, head
    if best is None:
        raise UsageError("found no pair of resolutions to choose from, expected at least one: give --pairs")
    return best


def keep_fitted(
    fitted: Fitted, holdings: Holdings, figures: Mapping[str, Any], asked: Mapping[str, Any] | None = None
) -> SavedHead:
    """The head with what a later run needs to compute features for it, and where those it saw came from.

    Parameters
    ----------
    fitted : Fitted
    holdings : Holdings
        That it was fitted from.
    figures : mapping
        How it did, and how it was chosen.
    asked : mapping, optional
        What was asked for, see `SavedHead`.

    Raises
    ------
    UsageError
        If its test features are of several trunks.
    """
    rows = holdings.manifest.splits
    used = {split: [holdings.entry(*place) for place in fitted.places if place[0] == split] for split in rows}
    entry, views = used["test"][0], [dict(entry.spec.view) for entry in used["test"]]
    if len({entry.spec.trunk["weights_sha256"] for entry in used["test"]}) > 1:
        raise UsageError(
            f"found a batchnorm head on trunks recalibrated at {fitted.test_res} px, which cannot be kept yet; "
            "expected one test resolution: name such --pairs, or leave batchnorm out of --gap."
        )
    identity = {name: value for each in used["test"] for name, value in each.spec.trunk.items()}
    how = {"precision": entry.spec.precision, "dtype": entry.spec.dtype, "decode": dict(entry.spec.decode)}
    return SavedHead(
        fitted.head,
        holdings.manifest.classes,
        fitted.temperature,
        keys={split: [entry.spec.key for entry in entries] for split, entries in used.items()},
        trunk={**identity, **entry.provenance, **how},
        view=views[0] if len(views) == 1 else {},
        views=views if len(views) > 1 else [],
        corrections=fitted.corrections,
        figures=dict(figures),
        data={
            "source": holdings.manifest.source,
            "splits": {split: _describe_rows(part) for split, part in rows.items()},
        },
        asked=dict(asked or {}),
        trained_on=describe_training(
            fitted.ask.source if fitted.ask else holdings,
            fitted.places,
            holdings,
            refit=fitted.ask is not None and fitted.ask.options.refit,
        ),
    )


def _describe_rows(rows: Rows) -> dict[str, Any]:
    labels = hashlib.sha256(rows.labels.tobytes()).hexdigest()
    return {"images": len(rows), "rows_sha256": rows.digest, "labels_sha256": labels}
