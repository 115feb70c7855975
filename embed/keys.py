"""What goes into the keys of features: a trunk, a view, and the rows that it sees."""

from __future__ import annotations

from dataclasses import dataclass

from fixgrid.cache.key import Spec
from fixgrid.cache.rows import Manifest
from fixgrid.cache.scale import USUAL, Scale
from fixgrid.cache.view import View

from .decode import describe_policy
from .trunks.identity import TrunkFacts


@dataclass(frozen=True)
class TrunkKey:
    """What of a trunk goes into the key, and how it is called.

    Attributes
    ----------
    name : str
        As typed; provenance, not key.
    architecture, weights_sha256 : str
    nodes : tuple of (str, int)
        Kinds of features, and D of each, in the order in which the trunk gives them.
    precision : str
    rule : str
        How it is made to fit other sizes than `native_res`; in the keys of these alone.
    native_res : int
        px.
    """

    name: str
    architecture: str
    weights_sha256: str
    nodes: tuple[tuple[str, int], ...]
    precision: str = "fp32"
    rule: str = ""
    native_res: int = 0


def name_trunk(trunk: TrunkFacts, precision: str) -> TrunkKey:
    """What of a trunk goes into its keys."""
    return TrunkKey(
        trunk.name,
        trunk.architecture,
        trunk.weights_sha256,
        trunk.nodes,
        precision,
        trunk.rule,
        trunk.preprocess.native_res,
    )


def build_spec(
    trunk: TrunkKey, node: str, manifest: Manifest, split: str, view: View, dtype: str, scale: Scale = USUAL
) -> Spec:
    """The key of one kind of features of one split, seen one way, by one trunk."""
    identity = {"architecture": trunk.architecture, "node": node, "weights_sha256": trunk.weights_sha256}
    if trunk.rule and view.res != trunk.native_res:
        identity["resampled"] = trunk.rule
    return Spec(
        trunk=identity,
        view=view.to_spec(),
        decode=describe_policy(scale),
        precision=trunk.precision,
        dtype=dtype,
        views=view.count,
        dim=dict(trunk.nodes)[node],
        rows=len(manifest.splits[split]),
        rows_sha256=manifest.splits[split].digest,
    )
