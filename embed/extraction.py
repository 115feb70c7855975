"""Extraction: what the cache lacks is planned, computed by workers, and sealed."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from fixgrid.cache.adopt import Donors, adopt_rows
from fixgrid.cache.disk import expect_space
from fixgrid.cache.entry import Entry
from fixgrid.cache.errors import DataError, Interrupted
from fixgrid.cache.key import Spec
from fixgrid.cache.lock import hold_lock
from fixgrid.cache.rows import Manifest
from fixgrid.cache.rowsfile import show_path, write_manifest
from fixgrid.cache.shard import Status
from fixgrid.cache.store import FeatureStore

from .decode import POLICY
from .engines.local import Supervisor
from .job import BadRow, Receipt, ShardJob
from .plan import Goal, count_bytes, plan_jobs
from .quarantine import read_reasons, write_reasons
from .signals import stop_on_signals
from .task import Backend
from .views import View


@dataclass(frozen=True)
class TrunkKey:
    """What of a trunk goes into the key, and how it is called.

    Attributes
    ----------
    name : str
        As typed; provenance, not key.
    architecture, node, weights_sha256 : str
    dim : int
        D of the features.
    precision : str
    """

    name: str
    architecture: str
    node: str
    weights_sha256: str
    dim: int
    precision: str = "fp32"


class Watcher(Protocol):
    """Whoever shows the run to the user."""

    def start(self, images: int, done: int) -> None:
        """Extraction begins: `images` rows in all, `done` already cached."""

    def advance(self, done: int) -> None:
        """`done` rows are now cached or under way."""

    def notice(self, line: str) -> None:
        """Something the user should know; the run goes on."""


@dataclass
class Outcome:
    """What an extraction did.

    Attributes
    ----------
    entries : mapping of (split, view) to Entry
        Sealed.
    computed, adopted : int
        Rows (of a key) computed, and copied from other keys.
    passes : int
        Keys for which the trunk ran.
    bad : list of BadRow
        Images without features, one per image.
    images : int
        Rows of all splits.
    decoded, forwards : int
        Images decoded and crops run through the trunk.
    crops : mapping of px to int
        Crops that were missing, by resolution.
    stages : mapping of stage to s
        Summed over workers.
    wall_s : float
    """

    entries: dict[tuple[str, View], Entry] = field(default_factory=dict)
    computed: int = 0
    adopted: int = 0
    passes: int = 0
    bad: list[BadRow] = field(default_factory=list)
    images: int = 0
    decoded: int = 0
    forwards: int = 0
    crops: Counter[int] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0

    def add(self, receipt: Receipt) -> None:
        """Count what a shard job did."""
        self.decoded += receipt.decoded
        self.forwards += receipt.forwards
        self.stages.update(receipt.seconds)


def build_spec(trunk: TrunkKey, manifest: Manifest, split: str, view: View, dtype: str) -> Spec:
    """The key of one split, seen one way, by one trunk."""
    return Spec(
        trunk={"architecture": trunk.architecture, "node": trunk.node, "weights_sha256": trunk.weights_sha256},
        view=view.to_spec(),
        decode=POLICY,
        precision=trunk.precision,
        dtype=dtype,
        views=view.count,
        dim=trunk.dim,
        rows=len(manifest.splits[split]),
        rows_sha256=manifest.splits[split].digest,
    )


@dataclass
class Extraction:
    """One run of `extract`: the same call resumes, repairs and completes.

    Attributes
    ----------
    store : FeatureStore
    manifest : Manifest
    trunk : TrunkKey
    views : mapping of split to views
    dtype : str
        Stored type, ``float32`` or ``float16``.
    """

    store: FeatureStore
    manifest: Manifest
    trunk: TrunkKey
    views: Mapping[str, Sequence[View]]
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self.entries = {
            (split, view): self.store.entry(build_spec(self.trunk, self.manifest, split, view, self.dtype))
            for split, views in self.views.items()
            for view in views
        }

    def run(
        self,
        open_backends: Callable[[Sequence[View]], Callable[[View], Backend]],
        watcher: Watcher,
        *,
        workers: int,
        decoders: int = 0,
        environments: Sequence[Mapping[str, str]] = ({},),
        timeout_s: float = 120.0,
        max_bad: float = 0.01,
        provenance: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """Compute what is missing and seal every key.

        Parameters
        ----------
        open_backends : callable
            Given the views still to be computed, loads the trunk and returns what workers open it with; not
            called if nothing is missing.
        watcher : Watcher
        workers, decoders, environments, timeout_s
            See `Supervisor`.
        max_bad : float
            Share of images, 0 to 1, that may be without features.
        provenance : mapping
            Recorded with the seal.

        Raises
        ------
        DataError
            If more images are bad than `max_bad` allows; what is computed stays.
        Interrupted
            If the user stopped it; what is committed stays.
        DiskError, CacheError
        """
        began = time.monotonic()
        outcome = Outcome(self.entries, images=sum(len(self.manifest.splits[split]) for split in self.views))
        with stop_on_signals() as stopped:
            lock = self.store.folder / "locks" / f"{self.trunk.weights_sha256[:16]}.lock"
            waiting = "another extract uses this trunk and cache; waiting for it to finish"
            with hold_lock(lock, lambda: watcher.notice(waiting), stopped):
                _expect_running(stopped)
                self.store.create()
                write_manifest(self.store.folder / "data", self.manifest)
                goals = self._find_goals(watcher, outcome)
                expect_space(self.store.folder, count_bytes(goals))
                jobs = plan_jobs(goals, self.manifest.root, 1 if decoders else workers)
                reasons: dict[tuple[str, int], BadRow] = {}
                if jobs and not stopped():
                    opener = open_backends([goal.view for goal in goals if goal.missing.any()])
                    progress = _Progress(watcher, outcome.images, jobs)
                    supervisor = Supervisor(
                        opener,
                        workers,
                        decoders=decoders,
                        environments=environments,
                        timeout_s=timeout_s,
                        should_stop=stopped,
                        on_progress=progress.show,
                        on_notice=watcher.notice,
                    )
                    for receipt in supervisor.run(jobs):
                        progress.pass_on(receipt.notices)
                        progress.done += receipt.stop - receipt.start
                        outcome.add(receipt)
                        reasons.update(((row.split, row.row), row) for row in receipt.bad)
                        if receipt.bad and max_bad == 0:
                            break
                _expect_running(stopped)
                self._judge(outcome, reasons, max_bad)
                outcome.wall_s = time.monotonic() - began
                self._seal(outcome, provenance or {})
        return outcome

    def _find_goals(self, watcher: Watcher, outcome: Outcome) -> list[Goal]:
        goals, donors = [], Donors(self.store)
        for (split, view), entry in self.entries.items():
            rows = self.manifest.splits[split]
            for line in entry.set_aside_damage():
                watcher.notice(line)
            entry.create(rows)
            if entry.read_seal() is None:
                outcome.adopted += adopt_rows(donors, entry, rows)
            missing = entry.find_missing()
            outcome.computed += int(missing.sum())
            outcome.passes += bool(missing.any())
            outcome.crops[view.res] += int(missing.sum()) * view.count
            goals.append(Goal(split, rows, view, entry, missing))
        return goals

    def _judge(self, outcome: Outcome, reasons: Mapping[tuple[str, int], BadRow], max_bad: float) -> None:
        """Collect the images without features, and refuse if they are too many."""
        bad: dict[tuple[str, int], BadRow] = {}
        for (split, _), entry in self.entries.items():
            rows, recorded = self.manifest.splits[split], read_reasons(entry.folder)
            status = entry.read_status()
            for row in np.flatnonzero(status != Status.OK).tolist():
                code = Status(int(status[row]))
                known = BadRow(split, row, rows.paths[row], code, recorded.get(row, code.name.lower()))
                bad.setdefault((split, row), reasons.get((split, row), known))
        outcome.bad = [bad[place] for place in sorted(bad)]
        for (split, _), entry in self.entries.items():
            if entry.read_seal() is None:
                write_reasons(entry.folder, [row for row in outcome.bad if row.split == split])
        if len(bad) > max_bad * outcome.images:
            first = outcome.bad[0]
            raise DataError(
                f"found {len(bad)} of {outcome.images} images unusable, expected at most {max_bad:.2%}: first "
                f"{show_path(first.path)} ({first.reason}). Mend or remove them, or allow them with "
                f"--max-bad {100 * len(bad) / outcome.images + 0.05:.1f}%; nothing is computed again."
            )

    def _seal(self, outcome: Outcome, provenance: Mapping[str, Any]) -> None:
        facts = {"trunk": self.trunk.name, "host": platform.node(), "created": int(time.time()), **provenance}
        for entry in self.entries.values():
            if entry.read_seal() is None:
                entry.seal(facts)
            entry.drop_shards()


class _Progress:
    """Adds the rows under way to the rows reported, and passes on each line of the workers once."""

    def __init__(self, watcher: Watcher, images: int, jobs: Sequence[ShardJob]) -> None:
        self.watcher = watcher
        self.done = images - sum(job.stop - job.start for job in jobs)
        self.said: set[str] = set()
        watcher.start(images, self.done)

    def show(self, under_way: int) -> None:
        self.watcher.advance(self.done + under_way)

    def pass_on(self, lines: Sequence[str]) -> None:
        for line in lines:
            if line not in self.said:
                self.said.add(line)
                self.watcher.notice(line)


def _expect_running(stopped: Callable[[], bool]) -> None:
    if stopped():
        raise Interrupted("stopped; everything computed so far is safe.")
