"""A pass from beginning to end: prepared, computed by an engine, finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from fixgrid.cache.lock import share_lock
from fixgrid.cache.view import View

from .engines.engine import Course, Opener, open_engine
from .extraction import Extraction, expect_running
from .outcome import Outcome
from .portion import Portion
from .signals import stop_on_signals
from .sizing import Sizing
from .watcher import Watcher
from .work import Progress, prepare_pass


@dataclass
class Part:
    """One trunk's part of a pass.

    Attributes
    ----------
    extraction : Extraction
    open_backends : callable
        Given the views still to be computed, loads the trunk and returns what opens it where features are computed;
        not called if nothing is missing.
    provenance : dict
        Recorded with the seal, as it is when the pass ends.
    """

    extraction: Extraction
    open_backends: Callable[[Sequence[View]], Opener]
    provenance: dict[str, Any] = field(default_factory=dict)


def run_pass(
    parts: Sequence[Part],
    watcher: Watcher,
    sizing: Sizing,
    *,
    engine: str = "local",
    max_bad: float = 0.01,
    portion: Portion | None = None,
) -> Outcome:
    """Prepare extractions, have an engine compute what is missing, and finish them.

    Parameters
    ----------
    parts : sequence of Part
        One a trunk.
    watcher : Watcher
    sizing : Sizing
    engine : str
        One of `ENGINES`.
    max_bad
        See `Pass.finish`.
    portion : Portion, optional
        Its rows alone are computed, and nothing is sealed.

    Raises
    ------
    FixgridError
        See `prepare_pass`, `Pass.finish` and `Engine.run`.
    """
    extractions = [part.extraction for part in parts]
    with stop_on_signals() as stopped, ExitStack() as shared:
        locks = sorted({extraction.run_lock for extraction in extractions})
        alone = [shared.enter_context(share_lock(lock)) for lock in locks]
        pieces = 1 if sizing.decoders else sizing.workers
        work = prepare_pass(extractions, watcher, stopped, pieces=pieces, portion=portion)
        if work.jobs:
            missing = {trunk: views for trunk in range(len(parts)) if (views := work.list_views(trunk))}
            openers = {trunk: parts[trunk].open_backends(views) for trunk, views in missing.items()}
            progress = Progress(watcher, work, sizing.workers)
            hands = open_engine(engine, sizing, Course(stopped, progress.show, watcher.notice))
            meets = not portion and not all(alone)
            if meets:
                watcher.notice("another extract uses this trunk and cache: sharing the work with it")
            for receipt in hands.run(work.hand_out(backwards=meets), openers):
                work.note(receipt)
                progress.pass_on(receipt)
                if receipt.bad and max_bad == 0:
                    break
        if portion:
            done = work.leave(portion)
            expect_running(stopped)
            return done
        return work.finish(watcher, stopped, max_bad=max_bad, provenance=[part.provenance for part in parts])
