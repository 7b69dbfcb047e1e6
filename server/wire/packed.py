"""Packed bodies (`Content-Encoding`, RFC 9110), unpacked within a bound: requests whole, answers as they come.

Codex packs its requests with zstd, other clients with gzip; some upstreams, and proxies in front of them, pack what
no one wants packed, and some name an encoding that is none. A few bytes may unpack to gigabytes, so what is unpacked
comes in pieces of a bounded size, however small its packed form is, and its reader decides after every piece whether to
go on: a request that is larger than a plain one may be is refused before it is there.

A body of gzip or zstd may be several members, one behind the other. What follows the end of an answer means nothing
(some pad with zeros); a request with such a thing is damaged.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Protocol

import brotli  # type: ignore[import-untyped]  # it has no stubs

from server.wire.errors import InvalidValue, TooLarge, UnsupportedMedia

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    import backports.zstd as zstd

LONGEST_PIECE = 256 << 10  # bytes that are unpacked at a time; brotli treats it as a wish, and gives some more
MOST_MEMBERS = 100  # of one request: what is left behind each of them is copied
_NOT_PACKED = frozenset({"", "identity", "none"})
_GZIP, _ZLIB, _RAW = 31, 15, -15  # what zlib calls them


class UnknownEncoding(Exception):
    """An encoding that cannot be read here."""


class Damaged(Exception):
    """The packed bytes are none of their encoding."""


class TooManyMembers(Damaged):
    """More members than are allowed."""


class _Member(Protocol):
    """One packed member. `hungry`: it gives no more unless it gets more. `rest`: what stands behind its end."""

    ended: bool
    hungry: bool
    rest: bytes

    def take(self, packed: bytes) -> bytes:
        """Return the next piece, with these bytes behind those that it has. It gets none unless it is hungry."""


class _Zlib:
    """A member of gzip (31), of zlib's own format (15) or of neither (-15)."""

    def __init__(self, format_: int) -> None:
        self._inflate = zlib.decompressobj(format_)
        self.ended, self.hungry, self.rest = False, True, b""

    def take(self, packed: bytes) -> bytes:
        piece = self._inflate.decompress(self._inflate.unconsumed_tail + packed, LONGEST_PIECE)
        self.ended, self.rest = self._inflate.eof, self._inflate.unused_data
        self.hungry = len(piece) < LONGEST_PIECE
        return piece


class _Deflate:
    """Zlib's format in the standard, and the bare one with some others: two bytes tell."""

    def __init__(self) -> None:
        self._known: _Zlib | None = None
        self._first = b""
        self.ended, self.hungry, self.rest = False, True, b""

    def take(self, packed: bytes) -> bytes:
        if self._known is None:
            packed = self._first = self._first + packed
            if len(packed) < 2:
                return b""
            zlibs = packed[0] & 15 == 8 and int.from_bytes(packed[:2]) % 31 == 0
            self._known = _Zlib(_ZLIB if zlibs else _RAW)
        piece = self._known.take(packed)
        self.ended, self.hungry, self.rest = self._known.ended, self._known.hungry, self._known.rest
        return piece


class _Zstd:
    def __init__(self) -> None:
        self._unpack = zstd.ZstdDecompressor()
        self.ended, self.hungry, self.rest = False, True, b""

    def take(self, packed: bytes) -> bytes:
        piece: bytes = self._unpack.decompress(packed, LONGEST_PIECE)
        self.ended, self.rest = self._unpack.eof, self._unpack.unused_data
        self.hungry = self._unpack.needs_input
        return piece


