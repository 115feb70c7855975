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

from .engines.processes import start_importing
from .extraction import Extraction, Outcome, TrunkKey, Watcher
from .recompute import Recomputer
from .request import choose_views
from .resample import needs_torch
from .sizing import Sizing, size_workers
from .speed import Speed, keep_speed
from .task import Backend
from .trunks.costs import COSTS_FILE, recall_costs
from .trunks.source import expect_sizes, is_own
from .versions import library_versions
from .views import View

if TYPE_CHECKING:
    from fixgrid.cache.rows import Manifest
    from fixgrid.cache.store import FeatureStore

    from .backends.spec import BackendSpec
    from .trunks.identity import TrunkFacts
    from .trunks.trunk import Trunk


def list_imports(kind: str, device: str, views: Sequence[View]) -> list[str]:
    """Packages that a worker will import for its trunk and to resize."""
    from .backends.prepare import list_candidates
    from .backends.spec import BACKENDS, import_runtime

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
        from .backends.spec import open_backend

        return open_backend(self.spec, view.res)


def build_extraction(
    store: FeatureStore,
    manifest: Manifest,
    trunk: TrunkFacts,
    resolutions: Sequence[int],
    *,
    precision: str = "fp32",
    dtype: str = "float32",
    **views: Any,
) -> Extraction:
    """The extraction of a data set by a trunk: every key that it is to fill.

    Parameters
    ----------
    store : FeatureStore
    manifest : Manifest
    trunk : TrunkFacts
    resolutions : sequence of int, px
        The trunk's own if empty.
    precision, dtype : str
        Of the arithmetic, and of the features as stored.
    views
        As `choose_views` takes them.

    Raises
    ------
    UsageError
        If a view is unknown, or the trunk does not take it.
    """
    sides = resolutions or [trunk.preprocess.native_res]
    expect_sizes(trunk.name, trunk.preprocess, sides)
    asked = choose_views(trunk.preprocess, manifest.splits, sides, **views)
    _expect_square(trunk, asked)
    key = TrunkKey(trunk.name, trunk.architecture, trunk.node, trunk.weights_sha256, trunk.dim, precision)
    return Extraction(store, manifest, key, asked, dtype)


def _expect_square(trunk: TrunkFacts, views: Mapping[str, Sequence[View]]) -> None:
    """Refuse whole images to a trunk of one size, and to a module that workers run as a program of one shape."""
    whole = any(view.kind == "whole" for kinds in views.values() for view in kinds)
    if whole and (trunk.preprocess.fixed_size or is_own(trunk.architecture)):
        raise UsageError(f"found the view whole for {trunk.name}, expected square crops: it takes nothing else.")


def extract_here(
    extraction: Extraction,
    facts: TrunkFacts,
    load: Callable[[], Trunk],
    watcher: Watcher,
    *,
    backend: str = "auto",
    device: str = "cpu",
    workers: str = "auto",
    max_bad: float = 0.01,
) -> Outcome:
    """Run an extraction on this machine, as fast as it allows.

    Parameters
    ----------
    extraction : Extraction
    facts : TrunkFacts
    load : callable
        Loads the trunk; called only if it must run.
    watcher : Watcher
    backend, device, workers : str
        ``auto`` or a choice.
    max_bad : float
        Share of images that may be unusable.

    Raises
    ------
    FixgridError
        See `Extraction.run` and `embed.backends.prepare_backend`.
    """
    if is_own(facts.architecture):  # nobody can count them by its architecture later
        sides = sorted({view.res for views in extraction.views.values() for view in views})
        recall_costs(facts.architecture, sides, extraction.store.root / COSTS_FILE, load)
    sizing = size_workers(facts.weights_bytes, device, workers)
    prove_versions(extraction, load, watcher)
    made_by: dict[str, Any] = {
        "device": device,
        "imagenet_labels": facts.imagenet_labels,
        "weights": facts.weights,
        "versions": library_versions(facts.architecture),
        **({"recalibrated": facts.recalibrated} if facts.recalibrated else {}),
    }
    with tempfile.TemporaryDirectory(prefix="fixgrid-") as folder:

        def open_backends(views: Sequence[View]) -> Callable[[View], Backend]:
            from .backends.prepare import prepare_backend

            kind = backend if all(view.kind != "whole" for view in views) else "torch"
            with suppress(OSError):  # a head start only: whoever starts workers meets the same and says it
                start_importing(list_imports(kind, device, views))
            spec = prepare_backend(
                load(),
                sorted({view.res for view in views}),
                kind=kind,
                folder=Path(folder),
                device=device,
                threads=sizing.threads,
                precision=extraction.trunk.precision,
            )
            made_by["backend"] = spec.kind
            if spec.reason:
                watcher.notice(spec.reason)
            return OpenBackend(spec)

        outcome = extraction.run(
            open_backends,
            watcher,
            workers=sizing.workers,
            decoders=sizing.decoders,
            environments=sizing.environments,
            max_bad=max_bad,
            provenance=made_by,
        )
    if outcome.decoded:
        keep_speed(extraction.store.root / "speed", _describe_speed(extraction, outcome, made_by, sizing))
    return outcome


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
        whole = entry.spec.view["kind"] == "whole"
        if entry.is_sealed and not whole and probe_entry(entry, versions, recompute):
            watcher.notice(
                f"{entry.folder.name[:12]} was made by other library versions: rows computed again agree"
            )
