"""Lay one small grey image over another: where it fits as a whole or in part, and how well, piece by piece.

Normalised cross-correlation (Lewis 1995) of all parts of one image, each resized to 16 x 16, with the other: a
matrix product, since resizing is linear and separable. Then the edges of the best part are moved, at 32 x 32, and
pieces of 8 x 8 px are compared at 64 x 64, so that two pictures of like composition are not taken for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE_PX = 96
LEAST_PX = (
    64  # an image with a shorter side has too little in it to be proven a copy: digits of 8 x 8 all look alike
)
COARSE_PX = 16
_FINE, _PIECES, _PIECE = 32, 64, 8  # px
_SCALES, _STEP = (1, 0.9, 0.81, 0.73, 0.66), 0.06  # a third of a side may be gone; the steps leave half a coarse px
# (first, share) of the height: captions and logos spoil an upper or lower edge, so it is sought without it, too.
_PARTS = ((0.0, 1.0), (0.0, 0.84), (0.16, 0.84))
_FIRST_MOVE, _MOVES = 0.04, 3
_HOPEFUL = 4  # pieces
_WHOLE = 0.96
_NOISE, _STRONG = 2.0, 20.0  # grey levels: what varies less is flat, and what varies more counts no more
_TELLING, _AGREES = 3.0, 0.8  # grey levels a piece varies by beside a slope; correlation
_SHIFTS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]

Grey = NDArray[np.float32]


class Shown(NamedTuple):
    """A small grey copy.

    Attributes
    ----------
    grey : uint8 array, shape (96, 96)
        Of the whole image, whatever its sides.
    parts : float32 array, shape (3, 16, 16)
        All of it, and without the lower and the upper sixth: of mean 0 and length 1.
    """

    grey: NDArray[np.uint8]
    parts: Grey


class Spot(NamedTuple):
    """Where in one image another was found.

    Attributes
    ----------
    correlation : float
        There, at 16 x 16.
    x, y : (float, float)
        First edge and share of the width and of the height.
    part : int
        Which of the other's parts it is.
    mirrored : bool
    framed : float
        Correlation of both as a whole, or mirrored.
    turned : bool
        The first of the pair was sought in the second.
    """

    correlation: float
    x: tuple[float, float]
    y: tuple[float, float]
    part: int
    mirrored: bool
    framed: float
    turned: bool = False


class Overlay(NamedTuple):
    """How well one image covers a part of the other.

    Attributes
    ----------
    correlation : float
        At 32 x 32.
    pieces : float
        Mean over the 49 pieces of 8 x 8 px at 64 x 64, each moved by up to 1 px and counted by its contrast.
    telling, matching : int
        Pieces with more in them than a slope of light, as the sky has; and those of them that agree.
    whole : bool
        Hardly an edge of either is outside the other.
    """

    correlation: float
    pieces: float
    telling: int
    matching: int
    whole: bool


def shrink(image: Image.Image) -> Shown | None:
    """The small copy of an upright grey image; None if it is too small to tell."""
    if min(image.size) < LEAST_PX:
        return None
    small = image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)
    grey = np.asarray(small, np.uint8)
    parts = (_PART_ROWS @ _soften(grey) @ _WHOLE_ROW.T).reshape(len(_PARTS), -1)
    return Shown(grey, _normalise(parts).reshape(len(_PARTS), COARSE_PX, COARSE_PX))


def seek(image: Shown, others: Sequence[Shown]) -> list[Spot]:
    """Where in an image each of the others fits best, mirrored or not."""
    soft = _soften(image.grey)
    n = len(_SPANS)
    strips = _RESIZE @ (soft - soft.mean())
    windows = (strips @ _RESIZE.T).reshape(n, COARSE_PX, n, COARSE_PX).transpose(0, 2, 1, 3).reshape(n * n, -1)
    sought = np.stack([other.parts for other in others])
    sought = np.stack([sought, sought[..., ::-1]], 2).reshape(len(others) * 2 * len(_PARTS), -1)
    fits = ((windows @ sought.T) / _measure(windows)[:, None]).reshape(n * n, len(others), -1)
    best = fits.reshape(n * n, len(others), -1).transpose(1, 0, 2).reshape(len(others), -1)
    framed = fits[0, :, :2].max(1)
    spots = []
    for number, place in enumerate(best.argmax(1).tolist()):
        window, part = divmod(place, 2 * len(_PARTS))
        y, x = divmod(window, n)
        value = float(best[number, place])
        spots.append(Spot(value, _SPANS[x], _SPANS[y], part // 2, bool(part % 2), float(framed[number])))
    return spots


def lay_over(image: Shown, other: Shown, spot: Spot) -> Overlay:
    """Move the edges of a spot to where the other image fits best, and compare all of it.

    Where hardly a piece agrees after the first move, as of most pairs that are no copies, it is the last: of 1,495
    copies at least 8 pieces do by then.
    """
    here = image.grey.astype(np.float32)
    here -= here.mean()
    there = (other.grey[:, ::-1] if spot.mirrored else other.grey).astype(np.float32)
    part = _PARTS[spot.part]
    sought = _normalise(_cut(there, (0.0, 1.0), part, _FINE).reshape(1, -1))[0]
    detail = _cut(there, (0.0, 1.0), part, _PIECES)
    x, y, move = spot.x, spot.y, _FIRST_MOVE
    for number in range(_MOVES):
        across, down = _move(x, move), _move(y, move)
        strips = resize_rows(down, _FINE, SIDE_PX).reshape(-1, SIDE_PX) @ here
        windows = strips @ resize_rows(across, _FINE, SIDE_PX).reshape(-1, SIDE_PX).T
        windows = windows.reshape(len(down), _FINE, len(across), _FINE).transpose(0, 2, 1, 3)
        windows = windows.reshape(len(down) * len(across), -1)
        fits = windows @ sought / _measure(windows)
        i, j = divmod(int(fits.argmax()), len(across))
        x, y, move = across[j], down[i], move / 2
        if number in (0, _MOVES - 1):
            pieces = _compare_pieces(_cut(here, x, y, _PIECES), detail)
            found = Overlay(float(fits.max()), *pieces, spot.part == 0 and min(x[1], y[1]) >= _WHOLE)
            if found.matching < _HOPEFUL:
                break
    return found


def _compare_pieces(here: Grey, there: Grey) -> tuple[float, int, int]:
    """`Overlay`'s ``pieces``, ``telling`` and ``matching``."""
    inner, first = _PIECES - _PIECE, _PIECE // 2
    sought = _split(there[first:, first:][:inner, :inner])
    moved = np.stack([_split(here[first + dy :, first + dx :][:inner, :inner]) for dy, dx in _SHIFTS])
    weight = np.minimum(np.linalg.norm(sought, axis=1), _STRONG * _PIECE)
    mean = float((_match(moved, sought) * weight).sum() / max(float(weight.sum()), 1e-6))
    level, moved = _flatten(sought), _flatten(moved)
    telling = np.linalg.norm(level, axis=1) > _TELLING * _PIECE
    return mean, int(telling.sum()), int((telling & (_match(moved, level) > _AGREES)).sum())


