"""A trunk whose features can be computed by hand, for tests: the mean colour of an image and its content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.view import View
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.keys import TrunkKey
from fixgrid.embed.outcome import Outcome
from fixgrid.embed.run import Part, run_pass
from fixgrid.embed.sizing import Sizing
from fixgrid.embed.watcher import Quiet

DIM = 6
TRUNK = TrunkKey("stub", "stub", "0" * 64, (("pooled", DIM),))
FACTS = {"interpolation": "bilinear", "mean": ("0", "0", "0"), "std": ("1", "1", "1")}


class StubBackend:
    """Mean and corner colour of every crop: float32 (B, 6)."""

    batch = 1

    def __init__(self, view: View) -> None:
        self.view = view

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        mean = pixels.reshape(len(pixels), -1, 3).mean(axis=1)
        return np.concatenate([mean, pixels[:, 0, 0]], axis=1).astype(np.float32)


def open_stub(view: View) -> StubBackend:
    """The opener that workers get."""
    return StubBackend(view)


def open_stubs(views: Sequence[View]) -> Callable[[View], StubBackend]:
    """What `run_pass` calls."""
    return open_stub


def run_stub(
    extraction: Extraction,
    open_backends: Callable[[Sequence[View]], Callable[[View], Any]] = open_stubs,
    watcher: Quiet | None = None,
    *,
    workers: int = 1,
    **options: Any,
) -> Outcome:
    """The whole extraction, by as many workers."""
    part = Part(extraction, open_backends)
    return run_pass([part], watcher or SilentWatcher(), Sizing(workers, 1, 0), **options)


class SilentWatcher(Quiet):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.done = 0

    def start(self, images: int, done: int, expected_s: float | None = None) -> None:
        self.images = images

    def advance(self, done: int, share: float | None = None) -> None:
        self.done = done

    def notice(self, line: str) -> None:
        self.notices.append(line)


def center(res: int = 16) -> View:
    """A deterministic view."""
    return View("center", res, **FACTS)


def train(res: int = 16, draws: int = 2) -> View:
    """A view of random crops."""
    return View("train", res, draws=draws, **FACTS)
