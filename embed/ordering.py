"""From images in columns to the rows of each split, which are views of these."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.rows import SPLITS, Rows

from .labelling import encode_groups
from .sources.images import Images


def build_rows(
    images: Images, labels: NDArray[np.generic], sizes: NDArray[np.int64], sha256: NDArray[np.uint8]
) -> dict[str, Rows]:
    """Of each split that has images: views of the arrays, which are in `order_images`'s order."""
    groups = encode_groups(images)
    counts = images.splits.held()
    stops = dict(zip(SPLITS, np.cumsum([counts.get(split, 0) for split in SPLITS]).tolist(), strict=True))
    parts = {split: slice(stops[split] - counts[split], stops[split]) for split in SPLITS if split in counts}
    return {
        split: Rows(
            images.paths[part], sizes[part], sha256[part], labels[part], None if groups is None else groups[part]
        )
        for split, part in parts.items()
    }


def order_images(images: Images) -> Images:
    """By split and, in each, by the bytes of the path."""
    order = images.paths.argsort()
    place = np.array([SPLITS.index(one) if one in SPLITS else 0 for one in images.splits.values], np.int8)[
        images.splits.codes[order]
    ]
    order = order[np.argsort(place, kind="stable")]
    return images if (order[1:] > order[:-1]).all() else images.take(order)
