"""The trunk with its last batch norm recalibrated: given the statistics of the training images at test_res.

FixRes fine-tunes the classifier and the last batch norm at the test resolution (Touvron et al. 2019, section 4).
Of the latter this is the part that needs no label: its running statistics are replaced by those of the training
images as val and test images are seen, nothing else changes. The result is another trunk with another digest.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.disk import commit_bytes
from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.rows import Rows
from fixgrid.cache.sealed import Sealed
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import View

from .decode import describe_policy
from .engines.engine import Opener
from .extraction import Extraction
from .keys import TrunkKey
from .machine import extract_here
from .outcome import Outcome
from .run import Part, run_pass
from .sizing import Machine
from .trunks.identity import KnownTrunk, TrunkFacts
from .trunks.library import build_meta_module, place_library
from .trunks.recalibrated import encode_statistics, follow_origin, recalibrate_trunk
from .trunks.source import is_own
from .versions import library_versions
from .watcher import Watcher

if TYPE_CHECKING:
    pass

TRAINING_KINDS = ("train", "val_train")


def expect_norm(extraction: Extraction, facts: TrunkFacts) -> None:
    """Refuse a trunk that cannot be recalibrated before anything runs; no weights are read.

    Raises
    ------
    UsageError
        If it has no batch norm with running statistics, is a user's own module, or there are no training images.
    """
    if "train" not in extraction.manifest.splits:
        raise UsageError(
            f"found no training images in {extraction.manifest.source}, expected some to recalibrate by: leave out "
            "--recalibrate."
        )
    if is_own(facts.architecture):
        raise UsageError(
            f"found the module {facts.name}, expected a trunk of a library to recalibrate: run extract without "
            "--recalibrate, and try --gap standardize."
        )
    if all(recall_origin(extraction, view) for view in list_views(extraction)):
        return
    from .backends.moments import find_last_norm

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
        done[res] = extract_here([(mine, again)], watcher, machine, max_bad=max_bad)
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
                "mean": encode_statistics(mean),
                "var": encode_statistics(var),
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
    from .backends.graphs import write_weights
    from .backends.moments import OpenMoments, find_last_norm

    trunk = known.load()
    norm, channels = find_last_norm(trunk.name, trunk.module, trunk.preprocess.native_res)
    sizes = ", ".join(str(view.res) for view in views)
    watcher.notice(f"measuring what {norm} of {trunk.name} is given by the training images at {sizes} px")
    nodes, rule = ((norm + _NODE, 2 * channels),), trunk.rule
    native = trunk.preprocess.native_res
    key = TrunkKey(trunk.name, trunk.architecture, trunk.weights_sha256, nodes, rule=rule, native_res=native)
    store = FeatureStore(extraction.store.root / "moments")
    asked = Extraction(store, extraction.manifest, key, {"train": views}, scale=extraction.scale)
    sizing = machine.size(known.facts.weights_bytes)
    with tempfile.TemporaryDirectory(prefix="fixgrid-") as folder:

        def open_backends(missing: Sequence[View]) -> Opener:
            weights = str(write_weights(trunk, Path(folder)))
            return OpenMoments(
                architecture=trunk.architecture,
                preprocess=trunk.preprocess,
                weights=weights,
                norm=norm,
                device=machine.device,
                threads=sizing.threads,
                library=place_library(trunk.architecture),
                rule=trunk.rule,
            )

        made_by = {"device": machine.device, "versions": library_versions(trunk.architecture)}
        part = Part(asked, open_backends, made_by)
        run_pass([part], watcher, sizing, engine=machine.engine, max_bad=1.0)
    return {view: entry.open() for (_, view, _), entry in asked.entries.items()}


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
    policy = describe_policy(extraction.scale)
    asked = json.dumps([extraction.trunk.weights_sha256, view.to_spec(), policy, rows], sort_keys=True)
    name = hashlib.sha256(asked.encode()).hexdigest()[:32]
    return extraction.store.root / "moments" / "statistics" / f"{name}.json"
