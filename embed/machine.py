"""An extraction on this machine: where the backend comes from, what is recorded, versions proven."""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fixgrid.cache.errors import UsageError
from fixgrid.cache.health import probe_entry
from fixgrid.cache.lock import share_lock
from fixgrid.cache.rows import Manifest
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import View

from .backends.kept import SHELF
from .backends.prepare import list_candidates, prepare_backend, recall_backend
from .backends.spec import BACKENDS, BackendSpec, import_runtime, open_backend
from .engines.engine import Course, Opener, open_engine
from .engines.processes import start_importing
from .extraction import Extraction, name_trunk
from .outcome import Outcome
from .recompute import Recomputer
from .request import Wanted, choose_views
from .resample import needs_torch
from .signals import stop_on_signals
from .sizing import Machine, Sizing
from .speed import Speed, keep_speed
from .task import Backend
from .trunks.costs import COSTS_FILE, expect_taken, recall_costs
from .trunks.identity import KnownTrunk, TrunkFacts
from .trunks.source import is_own
from .versions import library_versions
from .watcher import Watcher
from .work import Progress

if TYPE_CHECKING:
    from .trunks.trunk import Trunk


def list_imports(kind: str, device: str, views: Sequence[View]) -> list[str]:
    """Packages that a worker will import for its trunk and to resize."""
    first = list_candidates(kind, device)[0]
    runtime = import_runtime(BACKENDS[first]).package if first in BACKENDS else "torch"
    resizing = ["torch"] if any(needs_torch(view.resampler) for view in views) else []
    return list(dict.fromkeys([runtime, *resizing]))


@dataclass(frozen=True)
class OpenBackend:
    """What a worker calls for every view it meets: opens one backend per resolution, without the trunk's source."""

    spec: BackendSpec

    def __call__(self, view: View) -> Backend:
        """The backend for a view's resolution."""
        return open_backend(self.spec, view.res)


def build_extraction(
    store: FeatureStore,
    manifest: Manifest,
    trunk: TrunkFacts,
    wanted: Wanted,
    *,
    precision: str = "fp32",
    dtype: str = "float32",
) -> Extraction:
    """The extraction of a data set by a trunk: every key that it is to fill.

    Parameters
    ----------
    store : FeatureStore
    manifest : Manifest
    trunk : TrunkFacts
    wanted : Wanted
    precision, dtype : str
        Of the arithmetic, and of the features as stored.

    Raises
    ------
    UsageError
        If a view is unknown, or the trunk does not take it.
    """
    views = choose_views(trunk.preprocess, manifest.splits, wanted)
    _expect_square(trunk, views)
    return Extraction(store, manifest, name_trunk(trunk, precision), views, dtype)


def _expect_square(trunk: TrunkFacts, views: Mapping[str, Sequence[View]]) -> None:
    """Refuse whole images to a trunk of one size, and to a module that workers run as a program of one shape."""
    whole = any(view.kind == "whole" for kinds in views.values() for view in kinds)
    if whole and (trunk.preprocess.fixed_size or is_own(trunk.architecture)):
        raise UsageError(f"found the view whole for {trunk.name}, expected square crops: it takes nothing else.")


