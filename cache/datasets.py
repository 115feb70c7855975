"""Data sets that a cache has a record of, by the names that they were given."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .rows import Manifest
from .rowsfile import list_manifests
from .store import FeatureStore


def list_sources(store: FeatureStore) -> dict[str, Manifest]:
    """The newest record of every data set that was extracted into this cache, by the name it was given.

    Of two folders that were given one name in two places, the one that the name means here comes first.
    """
    records = [manifest for _, manifest in list_manifests(store.folder / "data")]
    sources: dict[str, Manifest] = {}
    for manifest in sorted(records, key=_is_elsewhere):
        sources.setdefault(manifest.source, manifest)
    return sources


def name_splits(store: FeatureStore) -> dict[str, tuple[str, str]]:
    """Data set and split by the digest of their rows, of every data set as it is or was; the newest name counts."""
    named: dict[str, tuple[str, str]] = {}
    for _, manifest in list_manifests(store.folder / "data"):
        for split, rows in manifest.splits.items():
            named.setdefault(rows.digest, (manifest.source, split))
    return named


def respell(source: str, sources: Mapping[str, Manifest]) -> str:
    """The name that a folder or file was extracted under, if it is spelt otherwise now."""
    if source in sources or not os.path.exists(os.path.expanduser(source)):
        return source
    here = _locate(source)
    same = (name for name, record in sources.items() if _locate(name) == here and not _is_elsewhere(record))
    return next(same, source)


def _is_elsewhere(manifest: Manifest) -> bool:
    here = _locate(manifest.source)
    return manifest.root not in (here, os.path.dirname(here))  # of a folder, and of a CSV


def _locate(source: str) -> str:
    return os.path.realpath(os.path.expanduser(source))


def shorten_source(source: str) -> str:
    """The last part of a data set's name: ``dogs`` of ``../data/dogs/``."""
    return os.path.basename(os.path.abspath(source))
