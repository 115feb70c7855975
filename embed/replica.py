"""A trunk and a view again, exactly as a head's file describes them, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fixgrid.cache.adopt import Donors, adopt_rows
from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.key import DTYPES
from fixgrid.cache.rows import Manifest
from fixgrid.cache.scale import USUAL, Scale
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import View

from .backends.spec import TOLERANCE
from .decode import describe_policy
from .extraction import Extraction
from .keys import name_trunk
from .listing import SPLIT
from .resample import expect_resampler
from .trunks.files import say_cure
from .trunks.identity import KnownTrunk, TrunkFacts, identify_trunk, prepare_otherwise, take_nodes
from .trunks.recalibrated import follow_origin, recalibrate_trunk
from .trunks.source import is_own

if TYPE_CHECKING:
    from .trunks.own import OwnTrunk
    from .trunks.trunk import Trunk

_FIELDS = ("trunk", "architecture", "node", "weights_sha256", "precision")


def find_trunk(
    described: Mapping[str, Any],
    views: Sequence[View],
    weights: Path | None,
    memo_folder: Path,
    own: OwnTrunk | None = None,
) -> KnownTrunk:
    """The trunk that a head was fitted on, and how to load it; see `identify_trunk`.

    Parameters
    ----------
    described : mapping
        The trunk as the head's file has it.
    views : sequence of View
        Pixels are normalised as they say, whatever the weights' metadata says now.
    weights : Path or None
        Where its weights are now; where they were, if not given.
    memo_folder : Path
    own : OwnTrunk, optional
        The module that the head was fitted on, if it was a user's own.

    Raises
    ------
    CacheError
        If the file describes no trunk, or several normalisations, or these are other weights.
    UsageError, DataError
        See `embed.trunks.trunk.load_trunk`; or if there is no `own` where there must be one, or one where there
        must not.
    """
    name, file = _read_trunk(described, weights)
    stem, origin = _find_stem(described)
    found = _identify_own(described, own) or identify_trunk(name, file, memo_folder)
    rule = _read_rule(described, found.facts.rule)
    facts = replace(found.facts, rule=rule)
    trunk = KnownTrunk(facts, lambda: replace(found.load(), rule=rule))
    trunk = take_nodes(trunk, [described["node"]], memo_folder)
    facts = trunk.facts
    for view in views:
        expect_resampler(view.resampler, view.interpolation)
        if (view.mean, view.std) != (views[0].mean, views[0].std):
            raise CacheError("the head's file says several means or stds for one trunk; run fit-head again.")
    expect_same(stem, facts.architecture, facts.weights_sha256)
    trunk = prepare_otherwise(trunk, facts.preprocess.follow(views[0]))
    return follow_origin(trunk, described["weights_sha256"], origin) if origin else trunk


def open_trunk(
    described: Mapping[str, Any], view: View, weights: Path | None, own: OwnTrunk | None = None
) -> Trunk:
    """The trunk that a head was fitted on, loaded; its pixels are normalised as the view says.

    Raises
    ------
    CacheError, UsageError, DataError
        As `find_trunk`.
    """
    from .trunks.trunk import load_trunk

    name, file = _read_trunk(described, weights)
    stem, origin = _find_stem(described)
    known = _identify_own(described, own)
    trunk = known.load() if known else load_trunk(name, weights=file)
    expect_same(stem, trunk.architecture, trunk.weights_sha256)
    trunk = replace(trunk, preprocess=trunk.preprocess.follow(view), rule=_read_rule(described, trunk.rule))
    trunk = trunk.take([described["node"]])
    return recalibrate_trunk(trunk, described["weights_sha256"], origin) if origin else trunk


def _read_rule(described: Mapping[str, Any], rule: str) -> str:
    """How the trunk was made to fit sizes other than its own; a head that names no rule saw it run as it is."""
    used = described.get("resampled", "")
    if used not in ("", rule):
        raise CacheError(
            f"the head was fitted on {described['trunk']} resampled by {used!r}, this installation has "
            f"{rule or 'no rule'}; run extract and fit-head again."
        )
    return str(used)


def _identify_own(described: Mapping[str, Any], own: OwnTrunk | None) -> KnownTrunk | None:
    """The user's own module, if it is one that the head was fitted on; None if it is any other trunk."""
    if not is_own(described["architecture"]):
        if own is not None:
            raise UsageError(f"found a module of one's own for a head on {described['trunk']}; give none.")
        return None
    if own is None:
        cure = say_cure(described["trunk"], str(described.get("weights") or ""))
        raise UsageError(f"the head was fitted on {described['trunk']}, a module of one's own; {cure}.")
    from .trunks.own import identify_own

    return identify_own(own)


