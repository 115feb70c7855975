"""Tar files: WebDataset's shards, and folders in one file. Only plain ones, which can be read at any place."""

from __future__ import annotations

import tarfile
from typing import BinaryIO

from .blob import open_blob
from .container import DamagedError, Indexed
from .scan import Gathering, Scan

_BLOCK = 512
_TAIL = 1 << 20  # zeros behind the end, at most, that are looked at
_LINK, _SPECIAL, _SPARSE = "member(s) that are links", "special member(s)", "member(s) with holes"


class Tar(Indexed):
    """A tar file."""

    def scan(self) -> Scan:
        """Headers one after another; of a file behind a URL what lies between them is skipped if it is long.

        Raises
        ------
        DamagedError
            If it is cut, or no tar file.
        """
        found, end = Gathering(), 0
        with open_blob(self.blob) as file:
            try:
                with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as members:
                    while member := members.next():
                        _add(found, member, file)
                        members.members.clear()  # type: ignore[attr-defined]  # else each is kept
                        end = members.offset
            except tarfile.TarError as error:
                raise DamagedError(f"it is no tar file, or a part of one ({error})") from error
        self._expect_end(end)
        return found.finish()

    def unpack(self, place: int, data: memoryview) -> bytes:
        """As it lies there."""
        return bytes(data)

    def _expect_end(self, end: int) -> None:
        """Refuse what tarfile takes for the end: a damaged header, or the end of the file alone."""
        tail = self.blob.read_at(end, _TAIL)
        if len(tail) < _BLOCK:
            raise DamagedError(f"it stops at byte {end + len(tail):,} without an end mark: a part of it is missing")
        if tail.strip(b"\0"):
            raise DamagedError(f"it is damaged, or goes on behind an end mark, at byte {end:,}")


def _add(found: Gathering, member: tarfile.TarInfo, file: BinaryIO) -> None:
    name = member.name.encode("utf-8", "surrogateescape")
    if member.issparse():
        found.pass_over(name, _SPARSE)
    elif member.isreg():
        found.add(name, member.offset_data, member.size, member.size, lambda: _read_member(file, member))
    elif not member.isdir():
        found.pass_over(name, _LINK if member.issym() or member.islnk() else _SPECIAL)


def _read_member(file: BinaryIO, member: tarfile.TarInfo) -> bytes:
    """From what was read around its header; a cut is noticed by what looks for the next one."""
    file.seek(member.offset_data)
    return file.read(member.size)
