"""One request and its answer: what Tornado's handlers know of the connection below them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPOutputError, RequestStartLine, ResponseStartLine

from server.http.transport.answer_head import AnswerHead, answer_head, keeps_alive

if TYPE_CHECKING:
    from server.http.transport.client import ClientConnection

COPIED = 64 << 10  # bytes: a larger piece is not copied behind its head


class Exchange(HTTPConnection):
    """Writes one answer. It is Tornado's `HTTPConnection`; errors in the answer's length close the connection."""

    __slots__ = (
        "_close_callback", "_head", "_keeps_alive", "_wishes", "asked", "body_seconds", "context", "headers", "most",
        "outgoing", "received", "stream",
    )  # fmt: skip

    def __init__(self, stream: ClientConnection, asked: RequestStartLine, headers: HTTPHeaders) -> None:
        self.stream, self.outgoing, self.context = stream, stream.outgoing, stream.context
        self.asked, self.headers = asked, headers
        self.most, self.body_seconds = stream.server.bounds.most_body, stream.server.bounds.body_seconds
        self._wishes = headers.get("Connection", "").lower()
        self._keeps_alive = keeps_alive(asked, self._wishes)
        self._head: AnswerHead | None = None
        self._close_callback: Callable[[], None] | None = None
        self.received = False  # whether the whole request has come

    @property
    def begun(self) -> bool:
        """Whether something of the answer has been written."""
        return self._head is not None

    @property
    def room(self) -> bool:
        """Whether a piece can be written for which nothing has to be waited for."""
        return not (self.outgoing.paused or self.outgoing.closed)

    @property
    def waits_to_send(self) -> bool:
        """Whether the client wants to be asked for the body."""
        return self.headers.get("Expect", "").lower() == "100-continue" and self.asked.version == "HTTP/1.1"

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Set the callback for a client that leaves while its answer is being made."""
        self._close_callback = callback

    def go_ahead(self) -> None:
        """The handler has seen the head, and wants the body: now, and not when its task says so a turn later."""
        self.stream.go_ahead()

    def set_max_body_size(self, max_body_size: int) -> None:
        """Bytes of this request's body. In time before the body is read, as in `prepare`."""
        self.most = max_body_size

    def set_body_timeout(self, timeout: float) -> None:
        """Seconds for this request's body. In time as above."""
        self.body_seconds = timeout

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        """Write the head, and the first piece behind it. Raises ValueError, HTTPOutputError."""
        assert isinstance(start_line, ResponseStartLine)
        last = not self._keeps_alive
        self._head = answer_head(self.asked, self._wishes, start_line, headers, last)
        self._keeps_alive = not self._head.last
        piece = self._framed(chunk) if chunk else b""
        if len(piece) <= COPIED:
            whole = piece and self._head.left == 0
            return (self.outgoing.write_now if whole else self.outgoing.write)(self._head.data + piece)
        self.outgoing.write(self._head.data)
        return self.outgoing.write(piece)

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Write a piece. The result is done when there is room for more. Raises HTTPOutputError."""
        return self.outgoing.write(self._framed(chunk))

    def write_now(self, chunk: bytes) -> asyncio.Future[None]:
        """Write a piece behind which nothing follows in this turn of the loop. Else as `write`."""
        return self.outgoing.write_now(self._framed(chunk))

    def finish(self) -> None:
        """The answer is whole. Raises HTTPOutputError if it is shorter than it says."""
        head = self._head
        if head is not None and head.left and not self.stream.closed():
            self.stream.close()
            raise HTTPOutputError(f"{head.left} bytes less than announced")
        self.stream.answered(b"0\r\n\r\n" if head is not None and head.chunked else b"", last=not self._keeps_alive)

    def close(self) -> None:
        """Close the connection."""
        self.stream.close()

    def client_left(self) -> None:
        """The connection is gone while the answer is being made."""
        callback, self._close_callback = self._close_callback, None
        if callback is not None:
            callback()

    def _framed(self, chunk: bytes) -> bytes:
        head = self._head
        if head is None or not chunk:
            return chunk
        if head.left is not None:
            head.left -= len(chunk)
            if head.left < 0:
                self.stream.close()
                raise HTTPOutputError("more bytes than announced")
        return b"%x\r\n%b\r\n" % (len(chunk), chunk) if head.chunked else chunk
