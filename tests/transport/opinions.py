"""How others read the same bytes: h11, llhttp and Tornado. Each gives the requests that it finds, up to its doubt."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import h11
import httptools
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

from tests.transport.memory import Message, Recorder


def read_by_h11(data: bytes) -> list[Message]:
    """Each request on a connection of its own: h11 keeps none of HTTP/1.0, and wants no empty line between two."""
    messages: list[Message] = []
    with suppress(h11.RemoteProtocolError):
        while data := data.removeprefix(b"\r\n"):
            connection = h11.Connection(h11.SERVER)
            connection.receive_data(data)
            message = _next_of_h11(connection)
            if message is None:
                break
            messages.append(message)
            data = connection.trailing_data[0]
    return messages


def _next_of_h11(connection: h11.Connection) -> Message | None:
    asked, body = None, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA or event is h11.PAUSED:
            return None
        if isinstance(event, h11.Request):
            asked = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert asked is not None
            headers = tuple((name.decode(), value.decode("latin-1")) for name, value in asked.headers)
            return Message(asked.method.decode(), asked.target.decode("latin-1"), headers, bytes(body))


class _OfLlhttp:
    """What llhttp calls. The first request is enough: a parser of httptools cannot be stopped between two."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._target, self._body = b"", bytearray()
        self._headers: list[tuple[str, str]] = []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        target = self._target.decode("latin-1")
        self.messages.append(Message("", target, tuple(self._headers), bytes(self._body)))


def read_by_llhttp(data: bytes) -> Message | None:
    """The first request, without its method. None also where httptools reads no body because of an `Upgrade` header."""
    found = _OfLlhttp()
    parser = httptools.HttpRequestParser(found)
    with suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
        for at in range(len(data)):  # a byte at a time, so that what follows the first request is no error of it
            parser.feed_data(data[at : at + 1])
            if found.messages:
                break
    return found.messages[0] if found.messages and not parser.should_upgrade() else None


async def read_by_tornado(data: bytes) -> list[Message]:
    """The requests that Tornado's own server finds, with the same application behind it."""
    recorder = Recorder()
    server = HTTPServer(recorder, max_header_size=32 << 10, max_body_size=100_000)
    here, there = socket.socketpair()
    here.setblocking(False)
    there.setblocking(False)
    server.handle_stream(IOStream(there), ("192.0.2.1", 1))
    there_is_room = asyncio.get_running_loop().sock_sendall(here, data)
    with suppress(ConnectionError):
        await there_is_room
    for _ in range(2 + 2 * data.count(b"HTTP/1")):
        before = len(recorder.messages)
        for _ in range(12):
            await asyncio.sleep(0)
        if len(recorder.messages) == before:
            break
    here.close()
    await server.close_all_connections()
    return recorder.messages
