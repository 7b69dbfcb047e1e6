"""A refusal is always heard, though its request's body may still be on its way.

A server that closes a connection over bytes that it has not read resets it, and a client that still sends sees
"connection error" in place of the answer. Two things are done about it, here and nowhere else:

* a *small* body is read first (`is_read_first`): one that is announced to be small, or that comes in chunks, whose
  length is not known. Then the connection serves on. If more comes than is small, or it takes too long, it is
  answered all the same, at once;
* every answer that goes out before its body has come ends in a *lingering close* (`Lingering`, as in nginx and Apache):
  our half of the connection is closed behind the answer, and what still comes is read and dropped, up to a number of
  bytes and of seconds. Then the client has finished sending, reads the answer, and closes.

A client that waits to be allowed to send (`Expect: 100-continue`) is refused without reading: it sends nothing then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from tornado.concurrent import future_add_done_callback
from tornado.httputil import HTTPConnection, HTTPHeaders, RequestStartLine, ResponseStartLine
from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from server.http.bodies import announced_length

SMALL_BODY = 64 << 10  # bytes that are read even of a request which is refused already
READ_FIRST_SECONDS = 3.0  # that a refusal waits for them


def is_read_first(headers: Mapping[str, str]) -> bool:
    """Whether a refusal waits until the body has been read."""
    length = announced_length(headers)
    return "Expect" not in headers and is_well_framed(headers) and (length is None or length <= SMALL_BODY)


def is_well_framed(headers: Mapping[str, str]) -> bool:
    """Whether the end of the body can be found; Tornado refuses the others itself, and closes."""
    if "Transfer-Encoding" in headers:
        return headers["Transfer-Encoding"].lower() == "chunked" and "Content-Length" not in headers
    return announced_length(headers) is not None


@dataclass(frozen=True, slots=True)
class Linger:
    """How much is read behind an answer, and for how long."""

    most: int = 32 << 20  # bytes
    seconds: float = 15.0


class ClosableConnection(Protocol):
    """A connection of either carrier. Its stream has `closed`, `close`, `half_close` and `read_bytes`."""

    stream: Any

    def set_close_callback(self, callback: Callable[[], None] | None) -> None: ...

    def write_headers(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders, chunk: bytes | None = None
    ) -> asyncio.Future[None]: ...

    def write(self, chunk: bytes) -> asyncio.Future[None]: ...

    def close(self) -> None: ...


class Lingering(HTTPConnection):
    """Takes the place of the connection of a request that is answered before its body has come.

    The connection below never hears that the answer is finished: it goes on reading the body, and is closed here.
    """

    def __init__(self, below: ClosableConnection, headers: MutableMapping[str, str], linger: Linger) -> None:
        self._below, self._linger = below, linger
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None
        self._written: asyncio.Future[None] | None = None
        self._draining: asyncio.Task[None] | None = None
        headers.pop("Expect", None)  # else Tornado would allow the body behind the answer

    @property
    def stream(self) -> object:
        return self._below.stream

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        self._below.set_close_callback(callback)

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        self._written = self._below.write_headers(start_line, headers, chunk)
        return self._written

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        self._written = self._below.write(chunk)
        return self._written

    def finish(self) -> None:
        """The answer is written: close our half behind it, and read on for a while."""
        self._timer = asyncio.get_running_loop().call_later(self._linger.seconds, self.close)
        if self._written is not None:
            future_add_done_callback(self._written, lambda written: self._half_close())

    def body_ended(self) -> None:
        """The body has come, or the client has gone. Bytes behind it are read, too: they would reset the connection."""
        if not self._below.stream.closed() and self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        elif self._below.stream.closed():
            self.close()

    async def _drain(self) -> None:
        stream = self._below.stream
        with suppress(StreamClosedError):
            while True:
                self.drop(len(await stream.read_bytes(1 << 16, partial=True)))
                await asyncio.sleep(0)  # others have their turn
        self.close()

    def drop(self, length: int) -> None:
        """So many bytes have come behind the answer."""
        self._dropped += length
        if self._dropped > self._linger.most:
            self.close()

    def close(self) -> None:
        """Enough, or the client has gone. Twice is once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._below.close()

    def _half_close(self) -> None:
        stream = self._below.stream
        if stream is not None and not stream.closed():
            stream.half_close()


def hang_up(handler: RequestHandler) -> None:
    """Close the connection: the client has gone, or the bytes that were sent cannot be mended."""
    handler._finished = True
    connection = handler.request.connection
    stream = connection.stream if connection else None  # type: ignore[attr-defined]  # HTTP/1.1, as all here is
    if stream is not None:
        stream.close()


def without_delay(handler: RequestHandler) -> None:
    """Nagle's algorithm would hold small events back for 25 ms; tornado turns it off only in `finish`."""
    connection = handler.request.connection
    stream = connection.stream if connection else None  # type: ignore[attr-defined]
    if stream is not None:
        stream.set_nodelay(True)
