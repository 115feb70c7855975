"""A table's text is found whatever wrote it, and what was not UTF-8 is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixgrid.cache.errors import DataError
from fixgrid.embed.sources.tables.encodings import Text, read_text

TABLE = "path,label\na.png,gr\u00fcn\n"

BYTES = "t.csv is not UTF-8: what is not text stays bytes, as \\xff in labels; better save it as UTF-8"


def read(folder: Path, raw: bytes) -> Text:
    file = folder / "t.csv"
    file.write_bytes(raw)
    return read_text(file)


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", ()),
        ("utf-8-sig", ()),
        ("utf-16", ("read t.csv as UTF-16",)),
        ("utf-16-le", ("read t.csv as UTF-16",)),
        ("utf-16-be", ("read t.csv as UTF-16",)),
        ("utf-32", ("read t.csv as UTF-32",)),
        ("cp1252", ("t.csv is not UTF-8: read as Windows-1252; if letters look wrong, save it as UTF-8",)),
    ],
)
def test_every_encoding_gives_one_text(tmp_path: Path, encoding: str, note: tuple[str, ...]) -> None:
    found = read(tmp_path, TABLE.encode(encoding))
    assert (found.text, found.notes) == (TABLE, note)
    assert found.encoding == (encoding if encoding == "cp1252" else "utf-8")


def test_bytes_beside_letters_in_utf_8_stay_what_they_are(tmp_path: Path) -> None:
    found = read(tmp_path, TABLE.encode() + b"\xff.png,x\n")
    assert found.text == TABLE + "\udcff.png,x\n"
    assert found.notes == (BYTES,)


def test_bytes_that_windows_does_not_know_stay_what_they_are(tmp_path: Path) -> None:
    assert read(tmp_path, b"path\n\x81.png\n") == Text("path\n\udc81.png\n", notes=(BYTES,))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"path,label\r\na.png,x\r\nb\0.png,y\r\n", r"t\.csv, line 3, has a NUL byte"),
        (b"\xff\xfea\0b", r"could not read .*t\.csv as UTF-16: .*; save it as UTF-8"),
        (b"\0" * 100, "line 1, has a NUL byte"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, raw: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, raw)
