"""How a request is received: what its head decides is asked before its body is read, and no body is kept in vain.

Every handler is called before the body is read (`stream_request_body`). It authenticates the caller in `admit`, and
says in `largest_body` how much it reads. The body itself is read by `bodies.Body`; how a refusal is heard that comes
before the body has, stands in `refusals`.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Any

from tornado.web import RequestHandler, stream_request_body

from server.http.bodies import Body, announced_length
from server.http.refusals import READ_FIRST_SECONDS, SMALL_BODY, Linger, Lingering, is_read_first, is_well_framed
from server.http.services import Services
from server.http.transport.exchange import Exchange
from server.relay.admission import network_of
from server.store.base import StoreError
from server.wire.errors import AccountingUnavailable, RateLimited, Refusal, TooManyAtOnce


@stream_request_body
class ReceivingHandler(RequestHandler):
    """The part of a handler that acts before its method does."""

    services: Services
    counted = True  # in the minute of its address
    _body: Body | None = None  # None where there is none, or its head has not been looked at yet
    _refusal: Refusal | None = None  # to be said when a small body has been read
    _entered: str | None = None  # the address among whose requests it counts
    _patience: asyncio.TimerHandle | None = None  # for that

    async def prepare(self) -> None:
        """Refuse what can be refused by the head alone; else be ready for the body."""
        if self.preflight():
            return
        try:
            self._enter()
            await self.admit()
            self._body = self._expected_body()
        except Refusal as refusal:
            self._refuse_early(refusal)
        except StoreError:
            self._refuse_early(AccountingUnavailable())
        connection = self.request.connection
        if type(connection) is Exchange:
            connection.go_ahead()  # a body that has come is here before the method asks for it

    def _enter(self) -> None:
        """Count among the requests of this address: of its minute, and at once, where its connections cannot be.

        Raises RateLimited, TooManyAtOnce.
        """
        connections, requests = self.services.occupancy.connections, self.services.occupancy.requests
        if not (connections.proxied or requests.most):
            return
        address = network_of(self.address())
        wait = requests.take(address) if self.counted else 0.0
        if wait:
            refusal = RateLimited(retry_after=wait)
            refusal.limit = requests.words
            raise refusal
        if not connections.requested(address):
            raise TooManyAtOnce
        self._entered = address

    async def admit(self) -> None:
        """Authenticate the caller, and check their rights. Raises Refusal, StoreError."""

    @property
    def largest_body(self) -> int:
        """Bytes of a body that are read; 0 where none is wanted, and what comes is dropped."""
        return 0

    def body_holder(self) -> str | None:
        """The person for whom the body is held; None where the request is not of a single person."""
        return None

    def _expected_body(self) -> Body | None:
        """The reader of the body; None if there is none. Raises TooLarge, TooMuchAtOnce, BodiesFull."""
        length, most = announced_length(self.request.headers), self.largest_body
        if length == 0:
            return None
        if not most:
            return Body(None, self.services.settings.linger_bytes)
        body = Body(self.services.occupancy.bodies.open(self.body_holder(), network_of(self.address())), most)
        try:
            body.expect(length or 0)
        except Refusal:
            body.end()
            raise
        return body

    def _refuse_early(self, refusal: Refusal) -> None:
        """Refuse now, or as soon as a small body has been read."""
        if not is_read_first(self.request.headers):
            raise refusal
        self._refusal, self._body = refusal, Body(None, SMALL_BODY)
        self._patience = asyncio.get_running_loop().call_later(READ_FIRST_SECONDS, self._refuse_now)
        setattr(self, str(self.request.method).lower(), self._refuse_now)

    def _refuse_now(self, *path: str) -> None:
        if not self._finished and self._refusal is not None:
            try:
                self.turn_away(self._refusal)
            except Refusal as refusal:
                self.refuse(refusal)

    def turn_away(self, refusal: Refusal) -> None:
        """Answer a caller who may not come in."""
        raise refusal

    def data_received(self, chunk: bytes) -> None:
        """A piece of the body."""
        if isinstance(self.request.connection, Lingering):
            self.request.connection.drop(len(chunk))
        elif self._body is not None and not self._finished:
            try:
                self._body.add(chunk)
            except Refusal as refusal:
                self.refuse(self._refusal or refusal)

    def body(self) -> bytes:
        """The whole body, once."""
        return b"" if self._body is None else self._body.take()

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> asyncio.Future[None]:
        """End the answer. One that goes out before its body has come is the connection's last."""
        coming = self.request._body_future
        if not coming.done():
            self.set_header("Connection", "close")  # Tornado does not look for the next request behind an unread body
            headers, settings = self.request.headers, self.services.settings
            if announced_length(headers) != 0 and is_well_framed(headers) and not self._headers_written:
                linger = Linger(settings.linger_bytes, settings.linger_seconds)
                lingering = Lingering(self.request.connection, headers, linger)  # type: ignore[arg-type]  # HTTP/1.1
                self.request.connection = lingering
                coming.add_done_callback(lambda _: lingering.body_ended())
                setattr(self, str(self.request.method).lower(), _nothing)  # whose turn it would be after the body
        return super().finish(chunk)

    def on_finish(self) -> None:
        self.let_go()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if not self.busy:
            self.let_go()

    @property
    def busy(self) -> bool:
        """Whether the request goes on though its client may have left."""
        return False

    def let_go(self) -> None:
        """The request has ended: it holds nothing any more. Twice is once."""
        if self._patience is not None:
            self._patience.cancel()
        if self._body is not None:
            self._body.end()
        if self._entered is not None:
            self.services.occupancy.connections.answered(self._entered)
            self._entered = None

    @abstractmethod
    def preflight(self) -> bool:
        """Answer a browser that asks whether a page may use this; False if there is no such question."""

    @abstractmethod
    def refuse(self, refusal: Refusal) -> None:
        """Answer with a refusal."""

    @abstractmethod
    def address(self) -> str:
        """The caller's address, or a word for "unknown"."""


def _nothing(*path: str) -> None:
    """Everything has been said."""