def _flatten(pieces: Grey) -> Grey:
    """Pieces without their slopes: shape (..., 64)."""
    return np.asarray(pieces - pieces @ _SLOPES.T @ _SLOPES, np.float32)


def _match(moved: Grey, sought: Grey) -> Grey:
    """Of each piece its best correlation with the moved ones: shapes (9, n, 64) and (n, 64) to (n,)."""
    length = np.linalg.norm(moved, axis=2) * np.linalg.norm(sought, axis=1)
    return np.asarray((np.einsum("mij,ij->mi", moved, sought) / np.maximum(length, 1e-2)).max(0))


def _split(grey: Grey) -> Grey:
    """Pieces of 8 x 8 px without their means: shape (n, 64)."""
    n = len(grey) // _PIECE
    pieces = grey.reshape(n, _PIECE, n, _PIECE).transpose(0, 2, 1, 3).reshape(n * n, -1)
    return np.asarray(pieces - pieces.mean(1, keepdims=True), np.float32)


def _soften(grey: NDArray[np.uint8]) -> Grey:
    return np.asarray(_SOFTEN @ grey.astype(np.float32) @ _SOFTEN.T)


def _cut(grey: Grey, x: tuple[float, float], y: tuple[float, float], side: int) -> Grey:
    """A part of an image, resized."""
    return np.asarray(resize_rows([y], side, len(grey))[0] @ grey @ resize_rows([x], side, len(grey))[0].T)


def _normalise(rows: NDArray[Any]) -> Grey:
    rows = rows - rows.mean(1, keepdims=True)
    return np.asarray(rows / _measure(rows)[:, None], np.float32)


def _measure(rows: NDArray[Any]) -> Grey:
    """Lengths of rows without their means, no less than those of noise: shape (n,)."""
    n = rows.shape[1]
    squares = np.einsum("ij,ij->i", rows, rows) - n * rows.mean(1) ** 2
    return np.asarray(np.sqrt(np.maximum(squares, n * _NOISE**2)), np.float32)


def _move(span: tuple[float, float], move: float) -> list[tuple[float, float]]:
    """Spans with either edge moved outwards, inwards or not at all, inside the image."""
    edges = [(span[0] + a, span[0] + span[1] + b) for a in (-move, 0, move) for b in (-move, 0, move)]
    return [(max(low, 0.0), max(min(high, 1.0) - max(low, 0.0), 0.3)) for low, high in edges]


def resize_rows(spans: Sequence[tuple[float, float]], side: int, n: int) -> Grey:
    """Matrices that average the pixels of each span of ``n`` px into ``side`` px: shape (len(spans), side, n)."""
    first, share = np.array(spans, np.float32).T
    edges = ((first[:, None] + share[:, None] * np.linspace(0, 1, side + 1, dtype=np.float32)) * n)[..., None]
    pixels = np.arange(n + 1, dtype=np.float32)
    overlap = np.minimum(edges[:, 1:], pixels[1:])
    overlap -= np.maximum(edges[:, :-1], pixels[:-1])
    np.maximum(overlap, 0, out=overlap)
    overlap /= np.maximum(overlap.sum(2, keepdims=True), 1e-9)
    return np.asarray(overlap)


def _list_spans() -> list[tuple[float, float]]:
    spans = []
    for share in _SCALES:
        n = int(np.ceil((1 - share) / _STEP - 1e-9)) + 1
        spans += [(float(first), float(share)) for first in np.linspace(0, 1 - share, n)]
    return spans


def _list_slopes() -> Grey:
    """Pieces that grow evenly from left to right, or downwards, of length 1: shape (2, 64)."""
    even = np.arange(_PIECE) - (_PIECE - 1) / 2
    across = np.tile(even, (_PIECE, 1)) / np.sqrt(_PIECE * (even**2).sum())
    return np.asarray(np.stack([across.ravel(), across.T.ravel()]), np.float32)


_SLOPES = _list_slopes()
_SPANS = _list_spans()
_RESIZE = resize_rows(_SPANS, COARSE_PX, _FINE).reshape(-1, _FINE)
_SOFTEN, _WHOLE_ROW = resize_rows([(0, 1)], _FINE, SIDE_PX)[0], resize_rows([(0, 1)], COARSE_PX, _FINE)[0]
_PART_ROWS = resize_rows(_PARTS, COARSE_PX, _FINE).reshape(-1, _FINE)
