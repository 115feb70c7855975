"""Extraction: what the cache lacks of one trunk, and what becomes of it once an engine has computed that."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.adopt import Donors, adopt_rows
from fixgrid.cache.entry import Entry
from fixgrid.cache.errors import CacheError, DataError, Interrupted
from fixgrid.cache.labels import Name, find_version, read_name, record_name
from fixgrid.cache.lock import hold_lock
from fixgrid.cache.quarantine import BadRow, Loss, find_loss, read_reasons, write_reasons
from fixgrid.cache.remarks import Remarked, list_remarked
from fixgrid.cache.rows import Manifest
from fixgrid.cache.scale import USUAL, Scale
from fixgrid.cache.shard import Status
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.text import show_path
from fixgrid.cache.view import View

from .decode import is_curable
from .keys import TrunkKey, build_spec
from .plan import Goal
from .watcher import Watcher


@dataclass
class Extraction:
    """What `extract` is asked for of one trunk: every key that it is to fill. It knows no engine.

    It is part of a `Pass`: `repair` mends, `begin` adopts, `list_goals` says what is missing, `judge` and `seal`
    end it; in between an engine commits the missing rows. Run again, it resumes and completes.

    Attributes
    ----------
    store : FeatureStore
    manifest : Manifest
    trunk : TrunkKey
    views : mapping of split to views
    dtype : str
        Stored type, ``float32`` or ``float16``.
    called : str
        What the user calls the trunk; provenance, not key.
    look : mapping
        What the user said of the pixels in place of the weights' own metadata; provenance, as the views have it.
    scale : Scale
        Of values above 8 bits.
    """

    store: FeatureStore
    manifest: Manifest
    trunk: TrunkKey
    views: Mapping[str, Sequence[View]]
    dtype: str = "float32"
    called: str = ""
    look: Mapping[str, Any] = field(default_factory=dict)
    scale: Scale = USUAL

    def __post_init__(self) -> None:
        self.entries = {
            (split, view, node): self.store.entry(
                build_spec(self.trunk, node, self.manifest, split, view, self.dtype, self.scale)
            )
            for split, views in self.views.items()
            for view in views
            for node, _ in self.trunk.nodes
        }

    @property
    def lock(self) -> Path:
        """What repairs and seals hold, for as long as these take."""
        return self.store.find_lock(self.trunk.weights_sha256, "lock")

    @property
    def run_lock(self) -> Path:
        """What all runs share from beginning to end, so that nothing they work on is taken for garbage."""
        return self.store.find_lock(self.trunk.weights_sha256, "run")

    def alone(self, watcher: Watcher, stopped: Callable[[], bool]) -> AbstractContextManager[None]:
        """Hold `lock`, or wait for it until the user stops the run."""
        waiting = "another extract seals features of this trunk; waiting for it to finish"
        return hold_lock(self.lock, lambda: watcher.notice(waiting), stopped)

    def repair(self, watcher: Watcher, stopped: Callable[[], bool]) -> None:
        """Set aside what is damaged.

        Parameters
        ----------
        watcher : Watcher
        stopped : callable
            Whether the user wants it to end.

        Raises
        ------
        Interrupted
            If the user stopped it.
        DiskError, CacheError
        """
        for entry in self.entries.values():
            if not _is_whole(entry):
                # Another run may be sealing what looks damaged for a moment.
                with self.alone(watcher, stopped):
                    expect_running(stopped)
                    for line in entry.set_aside_damage():
                        watcher.notice(line)
            elif again := [row for row, reason in read_reasons(entry.folder).items() if is_curable(reason)]:
                with self.alone(watcher, stopped):
                    entry.reopen(again)

    def begin(self, mine: Mapping[str, NDArray[np.bool_]] | None = None) -> int:
        """Make every key's folder, and take over rows that other keys hold; how many.

        Parameters
        ----------
        mine : mapping of split to bool array, shape (n,), optional
            The rows that are asked for; all if not given.

        Raises
        ------
        DiskError, CacheError
        """
        donors, adopted = Donors(self.store), 0
        for (split, _, _), entry in self.entries.items():
            rows = self.manifest.splits[split]
            entry.create(rows)
            if entry.read_seal() is None:
                adopted += adopt_rows(donors, entry, rows, mine[split] if mine else None)
        return adopted

    def list_goals(self, trunk: int = 0, mine: Mapping[str, NDArray[np.bool_]] | None = None) -> list[Goal]:
        """What every key needs, as the cache is now, of a pass' trunk of that number; nothing is written.

        ``mine`` is as `begin` takes it.
        """
        widths = dict(self.trunk.nodes)
        starts = dict(zip(widths, accumulate(widths.values(), initial=0), strict=False))
        goals = []
        for (split, view, node), entry in self.entries.items():
            missing = entry.find_missing() & (mine[split] if mine else True)
            goals.append(Goal(split, self.manifest.splits[split], view, entry, missing, starts[node], trunk))
        return goals

    def count_left(self) -> int:
        """Images that some key still lacks."""
        missing = {split: np.zeros(len(rows), np.bool_) for split, rows in self.manifest.splits.items()}
        for (split, _, _), entry in self.entries.items():
            missing[split] |= entry.find_missing()
        return sum(int(lacking.sum()) for lacking in missing.values())

    def keep_reasons(self, reasons: Mapping[tuple[str, int], BadRow], part: str) -> None:
        """Record why images of a part of the rows are bad, for whoever judges them all.

        Raises
        ------
        DiskError
            If that cannot be written.
        """
        for (split, _, _), entry in self.entries.items():
            found = [row for (its, _), row in sorted(reasons.items()) if its == split]
            if found and entry.read_seal() is None:
                write_reasons(entry.folder, found, part)

    def judge(self, reasons: Mapping[tuple[str, int], BadRow], max_bad: float) -> list[BadRow]:
        """Collect the images without features, one row each, and refuse if they are too many.

        Parameters
        ----------
        reasons : mapping of (split, row) to BadRow
            What this run found bad; why others are is read from the cache.
        max_bad : float
            Share of images, 0 to 1, that may be without features.

        Raises
        ------
        DataError
            If more are bad; what is computed stays.
        """
        bad: dict[tuple[str, int], BadRow] = {}
        for (split, _, _), entry in self.entries.items():
            rows, recorded = self.manifest.splits[split], read_reasons(entry.folder)
            status = entry.read_status()
            for row in np.flatnonzero(status != Status.OK).tolist():
                code = Status(int(status[row]))
                known = BadRow(split, row, rows.paths[row], code, recorded.get(row, code.name.lower()))
                bad.setdefault((split, row), reasons.get((split, row), known))
        found = [bad[place] for place in sorted(bad)]
        for (split, _, _), entry in self.entries.items():
            if entry.read_seal() is None:
                write_reasons(entry.folder, [row for row in found if row.split == split])
        images = sum(len(self.manifest.splits[split]) for split in self.views)
        if len(bad) > max_bad * images:
            raise DataError(self._refuse(found, images, max_bad))
        return found

    def _refuse(self, found: Sequence[BadRow], images: int, max_bad: float) -> str:
        """Too many images without features, in a line: by the arithmetic, of a whole class, or of some files."""
        fatal = [(loss, cure) for loss, cure in self.find_losses() if loss.is_fatal]
        allow = "" if fatal else f", or allow them with --max-bad {100 * len(found) / images + 0.05:.1f}%"
        spoilt = [row for row in found if row.status == Status.NONFINITE]
        first, what, cure = found[0], "unusable", f"mend or remove them{allow}: nothing is computed again"
        if len(found) - len(spoilt) <= max_bad * images:
            first, what = spoilt[0], "without features that can be kept"
            cure = first.say_cure(next(iter(self.entries.values())).spec) + allow
        elif fatal:
            return f"found {fatal[0][0]}; {fatal[0][1]}."
        return (
            f"found {len(found)} of {images} images {what}, expected at most {max_bad:.2%}: first "
            f"{show_path(first.path)} ({first.reason}); {cure}."
        )

    def find_losses(self) -> list[tuple[Loss, str]]:
        """Splits and classes of which no image has features, seen in some way, and what to do about each."""
        losses: dict[tuple[str, tuple[str, ...]], tuple[Loss, str]] = {}
        for (split, _, _), entry in self.entries.items():
            loss = find_loss(self.manifest, split, entry.read_status(), read_reasons(entry.folder))
            if loss:
                losses.setdefault((loss.split, loss.classes), (loss, loss.say_cure(entry.spec)))
        return list(losses.values())

    def list_remarked(self) -> list[Remarked]:
        """The images of which decoding noticed something, in the order of splits and rows; all keys are sealed.

        Of keys that earlier versions sealed nothing is known, so the key that tells most of a split is asked.
        """
        told: dict[str, list[Remarked]] = {split: [] for split in self.views}
        for (split, _, _), entry in self.entries.items():
            found = list_remarked(self.manifest.splits[split].paths, entry.open().read_remarks())
            told[split] = max(told[split], found, key=len)
        return [one for found in told.values() for one in found]

    def seal(self, provenance: Mapping[str, Any]) -> None:
        """Make one file of each key's rows, all of which are committed; `provenance` is recorded with it.

        Raises
        ------
        DiskError, CacheError
        """
        name = Name(self.called, self.trunk.name)
        facts = {"trunk": name.trunk, "host": platform.node(), "created": int(time.time()), **provenance}
        facts |= {"look": dict(self.look), **({"called": name.called} if name.called else {})}
        for entry in self.entries.values():
            if entry.read_seal() is None:
                entry.seal(facts)
            entry.drop_shards()
            if name != read_name(entry.open()):
                record_name(self.store, find_version(entry.spec), name)


def _is_whole(entry: Entry) -> bool:
    """Whether an entry is sealed, and its file as it was then."""
    try:
        entry.open().check_digest()
    except CacheError:
        return False
    return True


def expect_running(stopped: Callable[[], bool]) -> None:
    """Nothing, unless the user stopped the run.

    Raises
    ------
    Interrupted
        If so.
    """
    if stopped():
        raise Interrupted("stopped; everything computed so far is safe.")
