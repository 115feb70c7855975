"""Drawings about the chosen head's answers: how surely, of which classes, how far off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.text import show_text, tell_apart

from .answers import Answers, Bin
from .drawings import (
    BLUE,
    INK,
    MOST_ROWS,
    ORANGE,
    PAPER,
    QUIET,
    ROW_PT,
    Drawing,
    clip_name,
    draw,
    label_percent,
    name_rows,
)
from .figures import ClassRow
from .table import record_estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ORDERED = 20
"""Classes of an order whose answers are drawn as a table of counts."""
_MOST_DOTS = 2000  # more would make the page heavy; the CSV has every image


def draw_reliability(bins: Sequence[Bin]) -> Drawing:
    """How often the head is right against how sure it is; dots grow with the answers behind them."""
    named = "; ".join(f"sure {b.confidence:.0%}, right {b.rate.value:.0%} of {b.n}" for b in bins)
    alt = f"Reliability diagram on test, {len(bins)} bins: {named}."

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], "--", color=QUIET, linewidth=1)
        most = max(b.n for b in bins)
        for b in bins:
            axes.plot([b.confidence] * 2, [b.rate.low, b.rate.high], "-", color=BLUE, linewidth=1.2)
        area = [14 + 120 * b.n / most for b in bins]
        axes.scatter([b.confidence for b in bins], [b.rate.value for b in bins], area, color=BLUE, zorder=3)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        label_percent(axes.xaxis)
        label_percent(axes.yaxis)
        axes.set_xlabel("how sure")
        axes.set_ylabel("how often right")

    records: list[dict[str, Any]] = [
        {"n": b.n, "confidence": b.confidence, "right": b.rate.value, "low": b.rate.low, "high": b.rate.high}
        for b in bins
    ]
    return draw("reliability", alt, records, fill, 300)


def draw_classes(rows: Sequence[ClassRow], mean: float, *, ordered: bool = False) -> Drawing:
    """Recall of each class, or average precision where images have several, with intervals.

    The worst first, and of very many classes only the worst; classes of an order in theirs.
    """
    several = any(row.average_precision for row in rows)
    what = "average precision" if several else "recall"
    known = [(row.name, found) for row in rows if (found := row.average_precision if several else row.recall)]
    worst = sorted(known, key=lambda one: one[1].value)
    shown = (known if ordered else worst)[:MOST_ROWS]
    named = ", ".join(f"{show_text(name)} {found.value:.0%}" for name, found in worst[:3])
    alt = f"{what.capitalize()} of {len(shown)} of {len(known)} classes, the worst {named}. The table has all."

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        for y, (_, found) in enumerate(shown):
            axes.plot([found.low, found.high], [y, y], "-", color=BLUE, linewidth=1.2)
            axes.plot([found.value], [y], "o", color=BLUE, markersize=5)
        axes.axvline(mean, color=ORANGE, linewidth=1.4)
        name_rows(axes, [name for name, _ in shown])
        axes.set_xlim(-0.01, 1.02)
        label_percent(axes.xaxis)
        axes.set_xlabel(f"{what} on test; line: mean of the classes")

    return draw("classes", alt, [_class_record(row, several) for row in rows], fill, 50 + ROW_PT * len(shown))


def _class_record(row: ClassRow, several: bool) -> dict[str, Any]:
    record = {"class": show_text(row.name), "n": row.n, **record_estimate("recall", row.recall)}
    ranked = record_estimate("average_precision", row.average_precision) if several else {}
    return {**record, "precision": row.precision, **ranked}


def draw_order(answers: Answers, classes: Sequence[str]) -> Drawing:
    """Of classes of an order, how many images of each were taken for which."""
    k = len(classes)
    counts = np.zeros((k, k), np.int64)
    np.add.at(counts, (answers.y, answers.guess), 1)
    near = int(np.tril(np.triu(counts, -1), 1).sum())
    alt = f"Test images of each of {k} ordered classes by answer: {near} of {len(answers.y)} off by one at most."
    share = counts / counts.sum(1, keepdims=True).clip(1)

    def fill(figure: Figure) -> None:
        from matplotlib.patches import Rectangle

        axes = figure.subplots()
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        for (y, x), part in np.ndenumerate(share):
            colour, place = ORANGE if x != y else BLUE, (x - 0.48, y - 0.48)
            axes.add_patch(
                Rectangle(place, 0.96, 0.96, facecolor=colour, alpha=0.08 + 0.72 * part, edgecolor="none")
            )
            text = str(counts[y, x]) if counts[y, x] else ""
            axes.text(x, y, text, ha="center", va="center", color=PAPER if part > 0.6 else INK)
        axes.set_xlim(-0.5, k - 0.5)
        name_rows(axes, classes)
        axes.set_ylim(k - 0.5, -0.5)
        axes.set_xticks(range(k), tell_apart(classes, clip_name), rotation=90 if k > 6 else 30)
        axes.set_xlabel("answer")
        axes.set_ylabel("what it is")

    records = [
        {
            "class": show_text(name),
            **{f"as {show_text(other)}": int(n) for other, n in zip(classes, row, strict=True)},
        }
        for name, row in zip(classes, counts, strict=True)
    ]
    return draw("order", alt, records, fill, min(460, 110 + 34 * k))


def draw_numbers(answers: Answers, name: str) -> Drawing:
    """Each test image's number and the head's, with the line of right answers."""
    y, guess = answers.y, answers.guess
    ends = [float(min(y.min(), guess.min())), float(max(y.max(), guess.max()))]
    alt = f"Answers against {show_text(name)} of {len(y)} test images, {y.min():.4g} to {y.max():.4g}."
    shown = np.sort(np.random.default_rng(0).permutation(len(y))[:_MOST_DOTS])

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(ends, ends, "--", color=QUIET, linewidth=1)
        alpha = 0.7 if len(shown) < 300 else 0.35
        axes.plot(y[shown], guess[shown], "o", color=BLUE, markersize=4, markeredgewidth=0, alpha=alpha)
        axes.set_xlabel(clip_name(name))
        axes.set_ylabel("answer")

    records = [
        {"row": int(row), "value": float(a), "answer": float(b)}
        for row, a, b in zip(answers.row, y, guess, strict=True)
    ]
    return draw("numbers", alt, records, fill, 300)


def draw_errors(answers: Answers, name: str) -> Drawing:
    """How many test images are off by how much."""
    error: NDArray[np.float64] = answers.guess - answers.y
    low, high = np.percentile(error, [5, 95])
    alt = f"Answer less {show_text(name)} on test: mean {error.mean():.3g}, nine of ten {low:.3g} to {high:.3g}."
    counts, edges = np.histogram(error, bins=min(40, max(8, round(len(error) ** 0.5))))

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        axes.stairs(counts, edges, fill=True, color=BLUE)
        axes.axvline(0, color=ORANGE, linewidth=1.4)
        axes.set_xlabel(f"answer less {clip_name(name)}")
        axes.set_ylabel("images")

    records = [
        {"from": float(a), "to": float(b), "images": int(n)}
        for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    return draw("errors", alt, records, fill, 250)
