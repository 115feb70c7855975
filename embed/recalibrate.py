"""The trunk with its last batch norm recalibrated: given the statistics of the training images at test_res.

FixRes fine-tunes the classifier and the last batch norm at the test resolution (Touvron et al. 2019, section 4).
Of the latter this is the part that needs no label: its running statistics are replaced by those of the training
images as val and test images are seen, nothing else changes. The result is another trunk with another digest.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.disk import commit_bytes
from fixgrid.cache.errors import CacheError, DataError
from fixgrid.cache.rows import Rows
from fixgrid.cache.sealed import Sealed
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import View

from .decode import POLICY
from .engines.engine import Opener
from .extraction import Extraction, TrunkKey
from .machine import extract_here, library_versions, run_pass
from .outcome import Outcome
from .sizing import Machine
from .trunks.identity import KnownTrunk, TrunkFacts
from .watcher import Watcher

if TYPE_CHECKING:
    from .trunks.trunk import Trunk

TRAINING_KINDS = ("train", "val_train")


def expect_norm(extraction: Extraction, facts: TrunkFacts) -> None:
    """Refuse a trunk that cannot be recalibrated before anything runs; no weights are read.

    Raises
    ------
    UsageError
        If it has no batch norm with running statistics.
    """
    if all(recall_origin(extraction, view) for view in list_views(extraction)):
        return
    from .backends.moments import find_last_norm
    from .trunks.architectures import build_meta_module

    find_last_norm(facts.name, build_meta_module(facts.architecture).module, facts.preprocess.native_res)


def recalibrate_here(
    extraction: Extraction, trunk: KnownTrunk, watcher: Watcher, machine: Machine, *, max_bad: float = 0.01
) -> dict[int, Outcome]:
    """Val and test once more, at each resolution by the trunk recalibrated for it; what was done, by px.

    Parameters
    ----------
    extraction : Extraction
        Of the original trunk.
    trunk : KnownTrunk
        The original one.
    watcher, machine, max_bad
        As `extract_here` takes them.

    Raises
    ------
    FixgridError
        See `expect_norm` and `extract_here`.
    """
    done = {}
    for res, (weights_sha256, origin) in find_origins(extraction, trunk, watcher, machine).items():
        mine = _narrow(extraction, weights_sha256, res)
        again = follow_origin(trunk, weights_sha256, origin)
        done[res] = extract_here(mine, again, watcher, machine, max_bad=max_bad)
    return done


def count_crops(extraction: Extraction) -> tuple[int, int]:
    """Training crops that `recalibrate_here` would measure, and crops of val and test it would see, at most."""
    measured = again = 0
    for view in list_views(extraction):
        known = recall_origin(extraction, view)
        measured += 0 if known else len(extraction.manifest.splits["train"])
        for entry in _narrow(extraction, known[0] if known else "", view.res).entries.values():
            again += int(entry.find_missing().sum()) * entry.spec.views
    return measured, again


def follow_origin(trunk: KnownTrunk, weights_sha256: str, origin: Mapping[str, Any]) -> KnownTrunk:
    """The recalibrated trunk and how to load it.

    Parameters
    ----------
    trunk : KnownTrunk
        The original one.
    weights_sha256 : str
        That the result must have.
    origin : mapping
        ``weights_sha256`` of the original trunk, ``res`` and ``rows_sha256`` of what its statistics are of,
        ``norm``, and ``mean`` and ``var`` in base64 of little-endian float32. Kept with the features, and with a
        head.

    Raises
    ------
    CacheError
        When it is loaded: if the statistics are none, or give another trunk.
    """

    @cache
    def load_again() -> Trunk:
        return recalibrate_trunk(trunk.load(), weights_sha256, origin)

    facts = replace(trunk.facts, weights_sha256=weights_sha256, recalibrated=dict(origin))
    return KnownTrunk(facts, load_again)


def recalibrate_trunk(trunk: Trunk, weights_sha256: str, origin: Mapping[str, Any]) -> Trunk:
    """The original trunk with the statistics of `follow_origin`'s ``origin``.

    Raises
    ------
    CacheError
        If the statistics are none, or the result has not the digest it must have.
    """
    from .backends.moments import replace_statistics

    try:
        mean, var = (_decode(origin[name]) for name in ("mean", "var"))
        norm = str(origin["norm"])
    except (KeyError, TypeError, ValueError) as error:
        raise CacheError(
            f"found no statistics of a batch norm ({error}); run extract --recalibrate again."
        ) from error
    found = replace_statistics(trunk, norm, mean, var)
    if weights_sha256 not in ("", found.weights_sha256):
        raise CacheError(
            f"{trunk.name} with its statistics replaced is {found.weights_sha256[:12]}, expected "
            f"{weights_sha256[:12]}: they were altered; run extract --recalibrate and fit-head again."
        )
    return found


def find_origins(
    extraction: Extraction, trunk: KnownTrunk, watcher: Watcher, machine: Machine
) -> dict[int, tuple[str, dict[str, Any]]]:
    """Digest and origin of the recalibrated trunk of every resolution; statistics not yet known are measured.

    Moments are rows like features are, in a store of their own: a stopped pass resumes, and added images cost no
    pass over the others. What comes out is remembered by trunk, view and rows.
    """
    views = list_views(extraction)
    unknown = [view for view in views if recall_origin(extraction, view) is None]
    if unknown:
        for view, entry in _measure(extraction, trunk, unknown, watcher, machine).items():
            mean, var = combine_moments(entry, extraction.manifest.splits["train"])
            origin = {
                "weights_sha256": trunk.facts.weights_sha256,
                "rows_sha256": entry.spec.rows_sha256,
                "res": view.res,
                "norm": entry.spec.trunk["node"].removesuffix(_NODE),
                "mean": _encode(mean),
                "var": _encode(var),
            }
            again = recalibrate_trunk(trunk.load(), "", origin)
            record = {"weights_sha256": again.weights_sha256, "origin": origin}
            commit_bytes(_memo(extraction, view), json.dumps(record, sort_keys=True).encode("ascii"))
    found = {view.res: recall_origin(extraction, view) for view in views}
    return {res: known for res, known in found.items() if known is not None}


_NODE = " moments"


def _measure(
    extraction: Extraction, known: KnownTrunk, views: Sequence[View], watcher: Watcher, machine: Machine
) -> dict[View, Sealed]:
    from .backends.moments import OpenMoments, find_last_norm
    from .backends.probe import write_weights

    trunk = known.load()
    norm, channels = find_last_norm(trunk.name, trunk.module, trunk.preprocess.native_res)
    sizes = ", ".join(str(view.res) for view in views)
    watcher.notice(f"measuring what {norm} of {trunk.name} is given by the training images at {sizes} px")
    key = TrunkKey(trunk.name, trunk.architecture, norm + _NODE, trunk.weights_sha256, 2 * channels)
    store = FeatureStore(extraction.store.root / "moments")
    asked = Extraction(store, extraction.manifest, key, {"train": views})
    sizing = machine.size(known.facts.weights_bytes)
    with tempfile.TemporaryDirectory(prefix="fixgrid-") as folder:

        def open_backends(missing: Sequence[View]) -> Opener:
            weights = str(write_weights(trunk, Path(folder)))
            return OpenMoments(trunk.architecture, trunk.preprocess, weights, norm, machine.device, sizing.threads)

        made_by = {"device": machine.device, "versions": library_versions()}
        outcome = run_pass(
            asked, open_backends, watcher, sizing, engine=machine.engine, max_bad=1.0, provenance=made_by
        )
    return {view: entry.open() for (_, view), entry in outcome.entries.items()}


def combine_moments(sealed: Sealed, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and population variance, (C,) each, over every cell of every ok row, from each row's own moments.

    The total variance is the mean of the variances and the variance of the means, for rows have equally many
    cells. Sums run in row order and float64, whatever the blocks.

    Raises
    ------
    DataError
        If no row is ok.
    CacheError
        If the features cannot be trusted.
    """
    channels = sealed.spec.dim // 2
    n, total = 0, np.zeros((3, channels))
    for block in sealed.read_blocks(rows):
        mean, var = np.moveaxis(block.X.astype(np.float64).reshape(-1, 2, channels), 1, 0)
        n, total = n + len(mean), total + [part.sum(0) for part in (mean, mean * mean, var)]
    if not n:
        raise DataError("found no usable training image, expected some whose statistics a batch norm can have.")
    mean, square, var = total / n
    return mean.astype(np.float32), (var + np.maximum(square - mean * mean, 0)).astype(np.float32)


