"""Whether two images show one picture: small grey copies, laid over each other and compared piece by piece."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fixgrid.cache.holdings import Holdings
from fixgrid.cache.rows import End, Manifest
from fixgrid.cache.scale import USUAL, Scale

from .decode import BadImage, decode_grey
from .overlay import COARSE_PX, SIDE_PX, Shown, Spot, lay_over, seek, shrink
from .pictures import open_shown

# Among 7,947 pairs of photographs of dogs and flowers that are of each other's five nearest, by features of
# efficientnet_lite0, these find two that are copies and no other; of 3,600 copies of 30 kinds they miss .3 %.
_SAME, _SAME_PIECES = 0.80, 0.78
# The published list of Stanford Dogs calls pairs of a correlation of .955 as they are "edited copy or same scene";
# of those pairs none that is not one has .90. The second line is for a scene whose frame moved.
_FRAMED = 0.93
_SCENE, _SCENE_PIECES = 0.94, 0.70
# Of 49 pieces. Sky, walls and blurred lawns correlate well with each other, and few of their pieces tell anything:
# of other pictures' pieces 13 agree at most, of copies' 8 at least, 22 in all but one of 200. A scene may have
# moved in all that tells: then its features must be alike; copies' have .5 and more.
_TELLING, _MATCHING, _MANY_MATCHING = 8, 8, 16
_OTHER_FEATURES, _LIKE_FEATURES = 0.5, 0.8
_WORTH_A_LOOK = 0.8  # of the coarse search: 3 % of those pairs


class Likeness(NamedTuple):
    """What two images have in common.

    Attributes
    ----------
    how : {"copy", "mirrored", "cropped", "scene", ""}
        One picture whole, mirrored (and perhaps cropped), or one a part of the other; the same scene with details
        that differ; or different pictures.
    correlation : float
        Of their grey pixels where they were laid over each other.
    """

    how: str
    correlation: float


class Copies:
    """Compares images of a data set by their pixels; each is decoded once, small and grey, when it is asked for.

    Parameters
    ----------
    manifest : Manifest
    scale : Scale
        By which values above 8 bits are seen.
    """

    def __init__(self, manifest: Manifest, scale: Scale = USUAL) -> None:
        self._manifest, self._scale, self._images = manifest, scale, open_shown(manifest.root)
        self._known: dict[End, Shown | None] = {}

    def sketch(self, ends: Sequence[End]) -> NDArray[np.float32]:
        """Each image at 16 x 16 grey pixels, and mirrored: (n, 2, 256), of mean 0 and length 1, or less if flat.

        Memory: 15 kB for each image, with what `compare` keeps of it.
        """
        self._see(ends)
        sketches = np.zeros((len(ends), 2, COARSE_PX**2), np.float32)
        for number, shown in enumerate(self._known[end] for end in ends):
            if shown is not None:
                whole = shown.parts[0]
                sketches[number] = whole.ravel(), whole[:, ::-1].ravel()
        return sketches

    def compare(self, pairs: Mapping[tuple[End, End], float]) -> list[Likeness | None]:
        """What each pair has in common, whose features have such a cosine.

        None where an image is gone or changed, too small to tell (below 64 px), or too plain: fewer than 8 of its
        49 pieces have more in them than a slope of light.
        """
        self._see(dict.fromkeys(end for pair in pairs for end in pair))
        seen = [(self._known[a], self._known[b]) for a, b in pairs]
        # Threads of the linear algebra beside these would wait for each other: products here are small. Judging is
        # of so many small ones that threads of ours would, too.
        with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
            spots = _seek_all(seen, pool.map)
            return [_judge(*one) for one in zip(seen, spots, pairs.values(), strict=True)]

    def _see(self, ends: Iterable[End]) -> None:
        new = [end for end in ends if end not in self._known]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self._known.update(zip(new, pool.map(self._read, new), strict=True))

    def _read(self, end: End) -> Shown | None:
        rows = self._manifest.splits[end[0]]
        try:
            data = self._images.read(rows.paths[end[1]])
            if sha256(data).digest() != rows.sha256[end[1]].tobytes():
                return None
            return shrink(decode_grey(data, SIDE_PX, self._scale))
        except (OSError, BadImage):
            return None


def _seek_all(
    seen: Sequence[tuple[Shown | None, Shown | None]], map_: Callable[..., Iterable[Any]]
) -> list[Spot | None]:
    """For each pair the place where one is most like the other; an image is searched once for all of its pairs."""
    within: dict[int, list[tuple[int, bool]]] = {}
    images: dict[int, Shown] = {}
    for number, (a, b) in enumerate(seen):
        if a is not None and b is not None:
            images[id(a)], images[id(b)] = a, b
            within.setdefault(id(a), []).append((number, False))
            within.setdefault(id(b), []).append((number, True))

    def search(item: tuple[int, list[tuple[int, bool]]]) -> list[Spot]:
        key, sought = item
        return seek(images[key], [seen[number][not turned] for number, turned in sought])  # type: ignore[misc]

    best: list[Spot | None] = [None] * len(seen)
    for sought, found in zip(within.values(), map_(search, within.items()), strict=True):
        for (number, turned), spot in zip(sought, found, strict=True):
            held = best[number]
            if held is None or spot.correlation > held.correlation:
                best[number] = spot._replace(turned=turned)
    return best


def _judge(seen: tuple[Shown | None, Shown | None], spot: Spot | None, cosine: float) -> Likeness | None:
    a, b = seen
    if a is None or b is None or spot is None:
        return None
    if spot.correlation < _WORTH_A_LOOK:
        return Likeness("", spot.correlation)
    found = lay_over(*((b, a) if spot.turned else (a, b)), spot)
    if found.telling < _TELLING:
        return None
    if found.correlation >= _SAME and found.pieces >= _SAME_PIECES and found.matching >= _MATCHING:
        how = "mirrored" if spot.mirrored else "copy" if found.whole else "cropped"
        return Likeness(how, found.correlation)
    alike = spot.framed >= _FRAMED or (found.correlation >= _SCENE and found.pieces >= _SCENE_PIECES)
    least = _MATCHING if cosine < _LIKE_FEATURES else 0
    if found.matching >= (least if alike and cosine >= _OTHER_FEATURES else _MANY_MATCHING):
        return Likeness("scene", max(spot.framed, found.correlation))
    return Likeness("", found.correlation)


def open_copies(holdings: Holdings) -> Copies:
    """The images that features were made of, as they were seen."""
    return Copies(holdings.manifest, holdings.scale)
