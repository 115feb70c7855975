"""What a kept head says of its own limits: sets or intervals at a coverage, and images of no known class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.text import join_names, show_text

from .artifact import SavedHead
from .conformal import find_limit, form_sets, read_share
from .novelty import Shift, expect_level, find_p


class Asked(NamedTuple):
    """What to say: answers that are off by ``limit`` at most, and which images are unknown at a ``level``."""

    limit: float | None = None
    level: float | None = None


NOTHING = Asked()


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """What a head says of one image beside its answer; None where it was not asked, or cannot say.

    Attributes
    ----------
    held : tuple of str, or None
        The classes of the image's set at the coverage that was asked for, in the order of the head's.
    interval : tuple of float, or None
        Likewise of numbers, the ends.
    novelty_p : float or None
        Share of val's images that are at least as strange, see `heads.novelty.find_p`.
    unknown : bool or None
        Whether that is the level that was asked for, or less.
    """

    held: tuple[str, ...] | None = None
    interval: tuple[float, float] | None = None
    novelty_p: float | None = None
    unknown: bool | None = None


def ask_doubts(saved: SavedHead, coverage: str | float | None, unknown: str | float | None) -> Asked:
    """What is asked of a head, in its own terms.

    Parameters
    ----------
    saved : SavedHead
    coverage, unknown : str, float or None
        Shares, as ``.9`` or ``90%``.

    Raises
    ------
    UsageError
        If they are none, or the head cannot tell.
    """
    limit = level = None
    if coverage is not None:
        limit = find_limit(
            saved.expect_calibration("--coverage").nonconformity, read_share("--coverage", coverage, ".9 or 90%")
        )
    if unknown is not None:
        level = read_share("--unknown", unknown, ".05 or 5%, or --unknown alone behind the images")
        expect_level(len(saved.expect_calibration("--unknown").novelty), level)
    return Asked(limit, level)


def list_doubts(
    saved: SavedHead, asked: Asked, scores: NDArray[np.float32], novelty: NDArray[np.float32] | None
) -> list[Doubt]:
    """What a head says of each of some images.

    Parameters
    ----------
    saved : SavedHead
    asked : Asked
    scores : float32 array, shape (n, K)
    novelty : float32 array, shape (n,), or None
        Of `heads.novelty.rate_novelty`; None if the head's file does not say.
    """
    n = len(scores)
    held: Sequence[Any] = [None] * n
    interval: Sequence[Any] = [None] * n
    if asked.limit is not None and saved.link == "identity":
        values = scores[:, 0].astype(np.float64)
        interval = list(zip((values - asked.limit).tolist(), (values + asked.limit).tolist(), strict=True))
    elif asked.limit is not None:
        sets = form_sets(scores, asked.limit, saved.temperature, saved.task)
        held = [tuple(saved.classes[k] for k in np.flatnonzero(mine)) for mine in sets]
    if novelty is None or saved.calibration is None:
        return [Doubt(held=mine, interval=ends) for mine, ends in zip(held, interval, strict=True)]
    p = find_p(saved.calibration.novelty, novelty).tolist()
    return [
        Doubt(held=mine, interval=ends, novelty_p=p, unknown=None if asked.level is None else p <= asked.level)
        for mine, ends, p in zip(held, interval, p, strict=True)
    ]


def find_shift(saved: SavedHead, doubts: Sequence[Doubt], group: NDArray[np.int64] | None = None) -> Shift | None:
    """How images lie against val's, see `Calibration.measure_shift`; None if the head cannot say."""
    p = np.array([doubt.novelty_p for doubt in doubts if doubt.novelty_p is not None])
    if saved.calibration is None or not len(p):
        return None
    return saved.calibration.measure_shift(p, group)


def list_asked(doubts: Sequence[Doubt]) -> frozenset[str]:
    """Which of ``held``, ``interval`` and ``unknown`` images have, so that all of a table's lines have them."""
    return frozenset(
        name for name in ("held", "interval", "unknown") for doubt in doubts if getattr(doubt, name) is not None
    )


def record_doubt(doubt: Doubt, asked: frozenset[str], *, flat: bool) -> dict[str, Any]:
    """As JSON values, or ``flat`` as those of a line."""
    record: dict[str, Any] = {}
    if "held" in asked:
        held = doubt.held
        record["set"] = join_names(map(show_text, held or ())) if flat else None if held is None else list(held)
    if "interval" in asked:
        record["low"], record["high"] = doubt.interval or (None, None)
    if "unknown" in asked:
        record |= {"novelty_p": doubt.novelty_p if doubt.unknown is not None else None, "unknown": doubt.unknown}
    return record


def show_doubt(doubt: Doubt, asked: frozenset[str], escape: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Cells of a table's line."""
    if "unknown" in asked:
        p = "" if doubt.novelty_p is None else f"p {doubt.novelty_p:.3f}".replace(" 0.", " .")
        yield "unknown", "unknown, " * bool(doubt.unknown) + p
    if "held" in asked:
        yield "set", ", ".join(escape(show_text(name)) for name in doubt.held or ())
    if "interval" in asked:
        yield "interval", "[{:.6g}, {:.6g}]".format(*doubt.interval) if doubt.interval else ""