def list_views(extraction: Extraction) -> list[View]:
    """The view of val and test images at each resolution: one center crop."""
    return [view for view in extraction.views["train"] if view.kind == "center"]


def _narrow(extraction: Extraction, weights_sha256: str, res: int) -> Extraction:
    """What the recalibrated trunk of one resolution is to see: that resolution of every split but train."""
    views = {
        split: [view for view in kinds if view.res == res and view.kind not in TRAINING_KINDS]
        for split, kinds in extraction.views.items()
        if split != "train"
    }
    return replace(extraction, trunk=replace(extraction.trunk, weights_sha256=weights_sha256), views=views)


def recall_origin(extraction: Extraction, view: View) -> tuple[str, dict[str, Any]] | None:
    """Digest and origin of the recalibrated trunk, as `find_origins` remembered them; None if it must measure."""
    try:
        record = json.loads(_memo(extraction, view).read_bytes())
        return str(record["weights_sha256"]), dict(record["origin"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _memo(extraction: Extraction, view: View) -> Path:
    rows = extraction.manifest.splits["train"].digest
    asked = json.dumps([extraction.trunk.weights_sha256, view.to_spec(), POLICY, rows], sort_keys=True)
    name = hashlib.sha256(asked.encode()).hexdigest()[:32]
    return extraction.store.root / "moments" / "statistics" / f"{name}.json"


def _encode(values: NDArray[np.float32]) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")


def _decode(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4")
