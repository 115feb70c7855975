"""Zip files: each image stored or deflated, read at its place."""

from __future__ import annotations

import struct
import zipfile
import zlib
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .blob import open_blob
from .container import DamagedError, Indexed
from .scan import Gathering, Scan

_HEADER = struct.Struct("<4s5H3I2H")
_MOST_BYTES = 1 << 30  # of an image: a zip file of some kB may say that it holds many GB
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


class _Packed(NamedTuple):
    """Of each image: bytes in the file, bytes that come out, and their checksum; int64 (n,)."""

    packed: NDArray[np.int64]
    sizes: NDArray[np.int64]
    sums: NDArray[np.int64]
    methods: NDArray[np.int64]


class Zip(Indexed):
    """A zip file."""

    def scan(self) -> Scan:
        """Its directory alone.

        Raises
        ------
        DamagedError
            If it is cut or no zip file, or has images that are encrypted or packed in another way.
        """
        return self._scanned[0]

    def unpack(self, place: int, data: memoryview) -> bytes:
        """Inflated, if need be, and checked.

        Raises
        ------
        DamagedError
            If the checksum differs.
        """
        packed, size, checksum, method = (int(column[place]) for column in self._scanned[1])
        return _inflate(bytes(data), packed, size, checksum, method)

    @cached_property
    def _scanned(self) -> tuple[Scan, _Packed]:
        found, kept = Gathering(), list[tuple[int, int, int, int]]()
        try:
            with open_blob(self.blob) as file, zipfile.ZipFile(file) as archive:
                members, end = archive.infolist(), archive.start_dir
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DamagedError(f"it is no zip file, or a part of one ({error})") from error
        stops = self._find_stops(members, end)
        for member in members:
            if member.is_dir():
                continue
            n, name = len(found.names), _read_name(member)
            packing = member.compress_size, member.file_size, member.CRC, member.compress_type
            start, stop = member.header_offset, stops[member.header_offset]

            def read(start: int = start, stop: int = stop, packing: tuple[int, ...] = packing) -> bytes:
                return _inflate(self.blob.read_exactly(start, stop - start), *packing)

            found.add(name, start, stop - start, member.file_size, read)
            if len(found.names) > n:
                _expect_readable(member)
                kept.append(packing)
        columns = np.array(kept, np.int64).reshape(-1, 4).T
        return found.finish(), _Packed(*columns)

    @staticmethod
    def _find_stops(members: list[zipfile.ZipInfo], end: int) -> dict[int, int]:
        """Where each member must have ended: where the next begins."""
        starts = sorted({member.header_offset for member in members})
        if starts and starts[-1] >= end:
            raise DamagedError("its directory names members behind its end")
        return dict(zip(starts, [*starts[1:], end], strict=True))


def _read_name(member: zipfile.ZipInfo) -> bytes:
    """As UTF-8; names that are not marked as such are taken for code page 437, as zip has it."""
    return member.filename.replace("\\", "/").encode("utf-8", "surrogateescape")


def _expect_readable(member: zipfile.ZipInfo) -> None:
    if member.flag_bits & 1:
        raise DamagedError(f"{member.filename} is encrypted; expected images that need no password")
    if member.file_size > _MOST_BYTES:
        raise DamagedError(f"{member.filename} would be {member.file_size:,} bytes; expected at most 1 GiB")
    if member.compress_type not in (_STORED, _DEFLATED):
        how = zipfile.compressor_names.get(member.compress_type, str(member.compress_type))  # type: ignore[attr-defined]
        raise DamagedError(f"{member.filename} is packed by {how}; expected stored or deflated: zip it anew")


def _inflate(data: bytes, packed: int, size: int, checksum: int, method: int) -> bytes:
    """A member from the bytes that begin with its own header."""
    if len(data) < _HEADER.size or not data.startswith(b"PK\3\4"):
        raise DamagedError("a member has no header where the directory says")
    *_, name, extra = _HEADER.unpack_from(data)
    begin = _HEADER.size + name + extra
    body = data[begin : begin + packed]
    if method == _DEFLATED:
        try:
            body = zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, size + 1)
        except zlib.error as error:
            raise DamagedError(f"a member cannot be inflated ({error})") from error
    if len(body) != size or zlib.crc32(body) != checksum:
        raise DamagedError("a member has another checksum than the directory says")
    return body
