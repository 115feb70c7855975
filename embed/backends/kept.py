"""Exported graphs, kept beside the remembered trunks: a trunk that ran here before begins at once, without torch.

A graph is found by all that it was made of, library versions included; its sha256 is compared while it is read, and
it runs the probe once more, whose exact features are kept with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.disk import commit_bytes, commit_stream, hash_file, make_folder, read_file, remove_file
from fixgrid.cache.errors import DiskError

from ..versions import library_versions
from .probe import check_exact
from .spec import BackendSpec, UnusableBackendError, import_runtime

SHELF = Path("trunks", "graphs")
"""Where a cache folder keeps them."""

MAX_BYTES, MAX_ALL_BYTES = 1 << 30, 4 << 30
"""Largest graph that is kept, and of all together: the latest used stay."""


def keep_graphs(
    shelf: Path, spec: BackendSpec, weights_sha256: str, wanted: Mapping[int, NDArray[np.float32]]
) -> None:
    """Keep copies of a backend's graphs; where they cannot be written, the next run exports again.

    Parameters
    ----------
    shelf : Path
        Folder for them.
    spec : BackendSpec
        Written and proven. Graphs with files beside them are not kept.
    weights_sha256 : str
        Of the trunk.
    wanted : mapping of px to float32 array, shape (2, D)
        Exact features of each probe.
    """
    for res, text in spec.graphs:
        graph, kept = Path(text), shelf / _name_graph(spec, weights_sha256, res)
        alone = all(file.suffix == graph.suffix for file in graph.parent.iterdir())
        if not alone or graph.stat().st_size > MAX_BYTES:
            continue
        with suppress(DiskError):
            make_folder(shelf)
            _make_room(shelf, graph.stat().st_size)
            with open(graph, "rb") as source:
                commit_stream(kept, lambda file, source=source: shutil.copyfileobj(source, file))  # type: ignore[misc]
            record = {"sha256": hash_file(graph), "features": wanted[res].tolist()}
            commit_bytes(kept.with_suffix(".json"), json.dumps(record).encode("ascii"))


def recall_graphs(
    shelf: Path, spec: BackendSpec, weights_sha256: str, resolutions: Sequence[int], folder: Path
) -> BackendSpec | None:
    """The backend with its graphs, copied into `folder`; None if one is not kept, or is not what it was.

    Parameters
    ----------
    shelf, weights_sha256
        As `keep_graphs` takes them.
    spec : BackendSpec
        Without files.
    resolutions : sequence of int
        px.
    folder : Path
        Where workers find them: what is kept may go meanwhile.
    """
    graphs, wanted = [], {}
    try:
        for res in resolutions:
            kept, graph = shelf / _name_graph(spec, weights_sha256, res), folder / f"{res}.onnx"
            record = json.loads(read_file(kept.with_suffix(".json")))
            if _copy(kept, graph) != record["sha256"]:
                return None
            graphs.append((res, str(graph)))
            wanted[res] = np.array(record["features"], np.float32)
            os.utime(kept)
        found = replace(spec, graphs=tuple(graphs))
        check_exact(found, wanted)
    except (OSError, ValueError, KeyError, TypeError, DiskError, UnusableBackendError):
        return None
    finally:
        import_runtime(spec.runtime).forget()
    return found


def _name_graph(spec: BackendSpec, weights_sha256: str, res: int) -> str:
    """Of all that changes a graph, or may change the last digits that it gives."""
    made_of = {
        "weights": weights_sha256,
        "preprocess": [spec.preprocess.mean, spec.preprocess.std],
        "rule": spec.rule if res != spec.preprocess.native_res else "",
        "res": res,
        "versions": library_versions(spec.architecture),
        **{name: getattr(spec, name) for name in ("kind", "architecture", "nodes", "precision", "runtime")},
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32] + ".graph"


def _copy(source: Path, target: Path) -> str:
    """Copy a file; hex sha256 of what was copied."""
    total = hashlib.sha256()
    with open(source, "rb") as given, open(target, "wb") as taken:
        while block := given.read(1 << 20):
            total.update(block)
            taken.write(block)
    return total.hexdigest()


def _make_room(shelf: Path, needed_bytes: int) -> None:
    """Remove what was used longest ago, until there is room for another graph."""
    kept = sorted(shelf.glob("*.graph"), key=lambda file: file.stat().st_mtime)
    total = needed_bytes + sum(file.stat().st_size for file in kept)
    for file in kept:
        if total <= MAX_ALL_BYTES:
            return
        total -= file.stat().st_size
        remove_file(file.with_suffix(".json"))
        remove_file(file)
