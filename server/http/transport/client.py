"""One client's connection: requests come in one after the other, and the answers go out in the same order.

While a request is being answered no more is read than may wait here; then the system's own buffers fill, and the client
waits. Nothing has a timer of its own: a connection that waits for its client has a `deadline`, and the server looks at
all of them now and then.

A connection that ends before its client has sent everything is not closed over unread bytes, which would reset it and
destroy the answer: our half is closed, and what still comes is dropped for a moment (`Phase.DROPPING`). A refused
upload has more patience than that (`refusals.Lingering`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from tornado.httputil import HTTPInputError, HTTPMessageDelegate
from tornado.iostream import StreamClosedError

from server.http.transport.exchange import Exchange
from server.http.transport.framing import ChunkedBody, length_of
from server.http.transport.head import HeadSearch, read_head
from server.http.transport.outgoing import Outgoing

if TYPE_CHECKING:
    from server.http.transport.server import TransportServer

log = logging.getLogger("fairgate")

BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
DROPPED_BYTES, DROPPED_SECONDS = 1 << 20, 2.0  # behind our last word, where no handler has asked for more
NEVER = float("inf")


class Phase(Enum):
    """The thing that a connection waits for."""

    HEAD = "the head of a request"
    ASKING = "the handler, which says whether it wants the body"
    BODY = "the body"
    TAKING = "the handler, which takes a piece of the body"
    ANSWERING = "the answer"
    FLUSHING = "the client, which has yet to read the last answer"
    DRAINING = "the reader of the bytes behind the last answer"
    DROPPING = "the client's end, behind our last word"
    CLOSED = "nothing"


@dataclass(frozen=True, slots=True)
class Context:
    """The facts of a connection that its requests need, as in Tornado. `remote_ip`: of the socket's other end."""

    address: tuple[Any, ...]
    remote_ip: str
    protocol: str = "http"