def _read_trunk(described: Mapping[str, Any], weights: Path | None) -> tuple[str, Path | None]:
    """Name of the trunk, and the file of its weights if they are not the published ones."""
    missing = [name for name in _FIELDS if not isinstance(described.get(name), str)]
    scale = read_decoding(described)
    strange = missing or described["precision"] not in TOLERANCE or scale is None
    if strange or described.get("dtype", "float32") not in DTYPES:
        what = f"no {missing[0]}" if missing else "a precision, type or decoding that this version does not have"
        raise CacheError(f"the head's file says {what}, so its features cannot be computed; run fit-head again.")
    return described["trunk"], weights or (Path(described["weights"]) if described.get("weights") else None)


def read_decoding(described: Mapping[str, Any]) -> Scale | None:
    """By which scale a head's images were decoded; None if in a way that this version does not have."""
    decode = described.get("decode", {})
    try:
        scale = Scale.from_decode(decode)
    except (CacheError, AttributeError):
        return None
    return scale if decode in ({}, describe_policy(scale)) else None


def _find_stem(described: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """The trunk as it was before it was recalibrated, and what it was given then; None if it never was."""
    origin = described.get("recalibrated")
    if origin is None:
        return described, None
    if not isinstance(origin, Mapping) or not isinstance(origin.get("weights_sha256"), str):
        raise CacheError("the head's file does not say which trunk was recalibrated; run fit-head again.")
    return {**described, "weights_sha256": origin["weights_sha256"]}, origin


def expect_same(described: Mapping[str, Any], architecture: str, weights_sha256: str) -> None:
    """Refuse a trunk whose features are not those that a head was fitted on.

    Raises
    ------
    CacheError
        Naming what differs.
    """
    if weights_sha256 != described["weights_sha256"] or architecture != described["architecture"]:
        cure = "give that module" if is_own(described["architecture"]) else "name their file with --weights"
        raise CacheError(
            f"found weights {weights_sha256[:12]} of {architecture}, expected {described['weights_sha256'][:12]} "
            f"of {described['architecture']}, on which the head was fitted; {cure}."
        )


def build_replica(
    store: FeatureStore, manifest: Manifest, facts: TrunkFacts, described: Mapping[str, Any], views: Sequence[View]
) -> Extraction:
    """The extraction that sees the images of `hash_listing` as the head's own were seen."""
    key = name_trunk(facts, described["precision"])
    dtype, scale = described.get("dtype", "float32"), read_decoding(described) or USUAL
    return Extraction(store, manifest, key, {SPLIT: views}, dtype, scale=scale)


def adopt_known(extraction: Extraction, known: FeatureStore) -> int:
    """Copy the rows whose images another cache has seen in the same way; how many.

    Raises
    ------
    DiskError
        If a write fails.
    """
    adopted, donors = 0, Donors(known)
    for (split, _, _), entry in extraction.entries.items():
        if entry.read_seal() is None:
            extraction.store.create()
            rows = extraction.manifest.splits[split]
            entry.create(rows)
            adopted += adopt_rows(donors, entry, rows)
    return adopted
