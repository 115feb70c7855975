"""What a cache holds that cells may be compared by: trunks, kinds of features, crop ratios."""

from __future__ import annotations

from typing import NamedTuple

from .holdings import POOLED, pick_data, say_trunk
from .labels import Labels, find_version
from .rows import Manifest
from .sealed import Sealed
from .store import FeatureStore
from .view import complete_spec


class Held(NamedTuple):
    """What a cache holds of a data set by a trunk, and cells may be compared by.

    Attributes
    ----------
    features : tuple of str
        Kinds of features, the pooled ones first.
    crop_ratios : tuple of float
        Of val and test images, ascending.
    """

    features: tuple[str, ...]
    crop_ratios: tuple[float, ...]


def list_axes(store: FeatureStore, source: str | None = None, trunk: str | None = None) -> Held:
    """What `find_holdings` may be asked for.

    Raises
    ------
    CacheError, UsageError
        As `find_holdings`.
    """
    manifest, labels, mine = _label_entries(store, source)
    version = labels.choose(trunk, say_trunk(manifest, store, trunk))
    specs = [entry.spec for entry in mine if find_version(entry.spec) == version]
    kinds = sorted({str(spec.trunk["node"]) for spec in specs}, key=lambda kind: (kind != POOLED, kind))
    centers = (complete_spec(spec.view) for spec in specs if spec.view["kind"] == "center")
    return Held(tuple(kinds), tuple(sorted({float(view["crop_ratio"]) for view in centers})))


def list_labels(store: FeatureStore, source: str | None = None) -> list[str]:
    """What the trunks that have seen a data set are called, in alphabetical order.

    Raises
    ------
    CacheError, UsageError
        As `find_holdings`.
    """
    return list(_label_entries(store, source)[1].list_all())


def _label_entries(store: FeatureStore, source: str | None) -> tuple[Manifest, Labels, list[Sealed]]:
    manifest = pick_data(store, source)
    digests = {rows.digest for rows in manifest.splits.values()}
    mine = store.sealed(lambda spec: spec.rows_sha256 in digests)
    return manifest, Labels(store, mine), mine
