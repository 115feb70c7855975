"""What a trunk is, remembered by its weights file, so that a complete cache costs neither torch nor the weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fixgrid.cache.disk import commit_bytes, read_file
from fixgrid.cache.errors import DiskError

from .costs import COSTS_FILE, recall_widths
from .library import build_meta_module, list_versions, resolve_trunk, respell
from .nodes import POOLED
from .preprocess import Preprocess
from .sizes import find_rule

if TYPE_CHECKING:
    from fixgrid.cache.store import FeatureStore

    from .trunk import Trunk


@dataclass(frozen=True)
class TrunkFacts:
    """A trunk without its weights; see `embed.trunks.Trunk` for the fields that they share.

    Attributes
    ----------
    nodes : tuple of (str, int)
        Kinds of features that it gives, and D of each.
    weights_bytes : int
        Size of parameters and buffers.
    weights : str
        File that was given in place of the published weights, empty if none was.
    recalibrated : mapping or None
        What a recalibrated trunk stems from, see `embed.recalibrate.follow_origin`; None for any other.
    origins : mapping of str to str
        Whose word each field of the preprocessing is, of a user's own module.
    """

    name: str
    architecture: str
    nodes: tuple[tuple[str, int], ...]
    weights_sha256: str
    weights_bytes: int
    imagenet_labels: bool
    preprocess: Preprocess
    rule: str = ""
    weights: str = ""
    recalibrated: Mapping[str, Any] | None = None
    origins: Mapping[str, str] = field(default_factory=dict)


class KnownTrunk(NamedTuple):
    """What a trunk is, and how to load it when it must run."""

    facts: TrunkFacts
    load: Callable[[], Trunk]


def identify_trunk(
    name: str, weights: Path | None, memo_folder: Path, tell: Callable[[str], None] | None = None
) -> KnownTrunk:
    """What a trunk is, and how to load it when it must run.

    The facts are remembered by name, library versions, and the place, size and times of the weights file, all of
    which a changed trunk would change. Weights whose file is not known are read every time.

    Parameters
    ----------
    name : str
        As `embed.trunks.trunk.load_trunk` takes it.
    weights : Path or None
        State dict to use instead of the published one.
    memo_folder : Path
        Where facts are remembered.
    tell : callable, optional
        Called with a line if something had to be taken off a checkpoint that is read for the first time.

    Raises
    ------
    UsageError, DataError
        See `embed.trunks.trunk.load_trunk`.
    """

    @cache
    def load() -> Trunk:
        from .trunk import load_trunk

        return load_trunk(name, weights=weights)

    memo = _find_memo(name, weights, memo_folder)
    facts = _recall(memo)
    if facts is None:
        facts = describe_trunk(load(), str(weights.resolve()) if weights else "")
        if load().note and tell:
            tell(f"note: {load().note}")
        file = load().weights_file
        if file is not None:
            record = {"facts": asdict(facts), "file": str(file), "stamp": _stamp(file)}
            with suppress(DiskError):  # not remembered, so read again by the next run
                commit_bytes(memo, json.dumps(record, sort_keys=True).encode("ascii"))
    return KnownTrunk(facts, load)


def take_nodes(known: KnownTrunk, nodes: Sequence[str], memo_folder: Path) -> KnownTrunk:
    """The same trunk, giving other kinds of features; see `embed.trunks.nodes.read_parts`.

    Raises
    ------
    UsageError
        If it has none of a kind.
    """
    if tuple(nodes) == tuple(dict(known.facts.nodes)):
        return known
    facts = describe_nodes(known.facts, nodes, memo_folder, known.load)
    return KnownTrunk(facts, cache(lambda: known.load().take(nodes)))


def describe_nodes(
    facts: TrunkFacts, nodes: Sequence[str], memo_folder: Path, load: Callable[[], Trunk] | None = None
) -> TrunkFacts:
    """The facts of a trunk that gives other kinds of features; `load` is asked for a user's own module alone."""
    if tuple(nodes) == tuple(dict(facts.nodes)):
        return facts
    memo = memo_folder.parent / COSTS_FILE
    widths = recall_widths(facts.name, facts.architecture, nodes, facts.preprocess.native_res, memo, load)
    return replace(facts, nodes=widths)


def recall_trunk(name: str, weights: Path | None, memo_folder: Path) -> TrunkFacts | None:
    """What `identify_trunk` remembered of a trunk; None if its weights would have to be read, or fetched."""
    return _recall(_find_memo(name, weights, memo_folder))


