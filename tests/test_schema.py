from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from fixgrid.cache import schema
from fixgrid.cache.errors import CacheError

EXPECTED = {"a": ("float32", (4, 2)), "b": ("int64", (4,))}


def write_good(file: h5py.File) -> None:
    schema.write_array(file, "a", (4, 2), "float32")[...] = np.ones((4, 2))
    schema.write_array(file, "b", (4,), "int64")[...] = np.arange(4)


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4, 2), "float32")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 2))
    file.create_virtual_dataset("a", layout)


def put(name: str, value: object) -> Callable[[h5py.File], object]:
    return lambda file: file.__setitem__(name, value)


def create(
    shape: tuple[int, ...] = (4, 2), dtype: object = "float32", **options: object
) -> Callable[[h5py.File], object]:
    return lambda file: file.create_dataset("a", shape, dtype, **options)


ONES = np.ones((4, 2), "float32")
HOSTILE = {
    "an external link": (put("a", h5py.ExternalLink("/etc/passwd", "/x")), "a link in place"),
    "a soft link": (put("a", h5py.SoftLink("/b")), "a link in place"),
    "a dangling link": (put("a", h5py.SoftLink("/nothing")), "a link in place"),
    "a group": (lambda file: file.create_group("a"), "found a group"),
    "a virtual data set": (virtual, "stored in another file"),
    "external storage": (create(external=[("/etc/passwd", 0, 32)]), "stored in another file"),
    "chunks that were never written": (create(chunks=(4, 2)), "declares 32 bytes and stores 0"),
    "another filter": (create(data=ONES, chunks=(4, 2), compression="gzip"), "found filters"),
    "another type": (create(dtype="float64"), "found float64"),
    "another byte order": (create(dtype=">f4"), "found >f4"),
    "another shape": (create((4, 3)), r"found shape \(4, 3\)"),
    "strings": (create(dtype=h5py.string_dtype()), "found object"),
    "a missing data set": (lambda file: None, r"found data sets \['b'\]"),
    "an extra data set": (
        lambda file: (put("a", ONES)(file), put("c", 1)(file)),
        r"found data sets \['a', 'b', 'c'\]",
    ),
}


@pytest.mark.parametrize(("make", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_file_that_is_more_than_plain_data_is_refused(
    tmp_path: Path, make: Callable[[h5py.File], object], reason: str
) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        schema.write_array(file, "b", (4,), "int64")[...] = np.arange(4)
        make(file)
    with h5py.File(tmp_path / "file.h5") as file, pytest.raises(CacheError, match=reason):
        schema.check_arrays(file, EXPECTED)


def test_plain_data_is_accepted(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        write_good(file)
    with h5py.File(tmp_path / "file.h5") as file:
        schema.check_arrays(file, EXPECTED)
        schema.check_arrays(file, {"a": ("float32", 2), "b": ("int64", 1)})


def test_terabytes_in_a_small_file_are_refused_before_they_are_read(tmp_path: Path) -> None:
    shape = (1 << 40,)
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("a", shape, "uint8", chunks=(1 << 20,), fletcher32=True)[:4] = 1
    with h5py.File(tmp_path / "bomb.h5") as file, pytest.raises(CacheError, match="declares 1099511627776 bytes"):
        schema.check_arrays(file, {"a": ("uint8", 1)})


def test_equal_arrays_give_equal_bytes() -> None:
    arrays = {"a": np.arange(8, dtype=np.float32).reshape(4, 2), "b": np.arange(4)}
    assert schema.encode_arrays(arrays) == schema.encode_arrays(arrays)


def test_an_empty_array_is_written_and_read() -> None:
    image = schema.encode_arrays({"a": np.empty((0, 2), np.float32)})
    with h5py.File(h5py.h5f.open_file_image(image)) as file:
        schema.check_arrays(file, {"a": ("float32", (0, 2))})


def test_a_row_never_written_reads_as_nan(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        assert np.isnan(schema.write_array(file, "a", (4, 2), "float32")[()]).all()
