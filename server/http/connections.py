"""The server's sockets: the acceptance of connections, their lifetimes, and the pause when there is no more room.

Tornado accepts until the system refuses, and then asks again at once, for ever: one whole processor, and a line in the
log each time. Here accepting *stops*, at the bound until a connection has gone, for want of open files for a second, as
asyncio's own servers do.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from functools import cached_property
from typing import Any, Protocol

from tornado.http1connection import HTTP1ConnectionParameters, HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPMessageDelegate
from tornado.iostream import IOStream

from server.connection_budget import ConnectionBudget
from server.relay.admission import network_of
from server.wire.errors import TooManyAtOnce
from server.wire.openai import OPENAI

log = logging.getLogger("fairgate")

AT_ONCE = 128  # connections that are accepted in one turn of the loop
REST_SECONDS = 1.0  # without accepting, for want of open files
LOG_SECONDS = 60.0  # between two lines about that
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Carrier(Protocol):
    """A server of connections, as the acceptor knows it. `closed` hears the address of each that has gone."""

    closed: Callable[[str], None]

    def take(self, connection: socket.socket, address: Any) -> None:
        """Serve a connection that was accepted. Raises OSError if it has gone already."""


class TornadoStream(IOStream):
    """Tornado's stream, which can be closed by halves."""

    def half_close(self) -> None:
        """Close our half; the client's is still read. Written bytes go out before."""
        with suppress(OSError):  # the client has gone
            self.socket.shutdown(socket.SHUT_WR)


class BoundedHTTPServer(HTTPServer):
    """Tornado's server with more patience for a connection that has proven itself, which counts its connections.

    Proxies keep connections for a minute and send the next request over one that they believe to be open. If it is
    closed here at that moment, a POST is lost. So ours last longer than theirs; a new one has less time to begin.
    """

    kept_seconds = 75.0
    closed: Callable[[str], None] = staticmethod(lambda address: None)  # hears of each that has gone

    def take(self, connection: socket.socket, address: Any) -> None:
        """Serve a connection that was accepted."""
        stream = TornadoStream(connection, max_buffer_size=self.max_buffer_size, read_chunk_size=self.read_chunk_size)
        self.handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        super().on_close(server_conn)
        assert isinstance(server_conn, HTTP1ServerConnection)
        self.closed(str(server_conn.context.address[0]))  # type: ignore[attr-defined]  # Tornado's own context

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Called as soon as a connection waits for a request: what is set here holds for the ones that follow."""
        if isinstance(server_conn, HTTP1ServerConnection):
            server_conn.params = self._kept
        return super().start_request(server_conn, request_conn)

    @cached_property
    def _kept(self) -> HTTP1ConnectionParameters:
        kept = copy(self.conn_params)
        kept.header_timeout = self.kept_seconds
        return kept


class Acceptor:
    """Accepts connections for a server while there is room for them."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        server: Carrier,
        budget: ConnectionBudget,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        self._sockets, self._server, self._budget, self._rest_seconds = sockets, server, budget, rest_seconds
        self._loop = asyncio.get_running_loop()
        self._accepting = False
        self._timer: asyncio.TimerHandle | None = None
        self._logged_at = float("-inf")
        server.closed = self._closed

    def start(self) -> None:
        if not self._accepting:
            self._accepting = True
            for each in self._sockets:
                self._loop.add_reader(each, self._accept, each)

    def accept_from(self, sockets: Sequence[socket.socket]) -> None:
        """Accept from these from now on, and from no others."""
        self._stop()
        self._sockets = sockets
        self.start()

    def close(self) -> None:
        """Accept no connection any more."""
        self._stop()
        if self._timer is not None:
            self._timer.cancel()
        self._server.closed = lambda address: self._budget.closed(network_of(address))
        for each in self._sockets:
            each.close()

    def _stop(self) -> None:
        if self._accepting:
            self._accepting = False
            for each in self._sockets:
                self._loop.remove_reader(each)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            if self._budget.full:
                self._budget.full_times += 1
                self._stop()
                return
            try:
                connection, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                self._rest(error)
                return
            self._take(connection, address)

    def _take(self, connection: socket.socket, address: Any) -> None:
        name = network_of(str(address[0]))
        if not self._budget.connected(name):
            turn_away(connection)
            return
        try:
            connection.setblocking(False)
            self._server.take(connection, address)
        except OSError:  # it has been closed again, as by a port scan
            connection.close()
            self._budget.closed(name)

    def _rest(self, error: OSError) -> None:
        """The system has no more files for us: try again in a moment."""
        if error.errno not in EXHAUSTED:
            raise error
        self._budget.short_times += 1
        self._stop()
        self._timer = self._loop.call_later(self._rest_seconds, self.start)
        if self._loop.time() - self._logged_at >= LOG_SECONDS:
            self._logged_at = self._loop.time()
            log.warning("no connection can be accepted at the moment: %s", errno.errorcode.get(error.errno or 0))

    def _closed(self, address: str) -> None:
        self._budget.closed(network_of(address))
        if self._timer is None or self._timer.when() <= self._loop.time():
            self.start()


def turn_away(connection: socket.socket) -> None:
    """Say once that this address has enough connections. Whatever it has sent is not read."""
    body = OPENAI.body(TooManyAtOnce(), "")
    head = (
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 5\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with suppress(OSError):
        connection.setblocking(False)
        connection.send(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
    connection.close()
