"""An extraction on this machine: where the backend comes from, what is recorded, versions proven."""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fixgrid.cache.errors import UsageError
from fixgrid.cache.health import probe_entry
from fixgrid.cache.rows import Manifest
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import View

from .backends.kept import SHELF
from .backends.prepare import list_candidates, prepare_backend, recall_backend
from .backends.spec import BACKENDS, BackendSpec, import_runtime, open_backend
from .clock import Share
from .engines.engine import Opener
from .engines.processes import start_importing
from .extraction import Extraction
from .keys import name_trunk
from .outcome import Outcome
from .portion import Portion
from .recompute import Recomputer
from .request import Wanted, choose_views
from .resample import needs_torch
from .run import Part, run_pass
from .sizing import Machine, Sizing
from .speed import Speed, keep_speed
from .task import Backend
from .trunks.costs import COSTS_FILE, expect_taken, recall_costs
from .trunks.identity import KnownTrunk, TrunkFacts
from .trunks.source import is_own
from .versions import library_versions
from .watcher import Watcher

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
    """What a worker calls for every view it meets: opens one backend per resolution, without the trunk's source.

    ``folder`` holds the spec's files.
    """

    spec: BackendSpec
    folder: Path

    def __call__(self, view: View) -> Backend:
        """The backend for a view's resolution."""
        return open_backend(self.spec, view.res)

    def move(self, folder: Path) -> OpenBackend:
        """The same with its files in another folder, under the same names."""
        return OpenBackend(self.spec.move(self.folder, folder), folder)


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
    asked: Sequence[tuple[Extraction, KnownTrunk]],
    watcher: Watcher,
    machine: Machine,
    *,
    max_bad: float = 0.01,
    shelf: Path | None = None,
    portion: Portion | None = None,
) -> Outcome:
    """Run extractions on this machine, as fast as it allows: one pass for all trunks that fit into memory together.

    Parameters
    ----------
    asked : sequence of (Extraction, KnownTrunk)
        Of one cache and data set. A trunk is loaded only if it must run.
    watcher : Watcher
    machine : Machine
        Resolved.
    max_bad : float
        Share of images that may be unusable.
    shelf : Path, optional
        Where exported graphs are kept; in the cache's own folder if not given.
    portion : Portion, optional
        See `run_pass`.

    Raises
    ------
    FixgridError
        See `run_pass` and `embed.backends.prepare_backend`.
    """
    lacking = [_find_lacking(extraction) for extraction, _ in asked]
    for (extraction, trunk), sides in zip(asked, lacking, strict=True):
        _expect_sizes(extraction, trunk, sides)
    for extraction, trunk in asked:
        watcher.phase(f"looking at the features of {trunk.facts.name}")
        prove_versions(extraction, trunk.load, watcher)
    complete = [[one] for one, sides in zip(asked, lacking, strict=True) if not sides]
    others = [one for one, sides in zip(asked, lacking, strict=True) if sides]
    sizes = [trunk.facts.weights_bytes for _, trunk in others]
    groups = [[others[i] for i in group] for group in machine.group(sizes)]
    if len(groups) > 1:
        named = "; ".join(", ".join(trunk.facts.name for _, trunk in group) for group in groups)
        watcher.notice(f"too little memory for all trunks at once: {len(groups)} passes over the images ({named})")
    run = partial(run_pass, watcher=watcher, engine=machine.engine, max_bad=max_bad, portion=portion)
    return Outcome.join([_run_group(group, watcher, machine, run, shelf) for group in (*complete, *groups)])


def _find_lacking(extraction: Extraction) -> list[int]:
    """Resolutions (px) at which a key is not sealed."""
    return sorted({view.res for (_, view, _), entry in extraction.entries.items() if entry.read_seal() is None})