class _Brotli:
    """Its bound is a wish: it gives up to twice as much. It calls damaged what has anything behind its end."""

    rest = b""

    def __init__(self) -> None:
        self._unpack = brotli.Decompressor()
        self.ended, self.hungry = False, True

    def take(self, packed: bytes) -> bytes:
        piece: bytes = self._unpack.process(packed, output_buffer_limit=LONGEST_PIECE // 2)
        self.ended = self._unpack.is_finished()
        self.hungry = not piece  # it would take more data while it still has a part of the last
        return piece


# How a member of each encoding is read, and how another one begins that may follow it.
_ENCODINGS: dict[str, tuple[Callable[[], _Member], bytes | None]] = {
    "gzip": (lambda: _Zlib(_GZIP), b"\x1f"),
    "x-gzip": (lambda: _Zlib(_GZIP), b"\x1f"),
    "deflate": (_Deflate, None),
    "zstd": (_Zstd, b"\x28"),
    "br": (_Brotli, None),
}


class Unpacker:
    """One packed body. Feed it, then `take` until nothing comes any more."""

    def __init__(self, encoding: str, most_members: int | None = None) -> None:
        self._make, self._another = _ENCODINGS[encoding]
        self._member = self._make()
        self._left = most_members
        self._packed = b""
        self._fed = False
        self.followed = False  # by something that is none of it

    @property
    def complete(self) -> bool:
        """The packed body has come to its own end; one without a byte has none, and needs none."""
        return not self._fed or self._member.ended

    def feed(self, packed: bytes) -> None:
        self._packed += packed
        self._fed = True

    def take(self) -> bytes:
        """Return the next piece; empty when more has to be fed. Raises Damaged."""
        while self._packed or not self._member.hungry:
            if self._member.ended and not self._next_member():
                break
            if piece := self._piece():
                return piece
        return b""

    def _piece(self) -> bytes:
        member = self._member
        packed, self._packed = (self._packed, b"") if member.hungry else (b"", self._packed)
        try:
            piece = member.take(packed)
        except (zlib.error, zstd.ZstdError, brotli.error, EOFError) as error:
            raise Damaged from error
        if member.ended:
            member.hungry, self._packed = True, member.rest + self._packed
        return piece

    def _next_member(self) -> bool:
        """Begin with what follows an end, if it is another member; it means nothing else."""
        if self._another is None or not self._packed.startswith(self._another):
            self._packed, self.followed = b"", True
            return False
        if self._left is not None:
            self._left -= 1
            if not self._left:
                raise TooManyMembers
        self._member = self._make()
        return True


class Dropping(Unpacker):
    """Reads a body that cannot be unpacked, and gives nothing."""

    def __init__(self) -> None:
        super().__init__("gzip")

    @property
    def complete(self) -> bool:
        return True

    def feed(self, packed: bytes) -> None:
        """Drop it."""


def unpacker_of(content_encoding: str) -> Unpacker | None:
    """The unpacker of an answer with this `Content-Encoding`; None if it is not packed. Raises UnknownEncoding."""
    names = [name.strip().lower() for name in content_encoding.split(",")]
    packed = [name for name in names if name not in _NOT_PACKED]
    if not packed:
        return None
    if len(packed) > 1 or packed[0] not in _ENCODINGS:
        raise UnknownEncoding
    return Unpacker(packed[0])


def coding_of(header: str | None) -> str:
    """Return the one coding of a request's `Content-Encoding`; empty if it is plain. Raises UnsupportedMedia."""
    coding = (header or "").strip().lower()
    if coding in ("", "identity"):
        return ""
    if coding not in _ENCODINGS:
        raise UnsupportedMedia
    return coding


def unpacked(body: bytes, coding: str, most: int) -> bytes:
    """Return a request's plain body, of at most so many bytes.

    Raises TooLarge, also for a body of very many members, and InvalidValue for what is not of that coding.
    """
    if not coding:
        return body
    unpacker, plain = Unpacker(coding, MOST_MEMBERS), bytearray()
    unpacker.feed(body)
    try:
        while piece := unpacker.take():
            plain += piece
            if len(plain) > most:
                raise TooLarge
    except TooManyMembers:
        raise TooLarge from None
    except Damaged:
        raise InvalidValue("body") from None
    if unpacker.followed or not unpacker.complete:
        raise InvalidValue("body")
    return bytes(plain)
