"""Packed answers, unpacked as they come: `gzip` and `deflate`, though `identity` was asked for.

Some upstreams, and proxies in front of them, pack what nobody wants packed; some name an encoding that is none. What is
unpacked comes in pieces of a bounded size, however small its packed form is (a "bomb"), so that whoever reads decides
after every piece whether to go on. Brotli and zstd would need a library each, and no upstream was seen to use them.
"""

from __future__ import annotations

import zlib

LONGEST_PIECE = 256 << 10  # bytes that are unpacked at a time
_NOT_PACKED = frozenset({"", "identity", "none"})
_GZIP, _RAW = 31, -15  # what zlib calls them


class UnknownEncoding(Exception):
    """An encoding that cannot be read here."""


class Damaged(Exception):
    """The packed bytes are none of their encoding."""


class Unpacker:
    """One packed body. Feed it, then `take` until nothing comes any more."""

    def __init__(self, encoding: str) -> None:
        self._inflate = zlib.decompressobj(_GZIP) if encoding.endswith("gzip") else None  # of deflate: not yet known
        self._gzip = self._inflate is not None
        self._packed = b""
        self._more = False  # what was fed may unpack to more than has been taken
        self._fed = False

    @property
    def complete(self) -> bool:
        """The packed body has come to its own end; one without a byte has none, and needs none."""
        return not self._fed or (self._inflate is not None and self._inflate.eof)

    def feed(self, packed: bytes) -> None:
        self._packed += packed
        self._fed = True

    def take(self) -> bytes:
        """Return the next piece; empty when more has to be fed. Raises Damaged."""
        inflate = self._inflate or self._told_apart()
        while inflate is not None and (self._packed or self._more):
            if inflate.eof and (inflate := self._next_member()) is None:
                return b""
            try:
                piece = inflate.decompress(self._packed, LONGEST_PIECE)
            except zlib.error as error:
                raise Damaged from error
            self._packed = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
            self._more = len(piece) == LONGEST_PIECE and not inflate.eof
            if piece:
                return piece
        return b""

    def _told_apart(self) -> zlib._Decompress | None:
        """`deflate` means zlib's format in the standard, and the bare one with some servers: two bytes tell."""
        if len(self._packed) < 2:
            return None
        first, second = self._packed[:2]
        zlibs = first & 15 == 8 and (first * 256 + second) % 31 == 0
        self._inflate = zlib.decompressobj() if zlibs else zlib.decompressobj(_RAW)
        return self._inflate

    def _next_member(self) -> zlib._Decompress | None:
        """A gzip body may be several, one behind the other; what else follows an end means nothing."""
        if not (self._gzip and self._packed.startswith(b"\x1f")):
            self._packed, self._more = b"", False
            return None
        self._inflate = zlib.decompressobj(_GZIP)
        return self._inflate


class Dropping(Unpacker):
    """Reads a body that cannot be unpacked, and gives nothing."""

    def __init__(self) -> None:
        super().__init__("")

    @property
    def complete(self) -> bool:
        return True

    def feed(self, packed: bytes) -> None:
        """Drop it."""


def unpacker_of(content_encoding: str) -> Unpacker | None:
    """What reads a body with this `Content-Encoding`; None if it is not packed. Raises UnknownEncoding."""
    names = [name.strip().lower() for name in content_encoding.split(",")]
    packed = [name for name in names if name not in _NOT_PACKED]
    if not packed:
        return None
    if len(packed) > 1 or packed[0] not in ("gzip", "x-gzip", "deflate"):
        raise UnknownEncoding
    return Unpacker(packed[0])
