"""What a cache holds, seen from the user's side: data sets, trunks, and features by (split, view, resolution)."""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .datasets import find_source, list_sources
from .errors import CacheError, DataError, UsageError, say_command
from .features import FeatureSet
from .hints import OPTIONS as OPTIONS
from .hints import POOLED as POOLED
from .hints import RECALIBRATED as RECALIBRATED
from .hints import Hint, Place, list_words, say_cache, say_extract
from .labels import Labels, Version, find_stem, find_version
from .places import expect_one_look, sort_places
from .quarantine import find_loss, read_reasons
from .rows import Manifest
from .scale import Scale
from .sealed import Sealed
from .shard import Status
from .store import FeatureStore
from .view import View

_LOG = logging.getLogger("fixgrid")


@dataclass(frozen=True, eq=False)
class Holdings:
    """Sealed features of one data set by one trunk.

    Attributes
    ----------
    manifest : Manifest
    trunk : str
        What the trunk is called, and what tells it from others of that name.
    entries : mapping of (split, view kind, resolution) to Sealed
        A kind that begins with `RECALIBRATED` is of the recalibrated trunk.
    features : str
        Kind of features.
    version : Version or None
        Which trunk.
    hint : Hint or None
        What to type for more of the same.
    """

    manifest: Manifest
    trunk: str
    entries: Mapping[Place, Sealed]
    features: str = POOLED
    version: Version | None = None
    hint: Hint | None = None

    @property
    def n_classes(self) -> int:
        """Number of classes that labels index."""
        return len(self.manifest.classes)

    @property
    def scale(self) -> Scale:
        """By which values above 8 bits were seen, in all of them."""
        return Scale.from_decode(next(iter(self.entries.values())).spec.decode)

    def view(self, split: str, kind: str, res: int) -> View:
        """How the images of one split were seen.

        Raises
        ------
        CacheError
            If they were not.
        """
        return View.from_spec(self.entry(split, kind, res).spec.view)

    def resolutions(self, split: str, kind: str) -> list[int]:
        """Resolutions, px, at which a split is cached in one kind of view, ascending."""
        return sorted(res for s, k, res in self.entries if (s, k) == (split, kind))

    def entry(self, split: str, kind: str, res: int) -> Sealed:
        """The entry of one split, seen one way.

        Raises
        ------
        CacheError
            If it was not extracted.
        """
        self._expect_held([(split, kind, res)])
        return self.entries[split, kind, res]

    def expect(self, places: Iterable[Place]) -> None:
        """Refuse to begin what lacks features: all of them are named at once, by the command that brings them.

        Raises
        ------
        CacheError
            If any was not extracted.
        DataError
            If a split, or a class of the training images, has images and features of none.
        """
        places = list(dict.fromkeys(places))
        self._expect_held(places)
        for split, kind, res in places:
            entry = self.entries[split, kind, res]
            if entry.seal.rows_not_ok:
                loss = find_loss(self.manifest, split, entry.read_status(), read_reasons(entry.folder))
                if loss and loss.is_fatal:
                    raise DataError(f"found {loss}; {loss.say_cure(entry.spec)}.")

    def _expect_held(self, places: Sequence[Place]) -> None:
        lacking = [place for place in places if place not in self.entries]
        if lacking:
            splits, kinds = (" or ".join(dict.fromkeys(str(place[i]) for place in lacking)) for i in (0, 1))
            sides = ", ".join(map(str, sorted({res for _, _, res in lacking})))
            have = self.resolutions(*lacking[0][:2])
            raise CacheError(
                f"no {kinds} features of {splits} at {sides} px; the cache holds "
                f"{have or 'none'}: run {self.say_extract(lacking)}"
            )

    def say_extract(self, places: Iterable[Place] | None = None) -> str:
        """What to type for some features, or for all that there are, of the images as they are now."""
        places = list(self.entries if places is None else places)
        return self.hint.say(places) if self.hint else say_command(" ".join(["extract", *list_words(places)]))

    def load(self, split: str, kind: str, res: int) -> FeatureSet:
        """Features and labels of one split, seen one way.

        Raises
        ------
        CacheError
            If they were not extracted or cannot be trusted.
        """
        return self.entry(split, kind, res).load(self.manifest.splits[split])

    def stream(self, split: str, kind: str, res: int, step: int) -> FeatureSet:
        """As `load`, with features that stay on disk; see `Sealed.stream`."""
        return self.entry(split, kind, res).stream(self.manifest.splits[split], step)

    def list_rows(self, split: str, kind: str, res: int) -> NDArray[np.int64]:
        """Row ids of the images that `load` would give, without their features: int64, ascending."""
        return np.flatnonzero(self.entry(split, kind, res).read_status() == Status.OK)

    def identify(self, split: str, kind: str, res: int) -> str:
        """What `load` would give: equal strings mean equal features, rows and labels.

        Raises
        ------
        CacheError
            If they were not extracted.
        """
        rows = self.manifest.splits[split]
        groups = b"" if rows.groups is None else rows.groups.tobytes()
        labels = hashlib.sha256(rows.labels.tobytes() + groups).hexdigest()
        entry = self.entry(split, kind, res)
        return f"{entry.spec.key}:{entry.digest}:{labels}"


