"""What a notebook asks of a cache folder: open it, see what it holds, take arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import CacheError
from .holdings import Holdings, find_holdings
from .store import FeatureStore


def open_store(path: Path | str) -> Reader:
    """The cache that ``extract`` filled; its folder must be there, and nothing is made.

    Raises
    ------
    CacheError
        If there are no features.
    """
    store = FeatureStore(Path(path).expanduser())
    if not store.folder.is_dir():
        what = "a folder without features" if store.root.is_dir() else "no folder"
        raise CacheError(
            f"found {what} at {store.root.absolute()}; expected the cache that extract fills: name its folder, "
            "or run python cli.py extract first."
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
        return find_holdings(self.store, data, trunk, view)

    def load(
        self, split: str, res: int, kind: str = "center", *, data: str | None = None, trunk: str | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features and labels of one split, as scikit-learn takes them.

        Parameters
        ----------
        split : str
            ``train``, ``val`` or ``test``.
        res : int
            px.
        kind : str
            Kind of view: ``center``, or ``train`` for the random crops of training images.
        data, trunk : str
            See `holdings`.

        Returns
        -------
        X : float32 array, shape (n * V, D)
            A row for each of the V views of an image, those of one image one after another.
        y : int64 array, shape (n * V,)
            Indices into ``holdings(...).manifest.classes``.

        Raises
        ------
        CacheError
            If they were not extracted or cannot be trusted.
        UsageError
            If the cache holds several data sets or trunks and none is named.
        """
        found = self.holdings(data, trunk).load(split, kind, res)
        n, views, width = found.X.shape
        return found.X.reshape(n * views, width), np.repeat(found.y, views)
