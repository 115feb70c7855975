"""Rows computed once more, outside any cache, to prove that cached ones are what this machine would compute."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import CacheError, DataError
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.cache.rowsfile import list_manifests
from fixgrid.cache.scale import USUAL, Scale
from fixgrid.cache.sealed import Sealed
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.text import show_path
from fixgrid.cache.view import View

from .decode import BadImage, decode_rgb
from .sources.catalogue import open_content
from .task import Backend
from .trunks.files import is_file
from .trunks.source import is_own
from .views import render_view

if TYPE_CHECKING:
    from .trunks.own import OwnTrunk
    from .trunks.trunk import Trunk


def recompute_rows(
    root: str, rows: Rows, row_ids: Sequence[int], view: View, backend: Backend, scale: Scale = USUAL
) -> NDArray[np.float32]:
    """Features of some rows of a split, at least one: float32, shape (k, V, D).

    Raises
    ------
    DataError
        If an image cannot be read or decoded, or is not the one that the rows say.
    """
    features, images = [], open_content(root)
    for row in row_ids:
        path, content = rows.paths[row], rows.sha256[row].tobytes()
        try:
            data = images.read(path)
            if hashlib.sha256(data).digest() != content:
                raise DataError(f"{show_path(path)} is not the image it was; run extract again.")
            features.append(backend(render_view(decode_rgb(data, scale), view, content)))
        except (OSError, BadImage) as error:
            raise DataError(f"could not read {show_path(path)}: {error}; mend it and run again.") from error
    return np.stack(features)


class Recomputer:
    """Computes cached rows again, with this machine's libraries and the backend it would choose.

    Parameters
    ----------
    store : FeatureStore
        Its records of data sets say where the images are.
    load : callable, optional
        Loads the trunk that made the features; if not given, it is found by the name in their provenance.
    own : OwnTrunk, optional
        The user's own module, for the features that one made.
    """

    def __init__(
        self, store: FeatureStore, load: Callable[[], Trunk] | None = None, own: OwnTrunk | None = None
    ) -> None:
        self.store = store
        self._load = load
        self._own = own
        self._backends: dict[tuple[object, ...], Backend] = {}

    def __call__(self, sealed: Sealed, row_ids: Sequence[int]) -> NDArray[np.float32]:
        """Features of some rows of a sealed entry: float32, shape (k, V, D).

        Raises
        ------
        CacheError
            If the data set or the trunk that made the features is not to be had.
        DataError
            If an image is not the one it was.
        """
        manifest, rows = self._find_rows(sealed)
        view = View.from_spec(sealed.spec.view)
        place = tuple(sealed.spec.trunk.values()), view.res, view.mean, view.std
        if place not in self._backends:
            self._backends[place] = self._open_backend(sealed, view)
        scale = Scale.from_decode(sealed.spec.decode)
        return recompute_rows(manifest.root, rows, row_ids, view, self._backends[place], scale)

    def _find_rows(self, sealed: Sealed) -> tuple[Manifest, Rows]:
        for _, manifest in list_manifests(self.store.folder / "data"):
            for rows in manifest.splits.values():
                if rows.digest == sealed.spec.rows_sha256:
                    return manifest, rows
        raise CacheError(f"{sealed.folder}: no data set on record has these rows; see cache gc for what is stale.")

    def _load_trunk(self, name: str, sealed: Sealed) -> Trunk:
        from .trunks.recalibrated import recalibrate_trunk
        from .trunks.trunk import load_trunk

        if self._load:
            return self._load()
        if is_own(sealed.spec.trunk["architecture"]):
            return self._identify_own(name)
        file = sealed.provenance.get("weights")
        trunk, origin = load_trunk(name, weights=Path(file) if file else None), sealed.origin
        if origin is None or trunk.weights_sha256 != origin.get("weights_sha256"):
            return trunk
        return recalibrate_trunk(trunk, sealed.spec.trunk["weights_sha256"], origin)

    def _identify_own(self, name: str) -> Trunk:
        from .trunks.own import identify_own

        if self._own is None:
            why = "which only Python can give"
            if is_file(name):
                why = "and a cache is no reason to run what it names"
            raise CacheError(f"{name} is a module of one's own, {why}: nothing to compare.")
        return identify_own(self._own).load()

    def _open_backend(self, sealed: Sealed, view: View) -> Backend:
        from .backends.prepare import prepare_backend
        from .backends.spec import open_backend

        name = sealed.trunk_name
        trunk = self._load_trunk(name, sealed)
        made_by = sealed.spec.trunk["architecture"], sealed.spec.trunk["weights_sha256"]
        if (trunk.architecture, trunk.weights_sha256) != made_by:
            raise CacheError(f"the weights of {name} are not those that made these features: nothing to compare.")
        rule = str(sealed.spec.trunk.get("resampled", ""))
        if rule not in ("", trunk.rule):
            raise CacheError(f"{name} was resampled by {rule!r}, which is not to be had here: nothing to compare.")
        trunk = replace(trunk, preprocess=trunk.preprocess.follow(view), rule=rule)
        trunk = trunk.take([sealed.spec.trunk["node"]])
        with tempfile.TemporaryDirectory(prefix="fixgrid-") as folder:
            return open_backend(prepare_backend(trunk, [view.res], folder=Path(folder)), view.res)
