"""NumPy's .npz: ``features``, ``path``, ``label``, ``split``, ``row``, ``view`` and ``meta``, uncompressed."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .lines import Lines

_STEP = 65536  # texts that are held as an array at once


def check(lines: Lines) -> None:
    """Nothing to refuse: text is Unicode, undecodable bytes of paths are as `os.fsdecode` gives them."""


def write(lines: Lines, file: BinaryIO) -> None:
    """Write the lines; texts are of one width, and empty where there is no label. Labels that are numbers are."""
    n = len(lines)
    with zipfile.ZipFile(file, "w") as archive:
        _write_member(archive, "features", lines.dtype, (n, lines.dim), lines.read())
        _write_texts(archive, "path", n, lambda part: list(map(os.fsdecode, lines.list_paths(part))))
        if lines.label.dtype.kind == "f":
            _write_member(archive, "label", np.dtype("<f8"), (n,), [lines.label])
        else:
            _write_texts(archive, "label", n, lambda part: [str(name or "") for name in lines.list_labels(part)])
        _write_texts(archive, "split", n, lines.list_splits)
        for name in ("row", "view"):
            _write_member(archive, name, np.dtype("<i8"), (n,), [getattr(lines, name)])
        meta = np.array(lines.describe())
        _write_member(archive, "meta", meta.dtype, (), [meta])


def _write_texts(archive: zipfile.ZipFile, name: str, n: int, read: Callable[[slice], Sequence[str]]) -> None:
    parts = [slice(start, start + _STEP) for start in range(0, n, _STEP)]
    dtype = np.dtype(f"<U{max(1, *(len(text) for part in parts for text in read(part)))}")
    _write_member(archive, name, dtype, (n,), (np.array(read(part), dtype) for part in parts))


def _write_member(
    archive: zipfile.ZipFile,
    name: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    blocks: Iterable[NDArray[Any]],
) -> None:
    """One array, as `numpy.load` reads it; no date of today's, so that equal features are equal bytes."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for piece in _list_bytes(blocks, dtype):
            member.write(piece)


def _list_bytes(blocks: Iterable[NDArray[Any]], dtype: np.dtype[Any]) -> Iterator[bytes]:
    for block in blocks:
        yield np.ascontiguousarray(block, dtype).tobytes()
