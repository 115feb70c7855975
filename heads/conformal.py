"""Answers at a stated coverage: sets of classes, or intervals of numbers, by split conformal prediction.

Of images exchangeable with val's, at least the share that was asked for has its label in the answer, whatever the
head (Vovk et al. 2005; Lei et al. 2018): on average over images, not in each class. Sets hold the classes whose
probability is high enough, the smallest on average that cover so much (LAC, Sadinle et al. 2019), and always the
most probable one; of an order all classes between. Of several labels a set holds all that an image has (Cauchois
et al. 2021).

Val also chose the strength and fitted the temperature, so that exchangeability is not exact: over 20 splits of
1,497 photographs of 30 breeds dealt anew, sets of 90 % covered 90.0 % of test (standard error .4), and 90.0 %
(.6) where other images than those that chose gave the limit. Images of a group count one by one. With folds, each
image is scored by a head that did not learn from it (Vovk 2015).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError

from .arrays import block_rows
from .figures import Figure
from .judging import estimate_rate, settle_interval
from .metrics import Estimate, bootstrap, log_chances, read_link

COVERAGE = 0.9
"""Of the answers that `measure_coverage` measures."""


def read_share(option: str, asked: str | float, example: str) -> float:
    """A share between 0 and 1, from a number or from text as in ``example``, ``.9 or 90%``.

    Raises
    ------
    UsageError
        If it is none.
    """
    text = str(asked).strip()
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise UsageError(f"found {option} {text!r}; expected a share between 0 and 1, as in {example}.")
    return share


def rate_answers(scores: NDArray[np.float32], y: NDArray[Any], temperature: float = 1.0) -> NDArray[np.float32]:
    """How badly answers fit their labels: minus the log-probability, of numbers the absolute residual.

    Of several labels that of the least probable that an image has; 0 if it has none.

    Parameters
    ----------
    scores : float32 array, shape (n, K)
        From `heads.select.score_views`.
    y : array
        Labels, see `fixgrid.cache.rows.Rows`.
    temperature : float

    Returns
    -------
    float32 array, shape (n,)
        0 or more; nats where they are of probabilities.
    """
    link = read_link(y)
    if link == "identity":
        return np.asarray(np.abs(scores[:, 0] - y), np.float32)
    found = np.empty(len(y), np.float32)
    for part in block_rows(len(y), scores.shape[1]):
        losses = -log_chances(scores[part], link, temperature)
        found[part] = np.where(y[part], losses, 0).max(1) if link == "sigmoid" else losses[_rows(losses), y[part]]
    return found


def find_limit(nonconformity: NDArray[np.float32], coverage: float) -> float:
    """The largest nonconformity that an answer of this coverage takes in: the ceil((n + 1) coverage)-th of val's.

    Parameters
    ----------
    nonconformity : float32 array, shape (n,)
        Of val, ascending.
    coverage : float
        Above 0, below 1.

    Raises
    ------
    UsageError
        If so few images can only give answers that hold everything.
    """
    n = len(nonconformity)
    rank = max(1, math.ceil((n + 1) * coverage - 1e-9))  # 10 * .9 is not above 9
    if rank > n:
        raise UsageError(
            f"found --coverage {coverage:g}; expected at most {math.floor(1e4 * n / (n + 1)) / 1e4:g}, which is "
            f"what the {n} images that chose the head can tell."
        )
    return float(nonconformity[rank - 1])


def form_sets(scores: NDArray[np.float32], limit: float, temperature: float, task: str) -> NDArray[np.bool_]:
    """Which classes the set of each image holds.

    Parameters
    ----------
    scores : float32 array, shape (n, K)
    limit : float
        Of `find_limit`.
    temperature : float
    task : str
        ``multiclass``, ``ordinal`` or ``multilabel``.

    Returns
    -------
    bool array, shape (n, K)
        One class or more; of several labels maybe none.
    """
    if task == "multilabel":
        return np.asarray(-log_chances(scores, "sigmoid", temperature).astype(np.float32) <= limit)
    losses = -log_chances(scores, "softmax", temperature).astype(np.float32)
    held = losses <= limit
    held[_rows(losses), losses.argmin(1)] = True
    if task == "ordinal":
        held = np.logical_or.accumulate(held, 1) & np.logical_or.accumulate(held[:, ::-1], 1)[:, ::-1]
    return np.asarray(held)


def measure_coverage(
    nonconformity: NDArray[np.float32],
    scores: NDArray[np.float32],
    y: NDArray[Any],
    temperature: float,
    task: str,
    group: NDArray[np.int64] | None = None,
) -> list[Figure]:
    """How often answers of 90 % hold the label, and how large they are; nothing if val has too few images.

    Parameters
    ----------
    nonconformity : float32 array
        See `find_limit`.
    scores, y, temperature, task, group
        Of other images, see `heads.measuring.measure_head`.
    """
    try:
        limit = find_limit(nonconformity, COVERAGE)
    except UsageError:
        return []
    name, said = f"{100 * COVERAGE:.0f}", f"{100 * COVERAGE:.0f} %"
    if task == "regression":
        hits = rate_answers(scores, y) <= limit
        covered = Figure(f"coverage_{name}", f"coverage of {said} intervals", 100, estimate_rate(hits, group))
        return [
            covered,
            Figure(f"margin_{name}", f"+/- of {said} intervals", 1, Estimate(limit, math.nan, math.nan)),
        ]
    hits, size = np.empty(len(y), np.bool_), np.empty(len(y))
    for part in block_rows(len(y), scores.shape[1]):
        held = form_sets(scores[part], limit, temperature, task)
        hits[part] = (held | ~y[part]).all(1) if task == "multilabel" else held[_rows(held), y[part]]
        size[part] = held.sum(1)
    mean = bootstrap(lambda weight: float(weight @ size) / len(size), len(size), group)
    units, least = len(size if group is None else np.unique(group)), 0.0 if task == "multilabel" else 1.0
    mean = settle_interval(mean, units, least, float(scores.shape[1]))
    what = "labels" if task == "multilabel" else "classes"
    return [
        Figure(f"coverage_{name}", f"coverage of {said} sets", 100, estimate_rate(hits, group)),
        Figure(f"set_size_{name}", f"{what} in {said} sets", 1, mean),
    ]


def _rows(table: NDArray[Any]) -> NDArray[np.int64]:
    return np.arange(len(table))
