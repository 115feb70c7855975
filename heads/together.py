"""Solvers of separate problems on the same features, whose products with the features are made together.

The labels of an image that may have several are fitted each by itself, with steps, searches and a certificate of
its own. Alone, each would read all features for a product with one vector; their products at once read them once.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from .design import Design
from .loss import Loss
from .streamed import StreamedDesign

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Logits:
    """Asks for the logits of coefficients ``W`` (K, R + 1): shape (n, K)."""

    W: NDArray[Any]

    @property
    def kind(self) -> tuple[type, np.dtype[Any]]:
        """What it can share a product with."""
        return Logits, self.W.dtype


@dataclass(frozen=True, eq=False)
class Gradient:
    """Asks for the gradient of a mean loss at logits ``Z`` (n, K): shape (K, R + 1)."""

    loss: Loss
    Z: NDArray[Any]

    @property
    def kind(self) -> tuple[type, np.dtype[Any]]:
        """What it can share a product with."""
        return Gradient, self.Z.dtype


@dataclass(frozen=True, eq=False)
class Sweep:
    """Asks a streamed design for a mean loss at coefficients ``W`` (K, R + 1): a `Point`."""

    loss: Loss
    W: NDArray[Any]

    @property
    def kind(self) -> tuple[type, np.dtype[Any]]:
        """What it can share a reading of the features with."""
        return Sweep, self.W.dtype


Question: TypeAlias = Logits | Gradient | Sweep
# A generator that asks for products with the features and is sent each, in the precision of what it asks with.
Solver: TypeAlias = Generator[Question, Any, Result]


def solve_together(design: Design | StreamedDesign, solvers: Sequence[Solver[Result]]) -> list[Result]:
    """What each solver returns. Those that ask for the same kind of product at a time share one."""
    results: dict[int, Result] = {}
    answers: dict[int, Any] = dict.fromkeys(range(len(solvers)))
    while answers:
        asked: dict[tuple[type, np.dtype[Any]], dict[int, Question]] = {}
        for i, answer in answers.items():
            try:
                question = solvers[i].send(answer)  # None begins
            except StopIteration as end:
                results[i] = end.value
            else:
                asked.setdefault(question.kind, {})[i] = question
        answers = {}
        for group in asked.values():
            answers.update(zip(group, _answer(design, list(group.values())), strict=True))
    return [results[i] for i in range(len(solvers))]


def _answer(design: Design | StreamedDesign, asked: Sequence[Question]) -> Sequence[Any]:
    """The answers to questions of one kind, from one product."""
    if isinstance(design, StreamedDesign):
        return design.sweep([(each.loss, each.W) for each in asked if isinstance(each, Sweep)])
    gradients = [(each.loss, each.Z) for each in asked if isinstance(each, Gradient)]
    if gradients:
        ends = np.cumsum([loss.width for loss, _ in gradients])
        return np.split(design.gradient(gradients), ends[:-1])
    rows = [each.W for each in asked if isinstance(each, Logits)]
    ends = np.cumsum([len(W) for W in rows])
    parts = np.split(design.logits(np.concatenate(rows)), ends[:-1], axis=1)
    return [np.ascontiguousarray(part) for part in parts]
