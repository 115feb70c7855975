"""See other images as cached features were made: by the same trunk, in the same views, kept by themselves."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cache.disk import is_refused
from .cache.errors import DiskError, UsageError
from .cache.features import FeatureSet
from .cache.rows import Manifest
from .cache.shard import Status
from .cache.store import FeatureStore
from .cache.view import read_view
from .embed.extraction import Extraction
from .embed.listing import SPLIT
from .embed.outcome import Outcome
from .embed.replica import adopt_known, build_replica, find_trunk
from .embed.sizing import Machine
from .embed.trunks.source import is_own
from .embed.watcher import Watcher
from .extracting import say_remarks
from .preprocessing import wrap_module

if TYPE_CHECKING:
    from torch import nn

    from .embed.trunks.own import OwnTrunk

PREDICTIONS = "predictions"
"""Folder in the cache's, of images that were seen without being extracted."""


def find_own(
    described: Mapping[str, Any],
    trunk: str | nn.Module | OwnTrunk | None,
    weights: str | Path | None,
    watcher: Watcher,
) -> OwnTrunk | None:
    """The user's own trunk of a head, if one is given; a file gets the weights that it had, if no others are named.

    Parameters
    ----------
    described : mapping
        The trunk as the head's file, or the cache, has it.
    trunk, weights
        As `fixgrid.predict` takes them.
    watcher : Watcher

    Raises
    ------
    UsageError
        If the head was fitted on a library's trunk, or see `wrap_module`.
    """
    if trunk is None:
        return None
    if not is_own(str(described.get("architecture"))):  # before anything is run
        raise UsageError(f"found a module of one's own for a head on {described.get('trunk')}; give none.")
    if not isinstance(trunk, str):
        return wrap_module(trunk, None, watcher)
    place = weights or ("" if trunk.endswith(".onnx") else str(described.get("weights") or ""))
    return wrap_module(trunk, Path(place).expanduser() if place else None, watcher)


class Replica:
    """A trunk and views that features were made by, ready to see other images the same way.

    Parameters
    ----------
    described : mapping
        The trunk as a head's file, or `Sealed.describe_trunk`, has it.
    views : sequence of mapping
        The views, as keys hold them.
    trunk, weights
        As `fixgrid.predict` takes them.
    folder : Path
        The cache.
    machine : Machine
    watcher : Watcher
    """

    def __init__(
        self,
        described: Mapping[str, Any],
        views: Sequence[Mapping[str, Any]],
        trunk: str | nn.Module | OwnTrunk | None,
        weights: str | Path | None,
        folder: Path,
        machine: Machine,
        watcher: Watcher,
    ) -> None:
        self.folder, self.machine, self.watcher = folder, machine.resolve(), watcher
        self.described, self.views = described, [read_view(spec) for spec in views]
        own = find_own(described, trunk, weights, watcher)
        place = Path(weights).expanduser() if weights else None
        self.trunk = find_trunk(described, self.views, place, folder / "trunks", own=own)

    def see(self, manifest: Manifest) -> tuple[Extraction, Outcome]:
        """Features of the images, from the cache or kept there where that may be written to, and what that took."""
        # A cache of its own: images to classify are no data set that fit-head, grid or cache gc should meet.
        try:
            return self._see(manifest, self.folder / PREDICTIONS)
        except DiskError as error:
            if not is_refused(error):
                raise
        self._passing = tempfile.TemporaryDirectory(prefix="fixgrid-")  # for as long as its rows are read
        self.watcher.notice(f"note: {self.folder / PREDICTIONS} may not be written: what is computed is not kept")
        return self._see(manifest, Path(self._passing.name))

    def _see(self, manifest: Manifest, place: Path) -> tuple[Extraction, Outcome]:
        from .embed.backends.kept import SHELF
        from .embed.machine import extract_here

        extraction = build_replica(FeatureStore(place), manifest, self.trunk.facts, self.described, self.views)
        for known in {self.folder, self.folder / PREDICTIONS} - {place}:
            adopt_known(extraction, FeatureStore(known))
        asked, shelf = [(extraction, self.trunk)], self.folder / SHELF
        outcome = extract_here(asked, self.watcher, self.machine, max_bad=1.0, shelf=shelf)
        say_remarks([extraction], self.watcher)
        return extraction, outcome

    def read(self, extraction: Extraction) -> list[Iterator[FeatureSet]]:
        """Blocks of the images that have features, for each view."""
        rows = extraction.manifest.splits[SPLIT]
        return [entry.open().read_blocks(rows) for entry in extraction.entries.values()]


def list_statuses(extraction: Extraction) -> list[str]:
    """What became of each image, in order: ``ok``, or the worst of its views."""
    codes = map(max, zip(*(entry.read_status().tolist() for entry in extraction.entries.values()), strict=True))
    return [Status(code).name.lower() for code in codes]
