"""HDF5 files read as data and nothing else: a closed list of plain data sets, checked before a byte is used.

An HDF5 file may name other files (external links, external storage, virtual data sets), load code (filter
plugins) or declare shapes of terabytes. Ours do none of it, so a file that does is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from .errors import CacheError

_KNOWN_FILTERS = {h5py.h5z.FILTER_FLETCHER32}


def encode_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """One HDF5 file image with every array checksummed (fletcher32); equal arrays give equal bytes."""
    with h5py.File("image", "w", driver="core", backing_store=False) as file:
        for name, array in arrays.items():
            write_array(file, name, array.shape, array.dtype)[...] = array
        file.flush()
        return bytes(file.id.get_file_image())


def write_arrays(file: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Fill an empty file with arrays, each checksummed; no copy of them is made."""
    with h5py.File(file, "w") as out:
        for name, array in arrays.items():
            write_array(out, name, array.shape, array.dtype)[...] = array


def write_array(file: h5py.File, name: str, shape: tuple[int, ...], dtype: Any) -> h5py.Dataset:
    """An empty checksummed data set in chunks of 64 rows (features) or about 1 MiB (everything else)."""
    if 0 in shape:
        return file.create_dataset(name, shape, dtype)
    row_bytes = max(1, int(np.prod(shape[1:])) * np.dtype(dtype).itemsize)
    rows = 64 if len(shape) == 3 else max(1, (1 << 20) // row_bytes)
    chunks = (min(rows, shape[0]), *shape[1:])
    fill = np.nan if np.dtype(dtype).kind == "f" else None
    return file.create_dataset(name, shape, dtype, chunks=chunks, fletcher32=True, fillvalue=fill)


def check_arrays(file: h5py.File, expected: Mapping[str, tuple[Any, tuple[int, ...] | int]]) -> None:
    """Refuse `file` unless it holds exactly the `expected` data sets.

    Parameters
    ----------
    file : h5py.File
        Opened read-only.
    expected : mapping of name to (dtype, shape)
        An int instead of a shape is a number of dimensions, the sizes being free.

    Raises
    ------
    CacheError
        If a data set is missing, extra, of another type or shape, linked, external, virtual or filtered.
    """
    if set(file) != set(expected):
        raise CacheError(f"found data sets {sorted(file)}, expected {sorted(expected)}")
    for name, (dtype, shape) in expected.items():
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise CacheError(f"found a link in place of the data set {name}")
        _check_dataset(file[name], name, dtype, shape)
    # Before anything is allocated: chunks that overlap can declare terabytes in a small file.
    declared, size = sum(file[name].nbytes for name in expected), file.id.get_filesize()
    if declared > size:
        raise CacheError(f"declares {declared} bytes and is {size} bytes long")


def _check_dataset(found: Any, name: str, dtype: Any, shape: tuple[int, ...] | int) -> None:
    if not isinstance(found, h5py.Dataset) or found.dtype != np.dtype(dtype):
        raise CacheError(f"{name}: found {getattr(found, 'dtype', 'a group')}, expected {np.dtype(dtype)}")
    matches = found.ndim == shape if isinstance(shape, int) else found.shape == shape
    if not matches:
        raise CacheError(f"{name}: found shape {found.shape}, expected {shape}")
    if found.is_virtual or found.external:
        raise CacheError(f"{name}: found data stored in another file")
    plist = found.id.get_create_plist()
    filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
    if not filters <= _KNOWN_FILTERS:
        raise CacheError(f"{name}: found filters {sorted(filters)}, expected fletcher32 alone")
    if found.size and found.id.get_storage_size() < found.nbytes:
        raise CacheError(f"{name}: declares {found.nbytes} bytes and stores {found.id.get_storage_size()}")
