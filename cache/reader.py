"""What a notebook asks of a cache folder: open it, see what it holds, take arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import CacheError

if TYPE_CHECKING:
    from .holdings import Holdings

_Store = TypeVar("_Store", bound="Reader")


class Reader:
    """The reading side of `cache.store.FeatureStore`.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "v1"

    @classmethod
    def open(cls: type[_Store], root: Path | str) -> _Store:
        """The cache that ``extract`` filled; its folder must be there, and nothing is made.

        Raises
        ------
        CacheError
            If there are no features.
        """
        store = cls(Path(root).expanduser())
        if not store.folder.is_dir():
            what = "a folder without features" if store.root.is_dir() else "no folder"
            raise CacheError(
                f"found {what} at {store.root.absolute()}; expected the cache that extract fills: name its folder, "
                "or run python cli.py extract first."
            )
        return store

    def holdings(self, data: str | None = None, trunk: str | None = None, **view: Any) -> Holdings:
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
        from .holdings import find_holdings
        from .store import FeatureStore

        return find_holdings(FeatureStore(self.root), data, trunk, view)

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
