"""PNG files with more text or profile than Pillow takes, which says nothing of their pixels."""

from __future__ import annotations

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# What is kept of a text: an orientation stands at the beginning of an XMP packet, Pillow finds it there.
_KEPT_BYTES = 64 << 10
_MOST_TEXTS = 64  # files hold a few; those of a bomb would be 64 KiB each


def shorten_metadata(data: bytes) -> bytes | None:
    """A PNG with its texts cut at 64 KiB and without its profile; None if that changes nothing, or it is no PNG.

    No text is inflated beyond what is kept of it, so that one that is a bomb takes no memory.
    """
    if not data.startswith(SIGNATURE):
        return None
    parts, place, texts = [SIGNATURE], len(SIGNATURE), 0
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        name, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        whole, place = data[place : place + 12 + length], place + 12 + length
        if name in (b"tEXt", b"zTXt", b"iTXt"):
            texts += 1
            short = _shorten_text(name, body) if texts <= _MOST_TEXTS else b""
            parts.append(_make_chunk(*short) if short else b"")
        elif name != b"iCCP":
            parts.append(whole)
    shorter = b"".join([*parts, data[place:]])
    return None if shorter == data else shorter


def _shorten_text(name: bytes, body: bytes) -> tuple[bytes, bytes] | None:
    """The chunk's name and content, the text not compressed; None if it is none that can be read."""
    keyword, _, rest = body.partition(b"\0")
    if name == b"tEXt":
        return name, body[:_KEPT_BYTES]
    if name == b"zTXt":
        text = _inflate(rest[1:])
        return None if text is None else (b"tEXt", keyword + b"\0" + text)
    flags, (language, _, rest) = rest[:2], rest[2:].partition(b"\0")
    translated, _, text = rest.partition(b"\0")
    short = _inflate(text) if flags[:1] == b"\1" else text[:_KEPT_BYTES]
    if short is None:
        return None
    short = short.decode("utf-8", "ignore").encode()  # not cut within a character
    return name, b"\0".join([keyword, b"\0\0" + language, translated, short])


def _inflate(data: bytes) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(data, _KEPT_BYTES)
    except zlib.error:
        return None


def _make_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
