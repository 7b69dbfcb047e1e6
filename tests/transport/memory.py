"""A connection without a socket: what is sent to the transport, and what it sends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)

from server.http.transport.client import ClientConnection, Context
from server.http.transport.server import ConnectionBounds, TransportServer

BOUNDS = ConnectionBounds(most_body=100_000)


class Message(NamedTuple):
    """A request as a server has read it; the names of the headers are in lower case."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Recorder(HTTPServerConnectionDelegate):
    """An application that keeps what it is asked, and answers all of it with nothing."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        return _Recording(self, request_conn)


class _Recording(HTTPMessageDelegate):
    def __init__(self, recorder: Recorder, connection: HTTPConnection) -> None:
        self._recorder, self._connection = recorder, connection
        self._body = bytearray()

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)
        self._request = HTTPServerRequest(connection=self._connection, start_line=start_line, headers=headers)
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._body += chunk
        return None

    def finish(self) -> None:
        request = self._request
        assert request.method is not None
        assert request.uri is not None
        headers = tuple((name.lower(), value) for name, value in request.headers.get_all())
        self._recorder.messages.append(Message(request.method, request.uri, headers, bytes(self._body)))
        self._connection.write_headers(ResponseStartLine("", 404, "Not Found"), HTTPHeaders({"Content-Length": "0"}))
        self._connection.finish()


class MemoryTransport(asyncio.Transport):
    """Keeps what is written, in the pieces of each system call."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.reading, self.closing, self.aborted, self.half_closed = True, False, False, False

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def write(self, data: Any) -> None:
        assert not self.half_closed
        self.writes.append(bytes(data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.half_closed = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Line:
    """One connection to an application, on the loop that runs."""

    def __init__(self, application: HTTPServerConnectionDelegate, bounds: ConnectionBounds = BOUNDS) -> None:
        self.server, self.transport = TransportServer(application, bounds), MemoryTransport()
        self.client = ClientConnection(self.server, Context(("192.0.2.1", 1), "192.0.2.1"))
        self.client.connection_made(self.transport)

    def send(self, data: bytes) -> None:
        """The client sends this; as much of it is read as the server's buffer takes at once."""
        while data and not self.transport.closing:
            room = self.client.get_buffer(-1)
            piece, data = data[: len(room)], data[len(room) :]
            room[: len(piece)] = piece
            self.client.buffer_updated(len(piece))

    def lose(self) -> None:
        """The connection has gone."""
        self.client.connection_lost(None)
        self.server.stop()


async def turns(count: int = 6) -> None:
    """Let so many turns of the loop go by."""
    for _ in range(count):
        await asyncio.sleep(0)


async def read_by_ours(data: bytes, cut: Callable[[bytes], list[bytes]] = lambda data: [data]) -> list[Message]:
    """The requests that our transport finds in what a client sends."""
    recorder = Recorder()
    line = Line(recorder)
    for piece in cut(data):
        line.send(piece)
    for _ in range(len(data)):
        before = len(recorder.messages)
        await turns(3)
        if len(recorder.messages) == before:
            break
    line.lose()
    return recorder.messages
