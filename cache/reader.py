"""What a notebook asks of a cache folder: open it, see what it holds, take features with all that they are of."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from .address import say_place
from .errors import CacheError, say_command
from .features import FeatureTable, Skipped
from .holdings import Holdings, find_holdings
from .mirror import open_folder, refresh_folder
from .shard import Status
from .store import FeatureStore


def open_store(path: Path | str) -> Reader:
    """The cache that ``extract`` filled; its folder must be there, and nothing is made.

    Raises
    ------
    CacheError
        If there are no features.
    """
    store = FeatureStore(open_folder(path))
    if not store.folder.is_dir():
        what = "a folder without features" if store.root.is_dir() else "no folder"
        raise CacheError(
            f"found {what} at {say_place(store.root.absolute())}; expected the cache that extract fills: name its "
            f"folder, or run {say_command('extract')} first."
        )
    return Reader(store)


class Reader:
    """A cache folder as a notebook sees it: it is looked at anew by every call.

    Parameters
    ----------
    store : FeatureStore
    """

    def __init__(self, store: FeatureStore) -> None:
        self.store = store

    def holdings(self, data: str | None = None, trunk: str | None = None, **view: str | int) -> Holdings:
        """Features of one data set by one trunk, by split, view and resolution.

        Parameters
        ----------
        data, trunk : str
            As given to ``extract``; may be left out where the cache holds one.
        view
            Fields that choose among several views, e.g. ``draws=4, seed=1``.

        Raises
        ------
        CacheError, UsageError
            See `cache.holdings.find_holdings`.
        """
        refresh_folder(self.store.root)
        return find_holdings(self.store, data, trunk, view)

    def load(
        self,
        split: str,
        res: int,
        kind: str = "center",
        *,
        data: str | None = None,
        trunk: str | None = None,
        **view: str | int,
    ) -> FeatureTable:
        """Features of one split, seen one way, each line with its label and image.

        Parameters
        ----------
        split : str
            ``train``, ``val`` or ``test``.
        res : int
            px.
        kind : str
            Kind of view: ``center``, or ``train`` for the random crops of training images.
        data, trunk, view
            See `holdings`.

        Raises
        ------
        CacheError
            If they were not extracted or cannot be trusted.
        UsageError
            If the cache holds several data sets, trunks or views and none is named.
        """
        holdings = self.holdings(data, trunk, **view)
        sealed, manifest = holdings.entry(split, kind, res), holdings.manifest
        rows = manifest.splits[split]
        found, status = sealed.load(rows), sealed.read_status()
        paths = [os.fsdecode(path) for path in rows.paths]
        n, views, dim = found.X.shape
        return FeatureTable(
            X=found.X.reshape(n * views, dim),
            y=found.y.repeat(views, axis=0),
            paths=tuple(paths[row] for row in found.row.tolist() for _ in range(views)),
            row=found.row.repeat(views),
            view=np.tile(np.arange(views), n),
            classes=manifest.classes,
            root=manifest.root,
            skipped=tuple(
                Skipped(paths[row], row, Status(int(status[row])).name.lower())
                for row in np.flatnonzero(status != Status.OK).tolist()
            ),
        )