def _expect_sizes(extraction: Extraction, trunk: KnownTrunk, lacking: Sequence[int]) -> None:
    facts, memo = trunk.facts, extraction.store.root / COSTS_FILE
    expect_taken(facts.name, facts.architecture, facts.preprocess, lacking, memo, trunk.load)
    if is_own(facts.architecture):  # nobody can count them by its architecture later
        sides = sorted({view.res for views in extraction.views.values() for view in views})
        recall_costs(facts.architecture, sides, memo, trunk.load)


def _run_group(
    group: Sequence[tuple[Extraction, KnownTrunk]],
    watcher: Watcher,
    machine: Machine,
    run: Callable[..., Outcome],
    shelf: Path | None,
) -> Outcome:
    """One pass, and how fast each of its trunks was."""
    sizing = machine.size(sum(trunk.facts.weights_bytes for _, trunk in group))
    shelf = shelf or group[0][0].store.root / SHELF
    with tempfile.TemporaryDirectory(prefix="fixgrid-") as folder:
        preparing = _Preparing(Path(folder), shelf, watcher, machine, sizing)
        parts = [preparing.take_part(extraction, trunk) for extraction, trunk in group]
        outcome = run(parts, sizing=sizing)
    for part, share in zip(parts, outcome.shares, strict=True):
        if share.decoded:
            speed = _describe_speed(part, share, outcome, sizing)
            keep_speed(part.extraction.store.root / "speed", speed)
    return outcome


@dataclass(frozen=True)
class _Preparing:
    """Where the backends of a pass come from, and where their files go."""

    folder: Path
    shelf: Path
    watcher: Watcher
    machine: Machine
    sizing: Sizing

    def take_part(self, extraction: Extraction, trunk: KnownTrunk) -> Part:
        """A trunk's part, its backend prepared when it is known what is missing."""
        facts = trunk.facts
        made_by: dict[str, Any] = {
            "device": self.machine.device,
            "imagenet_labels": facts.imagenet_labels,
            "weights": facts.weights,
            "versions": library_versions(facts.architecture),
            **({"recalibrated": facts.recalibrated} if facts.recalibrated else {}),
        }

        def open_backends(views: Sequence[View]) -> Opener:
            place = Path(tempfile.mkdtemp(dir=self.folder))
            spec = self._prepare_backend(trunk, views, extraction.trunk.precision, place)
            made_by["backend"] = spec.kind
            return OpenBackend(spec, place)

        return Part(extraction, open_backends, made_by)

    def _prepare_backend(
        self, trunk: KnownTrunk, views: Sequence[View], precision: str, folder: Path
    ) -> BackendSpec:
        kind = self.machine.backend if all(view.kind != "whole" for view in views) else "torch"
        with suppress(OSError):  # a head start only: whoever starts workers meets the same and says it
            start_importing(list_imports(kind, self.machine.device, views))
        sides = sorted({view.res for view in views})
        how: dict[str, Any] = {
            "kind": kind,
            "folder": folder,
            "shelf": self.shelf,
            "device": self.machine.device,
            "threads": self.sizing.threads,
            "precision": precision,
        }
        self.watcher.phase(f"loading {trunk.facts.name}")
        spec = recall_backend(trunk.facts, sides, **how) or prepare_backend(trunk.load(), sides, **how)
        if spec.reason:
            self.watcher.notice(spec.reason)
        return spec


def _describe_speed(part: Part, share: Share, outcome: Outcome, sizing: Sizing) -> Speed:
    return Speed(
        host=platform.node(),
        device=part.provenance["device"],
        backend=part.provenance["backend"],
        weights_sha256=part.extraction.trunk.weights_sha256,
        precision=part.extraction.trunk.precision,
        crops=dict(share.crops),
        decoded=share.decoded,
        stages=dict(share.stages),
        workers=sizing.workers,
        decoders=sizing.decoders,
        wall_s=outcome.wall_s * share.stages.total() / outcome.stages.total(),
        created=time.time(),
        trunk_s=dict(share.trunk_s),
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
