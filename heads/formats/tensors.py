"""safetensors: ``features``, ``row``, ``view``, ``label``, ``split`` and ``path``, explained in the metadata.

Written here and not by its library, which takes whole tensors: 8 bytes with the header's length, the header in
JSON, the tensors' bytes one after another (https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .lines import Lines

_NAMES = {"<i8": "I64", "<f8": "F64", "<f4": "F32", "<f2": "F16", "|u1": "U8"}
_STEP = 65536  # paths that are held as an array at once
_ALIGNMENT = 8


def check(lines: Lines) -> None:
    """Nothing to refuse: paths are bytes."""


def write(lines: Lines, file: BinaryIO) -> None:
    """Write the lines.

    ``label`` and ``split`` are indices into the lists of the metadata (``fixgrid``, in JSON), -1 without a label;
    of several classes ``label`` (n, C) is 1 for each that an image has, of numbers float64. ``path`` (n, L) has the
    bytes of each path, filled up with zeros.
    """
    n, longest = len(lines), max(map(len, lines.list_paths()))
    numbers = [(name, np.dtype("<i8"), (n,), [getattr(lines, name)]) for name in ("row", "view")]
    kind = {"f": "<f8", "b": "|u1"}.get(lines.label.dtype.kind, "<i8")
    label = ("label", np.dtype(kind), lines.label.shape, [lines.label])
    # The widest types first, so that each tensor begins where its type may.
    tensors: list[tuple[str, np.dtype[Any], tuple[int, ...], Iterable[NDArray[Any]]]] = [
        *numbers,
        *[label] * (kind != "|u1"),
        ("features", lines.dtype, (n, lines.dim), lines.read()),
        *[label] * (kind == "|u1"),
        ("split", np.dtype("|u1"), (n,), [lines.split]),
        ("path", np.dtype("|u1"), (n, longest), _list_paths(lines, longest)),
    ]
    header: dict[str, Any] = {"__metadata__": {"fixgrid": lines.describe()}}
    start = 0
    for name, dtype, shape, _ in tensors:
        stop = start + prod(shape) * dtype.itemsize
        header[name] = {"dtype": _NAMES[dtype.str], "shape": shape, "data_offsets": [start, stop]}
        start = stop
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % _ALIGNMENT)
    file.write(len(head).to_bytes(8, "little") + head)
    for _, dtype, _, blocks in tensors:
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype).tobytes())


def _list_paths(lines: Lines, longest: int) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(lines), _STEP):
        paths = np.array(lines.list_paths(slice(start, start + _STEP)), f"S{longest}")
        yield paths.view(np.uint8)