def find_holdings(
    store: FeatureStore,
    source: str | None = None,
    trunk: str | None = None,
    view: Mapping[str, Any] | None = None,
    features: str | None = None,
) -> Holdings:
    """Features of one data set by one trunk; what is not named must be unambiguous.

    Parameters
    ----------
    source : str or None
        As given to ``extract``.
    trunk : str or None
        The name that ``extract`` was told, or its library's, with ``@`` and the beginning of its weights' digest, a
        precision or a stored type where that alone is ambiguous; see `Labels.find`.
    view : mapping
        View fields that must match where a view has them, e.g. ``{"resize": "height", "draws": 4}``; decimal
        strings by their value.
    features : str or None
        Kind of features; the pooled ones, or else the only ones, if not given.

    Raises
    ------
    CacheError
        If nothing fits.
    UsageError
        If more than one data set, trunk, kind of features or view fits.
    """
    manifest = pick_data(store, source)
    rows = {part.digest: split for split, part in manifest.splits.items()}
    mine = store.sealed(lambda spec: spec.rows_sha256 in rows)
    labels = Labels(store, mine)
    version = labels.choose(trunk, say_trunk(manifest, store, trunk))
    kinds: dict[str, list[Sealed]] = {}
    for entry in mine:
        if entry.origin is None and find_version(entry.spec) == version:
            kinds.setdefault(str(entry.spec.trunk["node"]), []).append(entry)
    wanted = features or (POOLED if POOLED in kinds else None)
    if features and features not in kinds and kinds:
        others = next(iter(kinds.values()))
        held = sort_places(others, rows, view or {})
        _refuse(features, kinds, Hint(manifest, others[0], features, held, view or {}, store.root).say(held))
    entries = _pick("kind of features", "--features", kinds, wanted)
    node = str(entries[0].spec.trunk["node"])
    again = [entry for entry in mine if entry.origin is not None and find_stem(entry) == version]
    again = [entry for entry in again if entry.spec.trunk["node"] == node]
    places = sort_places(entries, rows, view or {})
    places |= sort_places(_list_recalibrated(again, manifest), rows, view or {}, RECALIBRATED)
    expect_one_look(places)
    for (split, kind, res), entry in places.items():
        _LOG.debug("key %s: %s of %s, %s at %d px", entry.folder.name[:12], node, split, kind, res)
    hint = Hint(manifest, entries[0], node, places, view or {}, store.root)
    return Holdings(manifest, labels.label(version, trunk), places, node, version, hint)


def _list_recalibrated(entries: Sequence[Sealed], manifest: Manifest) -> list[Sealed]:
    """Those recalibrated on the training images as they are now.

    Statistics measured again by other libraries differ in their last bits: the newest count.
    """
    train = manifest.splits["train"].digest if "train" in manifest.splits else ""
    newest: dict[tuple[str, str], Sealed] = {}
    for entry in sorted(entries, key=lambda entry: float(entry.provenance.get("created", 0))):
        origin, spec = entry.origin or {}, entry.spec
        if (origin.get("rows_sha256"), origin.get("res")) == (train, spec.view["res"]):
            newest[spec.rows_sha256, json.dumps(spec.view, sort_keys=True)] = entry
    return list(newest.values())


def pick_data(store: FeatureStore, source: str | None) -> Manifest:
    """The data set that is meant, or the only one.

    Raises
    ------
    CacheError, UsageError
        If there is none, or more than one.
    """
    found, sources = (None, list_sources(store)) if source is None else find_source(store, source)
    if source is not None and found is None and sources:
        words = shlex.join(["--data", source, *say_cache(store.root)])
        _refuse(source, sources, f"{say_command('extract')} {words}")
    return found or _pick("data set", "--data", sources, source)


def say_trunk(manifest: Manifest, store: FeatureStore, trunk: str | None) -> str:
    """What to type for features of a data set by a trunk; a digest behind its name is no part of that."""
    return say_extract(manifest, store.root, ["--trunk", trunk] if trunk and "@" not in trunk else [])


def _refuse(wanted: str, choices: Iterable[str], command: str) -> NoReturn:
    held = ", ".join(sorted(choices))
    raise CacheError(f"no features of {wanted}; the cache holds {held}: run {command} first.")


def _pick(what: str, option: str, choices: Mapping[str, Any], wanted: str | None) -> Any:
    if wanted is not None and wanted in choices:
        return choices[wanted]
    names = ", ".join(sorted(choices)) or "none"
    if not choices or wanted is not None:
        asked = f"no features of {wanted}" if wanted else f"no {what} with complete features"
        raise CacheError(f"{asked}; the cache holds {names}: run {say_command('extract')} first.")
    if len(choices) > 1:
        raise UsageError(f"the cache holds more than one {what} ({names}): choose with {option}.")
    return next(iter(choices.values()))
