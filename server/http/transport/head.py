"""The head of a request, read by the grammar of RFC 9112 and by nothing more lenient.

A head that two servers on one way could read differently is no request here, so nothing can be smuggled past one of
them: a line that ends without its carriage return, a folded line, a blank before the colon or in a name, a control
character, a version that is neither 1.0 nor 1.1.

Why no parser in C (llhttp, by httptools): the fields must become Python strings all the same, and that is most of the
cost, so it is no faster (`bench/transport.py`). At its strictest it still reads HTTP/0.9 and 2.0 and hides chunk
extensions, and it refuses requests whose refusal belongs in the caller's dialect, such as a method that it does not
know. The tests ask it for its opinion, and h11 and Tornado, too.

Pure: no I/O, no clock. Errors are `HTTPInputError`, as Tornado's own.
"""

from __future__ import annotations

import re

from tornado.httputil import HTTPInputError, RequestStartLine

from server.http.transport.headers import KEPT_NAME, TCHARS, Headers, spelled

MOST_FIELDS = 256  # header lines; a browser behind three proxies sends about forty
CRLF = b"\r\n"

_REQUEST_LINE = re.compile(rf"({TCHARS}) ([\x21-\x7e\x80-\xff]+) (HTTP/1\.[01])")
_END = CRLF + CRLF
_DOUBTFUL_END = re.compile(rb"\n\r?\n")  # for some servers, and not for us
_ALLOWED = bytes([*b"\t\r\n", *range(0x20, 0x7F), *range(0x80, 0x100)])


class HeadSearch:
    """Looks for the end of a head in what has come. `most`: bytes of a head; one that is longer is `too_long`."""

    __slots__ = ("_most", "_searched", "begun", "too_long")

    def __init__(self, most: int) -> None:
        self._most, self._searched = most, 0
        self.begun = self.too_long = False

    def take(self, buffer: bytearray) -> bytes | None:
        """Remove a head from the buffer and give its lines; None if it is not whole. Raises HTTPInputError."""
        start = len(CRLF) if buffer.startswith(CRLF) else 0  # one empty line before, as RFC 9112 allows (2.2)
        at = max(start, self._searched - 3)
        end = buffer.find(_END, at)
        if end < 0 and _DOUBTFUL_END.search(buffer, at):
            raise HTTPInputError("a line that ends without its carriage return")
        self.too_long = (len(buffer) if end < 0 else end + len(_END)) > self._most
        if end < 0 or self.too_long:
            self._searched = len(buffer)
            return None
        lines = bytes(buffer[start:end])
        del buffer[: end + len(_END)]
        self._searched, self.begun = 0, False
        return lines


def read_head(head: bytes) -> tuple[RequestStartLine, Headers]:
    """The request line and the header fields; `head` ends before the empty line. Raises HTTPInputError."""
    breaks = head.count(CRLF)
    if head.translate(None, _ALLOWED) or head.count(b"\n") != breaks or head.count(b"\r") != breaks:
        raise HTTPInputError("a character that no head has")
    if breaks > MOST_FIELDS:
        raise HTTPInputError("too many header lines")
    first, *lines = head.decode("latin-1").split("\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        raise HTTPInputError("not a request line of HTTP/1")
    fields: dict[str, list[str]] = {}
    for each in lines:
        name, colon, value = each.partition(":")
        if not colon:
            raise HTTPInputError("a line without a colon")
        name = spelled(name) if len(name) <= KEPT_NAME else spelled.__wrapped__(name)
        if name in fields:
            fields[name].append(value.strip(" \t"))
        else:
            fields[name] = [value.strip(" \t")]
    return RequestStartLine(*line.groups()), Headers(fields)