def extract_here(
    extraction: Extraction,
    trunk: KnownTrunk,
    watcher: Watcher,
    machine: Machine,
    *,
    max_bad: float = 0.01,
    shelf: Path | None = None,
) -> Outcome:
    """Run an extraction on this machine, as fast as it allows.

    Parameters
    ----------
    extraction : Extraction
    trunk : KnownTrunk
        Loaded only if it must run.
    watcher : Watcher
    machine : Machine
        Resolved.
    max_bad : float
        Share of images that may be unusable.
    shelf : Path, optional
        Where exported graphs are kept; in the cache's own folder if not given.

    Raises
    ------
    FixgridError
        See `run_pass` and `embed.backends.prepare_backend`.
    """
    facts, sizing = trunk.facts, machine.size(trunk.facts.weights_bytes)
    memo = extraction.store.root / COSTS_FILE
    lacking = {view.res for (_, view, _), entry in extraction.entries.items() if entry.read_seal() is None}
    expect_taken(facts.name, facts.architecture, facts.preprocess, sorted(lacking), memo, trunk.load)
    if is_own(facts.architecture):  # nobody can count them by its architecture later
        sides = sorted({view.res for views in extraction.views.values() for view in views})
        recall_costs(facts.architecture, sides, memo, trunk.load)
    prove_versions(extraction, trunk.load, watcher)
    made_by: dict[str, Any] = {
        "device": machine.device,
        "imagenet_labels": facts.imagenet_labels,
        "weights": facts.weights,
        "versions": library_versions(facts.architecture),
        **({"recalibrated": facts.recalibrated} if facts.recalibrated else {}),
    }
    with tempfile.TemporaryDirectory(prefix="fixgrid-") as folder:

        def open_backends(views: Sequence[View]) -> Opener:
            kind = machine.backend if all(view.kind != "whole" for view in views) else "torch"
            with suppress(OSError):  # a head start only: whoever starts workers meets the same and says it
                start_importing(list_imports(kind, machine.device, views))
            sides = sorted({view.res for view in views})
            how: dict[str, Any] = {
                "kind": kind,
                "folder": Path(folder),
                "shelf": shelf or extraction.store.root / SHELF,
                "device": machine.device,
                "threads": sizing.threads,
                "precision": extraction.trunk.precision,
            }
            spec = recall_backend(facts, sides, **how) or prepare_backend(trunk.load(), sides, **how)
            made_by["backend"] = spec.kind
            if spec.reason:
                watcher.notice(spec.reason)
            return OpenBackend(spec)

        outcome = run_pass(
            extraction,
            open_backends,
            watcher,
            sizing,
            engine=machine.engine,
            max_bad=max_bad,
            provenance=made_by,
        )
    if outcome.decoded:
        keep_speed(extraction.store.root / "speed", _describe_speed(extraction, outcome, made_by, sizing))
    return outcome


def run_pass(
    extraction: Extraction,
    open_backends: Callable[[Sequence[View]], Opener],
    watcher: Watcher,
    sizing: Sizing,
    *,
    engine: str = "local",
    max_bad: float = 0.01,
    provenance: Mapping[str, Any] | None = None,
) -> Outcome:
    """Prepare an extraction, have an engine compute what is missing, and finish it.

    Parameters
    ----------
    extraction : Extraction
    open_backends : callable
        Given the views still to be computed, loads the trunk and returns what opens it where features are computed;
        not called if nothing is missing.
    watcher : Watcher
    sizing : Sizing
    engine : str
        One of `ENGINES`.
    max_bad, provenance
        See `Extraction.finish`.

    Raises
    ------
    FixgridError
        See `Extraction.prepare`, `Extraction.finish` and `Engine.run`.
    """
    with stop_on_signals() as stopped, share_lock(extraction.run_lock) as first:
        work = extraction.prepare(watcher, stopped, pieces=1 if sizing.decoders else sizing.workers)
        if work.jobs:
            opener = open_backends(work.views)
            progress = Progress(watcher, work)
            hands = open_engine(engine, sizing, Course(stopped, progress.show, watcher.notice))
            if not first:
                watcher.notice("another extract uses this trunk and cache: sharing the work with it")
            for receipt in hands.run(work.hand_out(backwards=not first), opener):
                work.note(receipt)
                progress.pass_on(receipt)
                if receipt.bad and max_bad == 0:
                    break
        return extraction.finish(work, watcher, stopped, max_bad=max_bad, provenance=provenance)


def _describe_speed(extraction: Extraction, outcome: Outcome, made_by: Mapping[str, Any], sizing: Sizing) -> Speed:
    return Speed(
        host=platform.node(),
        device=made_by["device"],
        backend=made_by["backend"],
        weights_sha256=extraction.trunk.weights_sha256,
        precision=extraction.trunk.precision,
        crops={res: n for res, n in outcome.crops.items() if n},
        decoded=outcome.decoded,
        stages=dict(outcome.stages),
        workers=sizing.workers,
        decoders=sizing.decoders,
        wall_s=outcome.wall_s,
        created=time.time(),
    )


def prove_versions(extraction: Extraction, load: Callable[[], Trunk], watcher: Watcher) -> None:
    """Before features that other library versions made are reused, compute a few of their rows again.

    Raises
    ------
    CacheError
        If this machine computes other features.
    """
    versions = library_versions(extraction.trunk.architecture)
    recompute = Recomputer(extraction.store, load)
    for entry in extraction.entries.values():
        sealed = None if entry.spec.view["kind"] == "whole" else entry.read_seal()
        if sealed and probe_entry(sealed, versions, recompute):
            watcher.notice(
                f"{entry.folder.name[:12]} was made by other library versions: rows computed again agree"
            )