class ClientConnection(asyncio.BufferedProtocol):
    """Reads requests and hands them to the application. To handlers it is the `stream` of their connection."""

    __slots__ = (
        "_awaited", "_buffer", "_chunks", "_delegate", "_drain", "_dropped", "_exchange", "_left", "_phase",
        "_reading_paused", "_search", "_transport", "context", "deadline", "outgoing", "server",
    )  # fmt: skip

    def __init__(self, server: TransportServer, context: Context) -> None:
        self.server, self.context = server, context
        self.deadline = NEVER  # on the loop's clock
        self._phase = Phase.HEAD
        self._buffer = bytearray()  # what has come and is not read yet
        self._search = HeadSearch(server.bounds.most_header)
        self._left = 0  # bytes of the body that are still to come
        self._chunks: ChunkedBody | None = None  # where it comes in chunks
        self._exchange: Exchange | None = None
        self._delegate: HTTPMessageDelegate | None = None
        self._awaited: asyncio.Future[Any] | None = None  # what the handler does meanwhile
        self._reading_paused = False
        self._drain: asyncio.Future[bytes] | None = None  # gets what comes next
        self._dropped = 0

    # Called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.outgoing = Outgoing(self.server, self._transport)
        self.server.joined(self)
        self._wait_for(self.server.bounds.header_seconds)

    def get_buffer(self, sizehint: int) -> memoryview:
        """One for all connections: what comes is taken out of it before anything else happens."""
        return self.server.inbox

    def buffer_updated(self, nbytes: int) -> None:
        data = self.server.inbox[:nbytes]
        if self._phase is Phase.BODY and self._chunks is None and nbytes <= self._left and not self._buffer:
            self._go_on(bytes(data))
        else:
            self._buffer += data
            self._go_on()

    def eof_received(self) -> None:
        """The client has left: half a connection is none, as with Tornado."""
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self.server.left(self)

    def pause_writing(self) -> None:
        self.outgoing.paused = True

    def resume_writing(self) -> None:
        self.outgoing.resume()
        if self._phase is Phase.FLUSHING:
            self._next_request()

    # Called by handlers, by the names of Tornado's streams

    def closed(self) -> bool:
        """Whether the connection is over for its request: nothing more is written or read."""
        return self._phase in (Phase.CLOSED, Phase.DROPPING)

    def half_close(self) -> None:
        """Close our half behind what was written; the client's is still read."""
        self.outgoing.half_close()

    def close(self) -> None:
        """Close behind the written bytes. Those who wait for the client get the error a moment later."""
        if self._phase is not Phase.CLOSED:
            self._phase = Phase.CLOSED
            self._wait_for(self.server.bounds.write_seconds)
            self.outgoing.close()
            self.server.loop.call_soon(self._end)

    def set_nodelay(self, value: bool) -> None:
        """Nothing: small pieces always go out at once (`TransportServer.take`)."""

    def read_bytes(self, num_bytes: int, partial: bool = True) -> asyncio.Future[bytes]:
        """The next bytes behind the last answer. Fails with StreamClosedError at the end."""
        self._drain = self.server.loop.create_future()
        if self._phase is Phase.CLOSED:
            self._drain.set_exception(StreamClosedError())
        else:
            self._phase = Phase.DRAINING
            self._go_on()
        return self._drain

    # Called by the exchange and the server

    def answered(self, ending: bytes, last: bool) -> None:
        """The answer is whole with this behind it. `last`: no request is read behind it."""
        if self.closed():
            return
        self.outgoing.write_last(ending)
        if self._phase is not Phase.ANSWERING:
            self._leave()  # to find the next request, the rest of this one would have to be read
        elif last:
            self.close()
        elif self.outgoing.paused:
            self._phase = Phase.FLUSHING
            self._wait_for(self.server.bounds.write_seconds)
        else:
            self._next_request()

    def go_ahead(self) -> None:
        """The handler, which was asked, wants the body."""
        if self._phase is Phase.ASKING and self._awaited is not None:
            self._awaited.remove_done_callback(self._go_on_behind)
            self._awaited = None
            self._go_on()

    def abort(self) -> None:
        """Close at once, whatever was not written yet."""
        self._transport.abort()

    # The ways through the phases

    def _wait_for(self, seconds: float) -> None:
        self.deadline = self.server.loop.time() + seconds

    def _next_request(self) -> None:
        self._exchange = self._delegate = self._chunks = None
        self._phase = Phase.HEAD
        self._wait_for(self.server.bounds.kept_seconds)
        if self._buffer:
            self.server.loop.call_soon(self._go_on)
        else:
            self._hold_back()

    def _go_on(self, piece: bytes = b"") -> None:
        """Read as far as is possible now. `piece`: of the body."""
        try:
            if piece:
                self._left -= len(piece)
                self._hand_over(piece)
            while self._step():
                pass
        except HTTPInputError:
            self._refuse()
        except Exception as error:  # a fault of ours, outside of what a handler answers
            log.error("a connection is closed: %s", type(error).__name__)
            self.abort()
        self._hold_back()

    def _step(self) -> bool:
        """Do the next thing; whether there may be another one."""
        phase = self._phase
        if phase is Phase.HEAD:
            return self._read_head()
        if phase is Phase.ASKING:
            return self._is_ready() and self._expect_body()
        if phase is Phase.TAKING and self._is_ready():
            self._phase = phase = Phase.BODY
        if phase is Phase.BODY:
            return self._read_body()
        if phase is Phase.DRAINING:
            self._give_to_drain()
        elif phase in (Phase.DROPPING, Phase.CLOSED):
            self._drop()
        return False

    def _hold_back(self) -> None:
        """Read no more from the socket than may wait here."""
        full = len(self._buffer) > self.server.bounds.most_header and self._phase is not Phase.HEAD
        if full != self._reading_paused and not self._transport.is_closing():
            self._reading_paused = full
            if full:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _read_head(self) -> bool:
        lines = self._search.take(self._buffer)
        if lines is None:
            if self._search.too_long:
                self.abort()
            elif self._buffer:  # it has begun: from here on it has the time of a head, and no longer that of a pause
                self._begun_at()
            return False
        start_line, headers = read_head(lines)
        self._exchange = Exchange(self, start_line, headers)
        self._delegate = self.server.application.start_request(self, self._exchange)
        self._phase, self.deadline = Phase.ASKING, NEVER
        self._await(self._delegate.headers_received(start_line, headers))
        return True

    def _begun_at(self) -> None:
        if not self._search.begun:
            self._search.begun = True
            self.deadline = min(self.deadline, self.server.loop.time() + self.server.bounds.header_seconds)

    def _await(self, task: Awaitable[None] | None) -> None:
        """Wait for the handler, if it has not done this already."""
        if task is not None:
            self._awaited = asyncio.ensure_future(task)
            if not self._awaited.done():
                self._awaited.add_done_callback(self._go_on_behind)

    def _go_on_behind(self, awaited: asyncio.Future[Any]) -> None:
        if self.closed():
            self._tell()
        else:
            self._go_on()

    def _is_ready(self) -> bool:
        """Whether the handler has done what is waited for. Raises what it has raised."""
        if self._awaited is None:
            return True
        if not self._awaited.done():
            return False
        awaited, self._awaited = self._awaited, None
        awaited.result()
        return True

    def _expect_body(self) -> bool:
        """The handler wants the body, or has refused it and wants it all the same."""
        exchange = self._exchange
        assert exchange is not None
        length = length_of(exchange.asked, exchange.headers)
        if length is None:
            self._chunks = ChunkedBody(exchange.most)
        elif length > exchange.most:
            raise HTTPInputError("a body that is too long")
        if length != 0:
            self._wait_for(exchange.body_seconds)
            if exchange.waits_to_send and not self._buffer:
                self.outgoing.write_last(CONTINUE)
        self._left, self._phase = length or 0, Phase.BODY
        return True

    def _read_body(self) -> bool:
        """Hand over what has come of it."""
        if self._chunks is not None:
            data = self._chunks.take(self._buffer)
            ended = self._chunks.ended
            if not ended and not self._chunks.starved:
                self.server.loop.call_soon(self._go_on)
        else:
            data = bytes(self._buffer[: self._left])
            del self._buffer[: self._left]
            self._left -= len(data)
            ended = not self._left
        if data:
            self._hand_over(data)
        if not ended or self._phase is not Phase.BODY:
            return False
        self._body_has_come()
        return True

    def _hand_over(self, data: bytes) -> None:
        assert self._delegate is not None
        self._phase = Phase.TAKING
        self._await(self._delegate.data_received(data))
        if self._phase is Phase.TAKING and self._is_ready():
            self._phase = Phase.BODY

    def _body_has_come(self) -> None:
        assert self._exchange is not None
        assert self._delegate is not None
        self._phase, self.deadline = Phase.ANSWERING, NEVER
        self._exchange.received = True
        self._delegate.finish()

    def _give_to_drain(self) -> None:
        if self._buffer and self._drain is not None and not self._drain.done():
            self._drain.set_result(bytes(self._buffer))
            self._buffer.clear()

    def _drop(self) -> None:
        self._dropped += len(self._buffer)
        self._buffer.clear()
        if self._dropped > DROPPED_BYTES:
            self.abort()

    # Ends

    def _refuse(self) -> None:
        """Answer 400 to bytes that are no request, and end the connection."""
        if self._exchange is None or not self._exchange.begun:
            self.outgoing.write_last(BAD_REQUEST)
        self._leave()

    def _leave(self) -> None:
        """Our last word has been said."""
        if not self.closed():
            self._phase = Phase.DROPPING
            self._wait_for(DROPPED_SECONDS)
            self.outgoing.half_close()
            self.server.loop.call_soon(self._tell)
            self._drop()

    def _end(self) -> None:
        """The connection is gone, or goes as soon as the client has taken what was written."""
        self._phase = Phase.CLOSED
        self._wait_for(self.server.bounds.write_seconds)
        self.outgoing.end()
        if self._drain is not None and not self._drain.done():
            self._drain.set_exception(StreamClosedError())
        self._tell()

    def _tell(self) -> None:
        """The request hears that its connection is gone: once, and not while its handler is asked for something."""
        exchange, delegate = self._exchange, self._delegate
        if exchange is None or delegate is None or (self._awaited is not None and not self._awaited.done()):
            return
        self._exchange = self._delegate = None
        if exchange.received:
            exchange.client_left()
        else:
            delegate.on_connection_close()
