"""Request bodies that come packed (`Content-Encoding`, RFC 9110), unpacked within a bound.

A few bytes may unpack to gigabytes, so no step makes more than is still allowed: what is larger is refused as a plain
body of that size would be. Codex packs with zstd, other clients with gzip; br and deflate are in the same table.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Any

import brotli  # type: ignore[import-untyped]  # it has no stubs

from server.wire.errors import InvalidValue, TooLarge, UnsupportedMedia

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    import backports.zstd as zstd

MOST_MEMBERS = 100  # of one body: what is left behind each of them is copied
STEP = 1 << 20  # bytes that brotli may make at once: it treats its bound as a wish


def coding_of(header: str | None) -> str:
    """Return the one coding of a `Content-Encoding`; empty if the body is plain. Raises UnsupportedMedia."""
    coding = (header or "").strip().lower()
    if coding in ("", "identity"):
        return ""
    if coding not in _UNPACK:
        raise UnsupportedMedia
    return coding


def unpacked(body: bytes, coding: str, most: int) -> bytes:
    """Return the plain body, of at most so many bytes. Raises TooLarge, InvalidValue for what is not of that coding."""
    if not coding:
        return body
    try:
        return _UNPACK[coding](body, most)
    except (zlib.error, zstd.ZstdError, brotli.error, EOFError):
        raise InvalidValue("body") from None


def _gunzip(body: bytes, most: int) -> bytes:
    return _members(body, most, lambda: zlib.decompressobj(wbits=31))


def _inflate(body: bytes, most: int) -> bytes:
    """Some clients send what the name promises, a zlib stream, and some a bare one."""
    bits = 15 if body[:1] and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0 else -15
    return _one(body, most, lambda: zlib.decompressobj(wbits=bits))


def _unzstd(body: bytes, most: int) -> bytes:
    return _members(body, most, zstd.ZstdDecompressor)


def _unbrotli(body: bytes, most: int) -> bytes:
    unpacker, pieces, length = brotli.Decompressor(), [], 0
    piece = unpacker.process(body, output_buffer_limit=STEP)
    while True:
        pieces.append(piece)
        length += len(piece)
        if length > most:
            raise TooLarge
        if unpacker.is_finished():
            return b"".join(pieces)
        piece = unpacker.process(b"", output_buffer_limit=STEP)
        if not piece and not unpacker.is_finished():
            raise EOFError


def _members(body: bytes, most: int, make: Callable[[], Any]) -> bytes:
    """Unpack one member behind the other: both gzip and zstd allow that."""
    pieces: list[bytes] = []
    while body or not pieces:
        if len(pieces) == MOST_MEMBERS:
            raise TooLarge
        unpacker = make()
        pieces.append(_whole(unpacker, body, most - sum(map(len, pieces))))
        body = unpacker.unused_data
    return b"".join(pieces)


def _one(body: bytes, most: int, make: Callable[[], Any]) -> bytes:
    unpacker = make()
    plain = _whole(unpacker, body, most)
    if unpacker.unused_data:
        raise EOFError
    return plain


def _whole(unpacker: Any, body: bytes, most: int) -> bytes:
    plain: bytes = unpacker.decompress(body, most + 1)
    if len(plain) > most:
        raise TooLarge
    if not unpacker.eof:
        raise EOFError
    return plain


_UNPACK: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate,
    "zstd": _unzstd,
    "br": _unbrotli,
}
