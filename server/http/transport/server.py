"""The server of all connections: what bounds them, and the one timer that ends those whose time is over."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tornado.httputil import HTTPServerConnectionDelegate
from tornado.iostream import StreamClosedError

from server.http.transport.client import ClientConnection, Context

READ_AT_ONCE = 64 << 10  # bytes
SWEEPS = 4  # in the shortest time that anything is waited for, but
LONGEST_PAUSE = 1.0  # seconds at most between two of them


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """Bytes of a head and of a body, and seconds: for the head, between two requests, for a body, to take an answer."""

    most_header: int = 32 << 10
    most_body: int = 1 << 40
    header_seconds: float = 15.0
    kept_seconds: float = 75.0
    body_seconds: float = 30.0
    write_seconds: float = 60.0


class TransportServer:
    """Serves an application of Tornado's to connections that were accepted elsewhere."""

    closed: Callable[[str], None] = staticmethod(lambda address: None)  # hears of each that has gone

    def __init__(self, application: HTTPServerConnectionDelegate, bounds: ConnectionBounds) -> None:
        self.application, self.bounds = application, bounds
        self.loop = asyncio.get_running_loop()
        self.inbox = memoryview(bytearray(READ_AT_ONCE))
        self.written: asyncio.Future[None] = self.loop.create_future()  # what there was room for
        self.written.set_result(None)
        self._connections: set[ClientConnection] = set()
        self._beginning: set[asyncio.Task[None]] = set()
        self._all_gone = asyncio.Event()
        self._all_gone.set()
        shortest = min(bounds.header_seconds, bounds.kept_seconds, bounds.body_seconds, bounds.write_seconds)
        self._pause = min(LONGEST_PAUSE, shortest / SWEEPS)
        self._sweeping: asyncio.TimerHandle | None = None

    def take(self, connection: socket.socket, address: Any) -> None:
        """Serve a connection that was accepted. Raises OSError if it has gone already."""
        internet = connection.family in (socket.AF_INET, socket.AF_INET6)
        if internet:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = Context(address, address[0] if internet else "0.0.0.0")  # noqa: S104 - no address, as in Tornado
        task = self.loop.create_task(self._begin(connection, context))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _begin(self, connection: socket.socket, context: Context) -> None:
        try:
            await self.loop.connect_accepted_socket(lambda: ClientConnection(self, context), connection)
        except OSError:  # it has gone again
            connection.close()
            self.closed(str(context.address[0]))

    def joined(self, connection: ClientConnection) -> None:
        """A connection has begun."""
        self._connections.add(connection)
        self._all_gone.clear()
        if self._sweeping is None:
            self._sweeping = self.loop.call_later(self._pause, self._sweep)

    def left(self, connection: ClientConnection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        if not self._connections:
            self._all_gone.set()
        self.closed(str(connection.context.address[0]))

    def gone(self) -> asyncio.Future[None]:
        """The future that a writer gets for a client that has left."""
        future: asyncio.Future[None] = self.loop.create_future()
        future.set_exception(StreamClosedError())
        future.exception()  # it need not be looked at
        return future

    async def close_all_connections(self) -> None:
        """End all of them at once."""
        while self._beginning:
            await asyncio.wait(set(self._beginning))
        for each in list(self._connections):
            each.abort()
        await self._all_gone.wait()
        self.stop()

    def stop(self) -> None:
        """Look at no connection any more."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    def end_overdue(self, now: float) -> None:
        """End the connections whose time is over; `now` on the loop's clock."""
        for each in [each for each in self._connections if each.deadline <= now]:
            each.abort()

    def _sweep(self) -> None:
        self.end_overdue(self.loop.time())
        self._sweeping = self.loop.call_later(self._pause, self._sweep) if self._connections else None
