"""Reads one HTTP/1.1 answer after another from the bytes of a connection. It does no I/O.

llhttp does the parsing, with none of its leniencies: two lengths, a length beside chunks, a chunk size that is no plain
hexadecimal number, a bare line feed or carriage return, a folded header: all end the connection. Some answers that
llhttp takes are refused here, because two programs could differ about their end: a `Transfer-Encoding` that is not
exactly `chunked`, or in HTTP/1.0; a version other than 1.0 and 1.1; a status below 100; 101, which was not asked for.

Everything is bounded: the head in bytes and headers (trailers and interim answers among them), and what may come
without bringing a byte of the body, such as chunk extensions.

How an answer ends (RFC 9112 6.3): HEAD, 204 and 304 have no body; `chunked` ends with its last chunk; a length is a
length; otherwise the end of the connection is the end of the body, if it was a clean one.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from multidict import CIMultiDict

from server.httpclient.errors import ConnectionDropped, MalformedAnswer

MOST_HEAD = 64 << 10  # bytes of an answer's head, its trailers and what it says before
MOST_HEADERS = 256
MOST_IDLE_BYTES = 64 << 10  # that bring no byte of a body, in a row
SWITCHING = 101


class AnswerReader:
    """The answer that comes. `pieces` holds the body's bytes that have come; its reader empties the list.

    llhttp appends to this list itself: an upstream sends each event of a stream as a chunk, and a hundred at once.
    """

    __slots__ = (
        "_bodiless",
        "_head_size",
        "_idle",
        "_interim",
        "_parser",
        "_until_end",
        "complete",
        "has_head",
        "headers",
        "keep_alive",
        "on_body",
        "pieces",
        "size",
        "status",
    )

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append  # the parser looks this up once
        self._parser = HttpResponseParser(self)
        self.begin(bodiless=False)

    def begin(self, *, bodiless: bool) -> None:
        """The next answer is to come; `bodiless`: to a HEAD, which has no body whatever it says."""
        self._bodiless = bodiless
        self._interim = self._until_end = False
        self._head_size = self._idle = 0
        self.status = 0
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.has_head = self.complete = False
        self.keep_alive = False  # after it, the connection may carry another one
        self.pieces.clear()
        self.size = 0  # bytes in `pieces`

    def take(self) -> bytes:
        """All that has come of the body since the last time; empty if nothing has."""
        pieces = self.pieces
        taken = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.size = 0
        return taken

    def feed(self, data: bytes) -> None:
        """Bytes have come. Raises MalformedAnswer; the connection cannot be used any more then."""
        if self.complete:  # what follows an answer was not asked for
            self.keep_alive = False
            return
        self._idle += len(data)
        before = len(self.pieces)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.keep_alive = False
            if not self.complete:
                raise MalformedAnswer from None
        if len(self.pieces) > before:
            self.size += sum(map(len, self.pieces[before:]))
            self._idle = 0
        if self._idle > MOST_IDLE_BYTES and not self.complete:
            raise MalformedAnswer

    def end(self) -> None:
        """The connection has ended cleanly. Raises ConnectionDropped if the answer had not."""
        self.keep_alive = False
        if not self.complete and not (self.has_head and self._until_end):
            raise ConnectionDropped
        self.complete = True

    # The callbacks of llhttp; an exception in one of these is an error of the parser.

    def on_message_begin(self) -> None:
        if self.complete:
            raise MalformedAnswer

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value) + 4
        if self._head_size > MOST_HEAD or len(self.headers) >= MOST_HEADERS:
            raise MalformedAnswer
        if not self.has_head:  # a trailer is counted and has no meaning here
            self.headers.add(name.decode("latin-1"), value.rstrip(b" \t").decode("latin-1"))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0") or self.status < 100 or self.status == SWITCHING:
            raise MalformedAnswer
        if self.status < 200:
            self._interim = True
            self.headers.clear()
            return
        coding = self.headers.getall("Transfer-Encoding", ())
        if coding and (version != "1.1" or len(coding) > 1 or coding[0].lower() != "chunked"):
            raise MalformedAnswer
        self._until_end = not coding and "Content-Length" not in self.headers
        self.has_head, self._idle = True, 0
        self.complete = self._bodiless

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
            return
        self.keep_alive = self._parser.should_keep_alive() and not self._bodiless
        self.complete = True
