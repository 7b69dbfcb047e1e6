"""Where the body of a request ends: after so many bytes, or behind its last chunk. Doubt is an error.

RFC 9112, sections 6.1, 6.3 and 7.1. Chunk extensions and trailers are refused: no client of an API sends them, and they
are the places where servers disagree. Pure: no I/O, no clock. Sizes are bytes; errors are `HTTPInputError`.
"""

from __future__ import annotations

import re

from tornado.httputil import HTTPHeaders, HTTPInputError, RequestStartLine

STEPS_AT_ONCE = 3 * 512  # of three that a chunk has, in one turn of the loop: tiny chunks cost more than their bytes
CRLF = b"\r\n"

_LENGTH = re.compile(r"[0-9]{1,18}")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
_HALF_A_SIZE = re.compile(rb"(?:[0-9A-Fa-f]{1,16}\r?)?")


def length_of(start_line: RequestStartLine, headers: HTTPHeaders) -> int | None:
    """The body's length; None if it comes in chunks. Raises HTTPInputError.

    A length that stands there twice becomes one in the headers, as RFC 9112 allows.
    """
    if "Transfer-Encoding" in headers:
        if "Content-Length" in headers or start_line.version == "HTTP/1.0":
            raise HTTPInputError("a transfer coding where none may be")
        if headers["Transfer-Encoding"].lower() != "chunked":
            raise HTTPInputError("a transfer coding other than chunked")
        return None
    if "Content-Length" not in headers:
        return 0
    lengths = {each.strip(" \t") for each in headers["Content-Length"].split(",")}
    length = lengths.pop()
    if lengths or _LENGTH.fullmatch(length) is None:
        raise HTTPInputError("not one length")
    headers["Content-Length"] = length
    return int(length)


class ChunkedBody:
    """Takes a body in chunks apart. `ended`: its last chunk has come; `starved`: it waits for more bytes."""

    __slots__ = ("_at_last", "_at_size", "_left", "_room", "ended", "starved")

    def __init__(self, most: int) -> None:
        """`most` bounds the length of the body."""
        self._room, self._left = most, 0  # of the body, and of the chunk that is being read
        self._at_size = True  # else in a chunk, or at the line break behind it
        self._at_last = self.ended = False
        self.starved = True

    def take(self, buffer: bytearray) -> bytes:
        """Remove from the buffer what belongs to the body, and give its content. Raises HTTPInputError."""
        if self.ended:
            return b""  # what comes now belongs to the next request
        pieces: list[bytearray] = []
        at, self.starved = 0, False
        for _ in range(STEPS_AT_ONCE):
            before = at
            if self._at_size:
                at = self._read_size(buffer, at)
            elif self._left:
                pieces.append(buffer[at : at + self._left])
                at += len(pieces[-1])
                self._left -= len(pieces[-1])
            else:
                at = self._read_line_break(buffer, at)
            self.starved = at == before
            if self.starved or self.ended:
                break
        del buffer[:at]
        return b"".join(pieces)

    def _read_size(self, buffer: bytearray, at: int) -> int:
        found = _SIZE.match(buffer, at)
        if found is None:
            if _HALF_A_SIZE.fullmatch(buffer, at) is None:
                raise HTTPInputError("not the size of a chunk")
            return at
        self._left = int(found[1], 16)
        self._room -= self._left
        if self._room < 0:
            raise HTTPInputError("a body in chunks that is too long")
        self._at_size, self._at_last = False, not self._left
        return found.end()

    def _read_line_break(self, buffer: bytearray, at: int) -> int:
        found = buffer[at : at + 2]
        if not CRLF.startswith(found):
            raise HTTPInputError("a chunk that is longer than it says, or a trailer")
        if len(found) < len(CRLF):
            return at
        self._at_size, self.ended = True, self._at_last
        return at + len(CRLF)