def sketch_trunk(name: str, weights: Path | None, store: FeatureStore) -> TrunkFacts:
    """What can be said of a trunk without its weights: nothing is read or fetched.

    Parameters
    ----------
    name, weights
        As `identify_trunk` takes them.
    store : FeatureStore
        If all of its features by that name have the same published weights, these are taken to be meant.

    Returns
    -------
    TrunkFacts
        ``weights_sha256`` is empty where the store does not tell it.

    Raises
    ------
    UsageError
        If the name is unknown.
    """
    _, source, name = resolve_trunk(name)
    given = str(weights.resolve()) if weights else ""
    built = build_meta_module(source.architecture)
    digests = {
        sealed.spec.trunk["weights_sha256"]
        for sealed in store.sealed(lambda spec: spec.trunk["architecture"] == source.architecture)
        if not weights  # a file of one's own may have changed
        and (sealed.provenance.get("trunk"), sealed.provenance.get("weights")) == (name, "")
        and sealed.origin is None
    }
    return TrunkFacts(
        name=name,
        architecture=source.architecture,
        nodes=((POOLED, built.dim),),
        weights_sha256=digests.pop() if len(digests) == 1 else "",
        weights_bytes=sum(tensor.nbytes for tensor in built.module.state_dict().values()),
        imagenet_labels=source.imagenet_labels,
        preprocess=source.preprocess,
        rule=find_rule(source.architecture, source.preprocess),
        weights=given,
    )


def prepare_otherwise(trunk: KnownTrunk, preprocess: Preprocess) -> KnownTrunk:
    """The trunk with other preprocessing than its weights' metadata says."""

    @cache
    def load() -> Trunk:
        return replace(trunk.load(), preprocess=preprocess)

    return KnownTrunk(replace(trunk.facts, preprocess=preprocess), load)


def find_weights(name: str) -> bool:
    """Whether a trunk's published weights are on this machine.

    Raises
    ------
    UsageError
        If the name is unknown.
    """
    library, source, _ = resolve_trunk(name)
    return bool(source.weights) and library.locate(source) is not None


def _find_memo(name: str, weights: Path | None, memo_folder: Path) -> Path:
    asked = json.dumps([respell(name), str(weights and weights.resolve()), *list_versions()])
    return memo_folder / f"{hashlib.sha256(asked.encode()).hexdigest()[:16]}.json"


def describe_trunk(trunk: Trunk, weights: str = "") -> TrunkFacts:
    """The facts of a trunk that is loaded, from a file that was given in place of the published weights or not."""
    return TrunkFacts(
        name=trunk.name,
        architecture=trunk.architecture,
        nodes=((POOLED, trunk.dim),),
        weights_sha256=trunk.weights_sha256,
        weights_bytes=sum(tensor.nbytes for tensor in trunk.module.state_dict().values()),
        imagenet_labels=trunk.imagenet_labels,
        preprocess=trunk.preprocess,
        rule=trunk.rule,
        weights=weights,
    )


def _recall(memo: Path) -> TrunkFacts | None:
    try:
        record = json.loads(read_file(memo))
        if record["stamp"] != _stamp(Path(record["file"])):
            return None
        fields: dict[str, Any] = dict(record["facts"])
        look = fields.pop("preprocess")
        if "crop_mode" not in look and fields["architecture"].startswith("timm:"):
            return None  # remembered before it was asked how timm crops: read once more
        preprocess = Preprocess(**{**look, "mean": tuple(look["mean"]), "std": tuple(look["std"])})
        nodes = tuple((str(node), int(dim)) for node, dim in fields.pop("nodes"))
        return TrunkFacts(preprocess=preprocess, nodes=nodes, **fields)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _stamp(file: Path) -> list[list[object]]:
    """Of a weights file, of what says beside it how it is meant, and of what a hub's cache calls newest."""
    shards = file.parent.glob("*.safetensors") if file.name.endswith(".index.json") else ()
    refs = (file.parents[2] / "refs").rglob("*") if file.parent.parent.name == "snapshots" else ()
    stamps: list[list[object]] = []
    for path in (file, *sorted({*file.parent.glob("*config.json"), *shards, *refs})):
        found = path.stat()
        stamps.append([path.name, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino])
    return stamps
