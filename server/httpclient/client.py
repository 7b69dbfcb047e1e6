"""An HTTP/1.1 client for what costs money: one request, one answer, and a socket that closes at once.

    async with await client.send("POST", url, headers, body, patience) as response:
        while piece := await response.read():
            ...

It follows no redirect, keeps no cookie, unpacks nothing and repeats nothing. Connections are kept for the next request
to the same server by the same way. One timer looks at all connections about once a second: it ends waits that last for
too long and closes what has been kept for too long. So no read sets a timer, and a time-out is exact to one look.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Self

from server.httpclient.addresses import Origin, Target, target_of
from server.httpclient.connecting import connect, refused
from server.httpclient.connection import Connection, Taker
from server.httpclient.egress import Egress
from server.httpclient.errors import ConnectionDropped, HttpFailure
from server.httpclient.kept import KeptConnections
from server.httpclient.request_head import request_head

PROXY_WANTS_CREDENTIALS = 407
_KEPT_FOR = re.compile(r"(?:^|[\s,])timeout=(\d{1,6})", re.IGNORECASE)
Place = tuple[Origin, Egress]


class Response:
    """An answer: its head, and its body as it comes. It must be closed; closing it early closes the socket.

    What follows on the connection belongs to another request: nothing can be read here then.
    """

    __slots__ = ("_client", "_closed", "_connection", "_patience", "_place", "headers", "status")

    def __init__(self, client: HttpClient, connection: Connection, place: Place, patience: float) -> None:
        self._client, self._connection, self._place, self._patience = client, connection, place, patience
        self._closed = False
        self.status = connection.answer.status
        self.headers: Mapping[str, str] = connection.answer.headers  # case-insensitive

    def read(self) -> Coroutine[None, None, bytes]:
        """The bytes that have come, at least one; empty at the end. Raises HttpFailure."""
        if self._closed:
            raise ConnectionDropped
        return self._connection.read(self._patience)

    def pour(self, taker: Taker) -> Coroutine[None, None, None]:
        """Call `taker` with small pieces as they come, until it returns False or `read` has something to say.

        Raises ConnectionDropped if it is closed.
        """
        if self._closed:
            raise ConnectionDropped
        return self._connection.pour(self._patience, taker)

    def close(self) -> None:
        """Keep the connection if the answer is complete, else close it. Twice is once."""
        if not self._closed:
            self._closed = True
            self._client.done(self._place, self._connection, self.headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class HttpClient:
    """`connect_seconds`: to connect; `idle`: between two pieces of an answer; `kept`: for unused connections."""

    def __init__(self, connect_seconds: float, idle: float, kept: float, glance: float) -> None:
        self._connect_seconds, self._idle, self._glance = connect_seconds, idle, glance
        self._kept: KeptConnections[Connection] = KeptConnections(kept)
        self._busy: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        patience: float,
        egress: Egress,
        anew: bool = False,
        keep: bool = True,
    ) -> Response:
        """Send a request; returns when the head of its answer is there, within `patience` seconds.

        Raises ValueError if it cannot be sent, else HttpFailure. `anew`: over a new connection. `keep`: for a next
        request.
        """
        target = target_of(url)
        place = target.origin, egress
        head = _head(method, target, headers, len(body), egress)
        connection = await self._connection(place, anew=anew)
        connection.keep = keep
        self._busy.add(connection)
        self._watch()
        try:
            connection.start(head, body, bodiless=method == "HEAD")
            await connection.head(patience)
            _insist_on_server(target, egress, connection)
        except BaseException as error:
            self._busy.discard(connection)
            connection.abort()
            if isinstance(error, HttpFailure):
                error.untouched = connection.untouched
            raise
        return Response(self, connection, place, self._idle)

    def done(self, place: Place, connection: Connection, headers: Mapping[str, str]) -> None:
        """A request has ended, in whatever way."""
        self._busy.discard(connection)
        if not connection.release():
            return
        now, said = asyncio.get_running_loop().time(), _kept_for(headers.get("Keep-Alive"))
        if not self._kept.keep(place, connection, now, said):
            connection.abort()

    async def close(self) -> None:
        """Close all connections."""
        for connection in [*self._kept.all(), *self._busy]:
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.sleep(0)  # the loop closes the sockets

    async def _connection(self, place: Place, *, anew: bool) -> Connection:
        while not anew and (kept := self._kept.take(place)) is not None:
            if not kept.closed:
                return kept
        return await connect(*place, self._connect_seconds)

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._glance, self._look)

    def _look(self) -> None:
        self._timer = None
        for connection in list(self._busy):
            connection.look(self._glance)
        for connection in self._kept.expired(asyncio.get_running_loop().time()):
            connection.abort()
        if self._busy or len(self._kept):
            self._watch()


def _head(method: str, target: Target, headers: Mapping[str, str], length: int, egress: Egress) -> bytes:
    """A plain request through a proxy is the proxy's to read; one by TLS is not."""
    proxy = None if target.origin.secure else egress.proxies.of(target.origin)
    return request_head(method, target, headers, length, None if proxy is None else proxy.authorization)


def _insist_on_server(target: Target, egress: Egress, connection: Connection) -> None:
    """That a proxy wants other credentials is no answer of the server."""
    asked = connection.answer.status == PROXY_WANTS_CREDENTIALS and not target.origin.secure
    if asked and egress.proxies.of(target.origin) is not None:
        raise refused(PROXY_WANTS_CREDENTIALS)


def _kept_for(said: str | None) -> float | None:
    """For how long a server says it keeps a connection, less a second in which it may be closing it already."""
    found = None if said is None else _KEPT_FOR.search(said)
    return None if found is None else max(0.0, int(found[1]) - 1.0)
