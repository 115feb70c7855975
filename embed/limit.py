"""So many images of a data set, or such a share: the same first ones whenever they are asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError
from fixgrid.cache.rows import SPLITS, find_strata
from fixgrid.cache.shares import rank_images, take_first

from .sources.images import Image, Images

_FORM = re.compile(r"0*[1-9]\d*|\d+(\.\d+)?%")


def read_limit(asked: int | str) -> str:
    """A number of images or a percentage, as a data set's name has it.

    Raises
    ------
    UsageError
        If it is neither, none, or more than the whole.
    """
    text = str(asked).strip()
    if not _FORM.fullmatch(text) or (text.endswith("%") and not 0 < float(text[:-1]) <= 100):
        raise UsageError(f"found --limit {text!r}; expected a number of images, as in 500, or a share, as in 10%.")
    return text


def choose_images(
    images: Sequence[Image], labels: NDArray[np.generic], sha256: NDArray[np.uint8], limit: str, *, seed: int
) -> NDArray[np.int64]:
    """Places of the images within a limit, ascending; of all where it is empty or larger.

    They come in the seeded order of their contents, in which a search takes its shares; every class of every split
    has its share, and one image at least.

    Parameters
    ----------
    images : sequence of Image
        Each with a split.
    labels : array
        As `fixgrid.cache.rows.Rows` has them.
    sha256 : uint8 array, shape (n, 32)
    limit : str
        As `read_limit` gives it.
    seed : int
        Of the order.

    Raises
    ------
    UsageError
        If it is no limit, or has no room for one image of each class in each split.
    """
    whole = np.arange(len(images))
    if not limit:
        return whole
    n = round(float(text[:-1]) / 100 * len(images)) if (text := read_limit(limit)).endswith("%") else int(text)
    if n >= len(images):
        return whole
    column = Images.gather(images).splits
    splits = np.array([SPLITS.index(split) for split in column.values])[column.codes]
    _, strata = np.unique(np.stack([splits, find_strata(labels)], 1), axis=0, return_inverse=True)
    least = int(strata.max()) + 1
    if n < least:
        each = (
            "one of each split" if labels.ndim == 1 and (labels == -1).all() else "one of each class in each split"
        )
        raise UsageError(
            f"found --limit {limit}, which is {n} of {len(images):,} images; expected {least} or more, {each}."
        )
    return take_first(strata.reshape(-1), rank_images(sha256, seed), n)
