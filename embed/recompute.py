"""Rows computed once more, outside any cache, to prove that cached ones are what this machine would compute."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cache.errors import DataError
from cache.rows import Rows
from cache.rowsfile import show_path

from .decode import BadImage, decode_rgb, read_file
from .task import Backend
from .views import View, render_view


def recompute_rows(
    root: str, rows: Rows, row_ids: Sequence[int], view: View, backend: Backend
) -> NDArray[np.float32]:
    """Features of some rows of a split, float32, shape (k, V, D).

    Raises
    ------
    DataError
        If an image cannot be read or decoded, or is not the one that the rows say.
    """
    features = []
    for row in row_ids:
        path, content = rows.paths[row], rows.sha256[row].tobytes()
        try:
            data = read_file(os.path.join(os.fsencode(root), path))
            if hashlib.sha256(data).digest() != content:
                raise DataError(f"{show_path(path)} is not the image it was; run extract again.")
            features.append(backend(render_view(decode_rgb(data), view, content)))
        except (OSError, BadImage) as error:
            raise DataError(f"could not read {show_path(path)}: {error}; mend it and run again.") from error
    return np.stack(features)
