"""A client made of a bare socket: it can leave at any moment, and it reads only when it is told to."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

from tests.faults.asks import Ask
from tests.gateways import Running

LITTLE = 4096  # bytes that a client's system takes on behalf of a client that does not read


class Client:
    """One connection to a gateway, and one request on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.left_at: float | None = None

    @classmethod
    async def ask(cls, running: Running, ask: Ask, token: str | None = None) -> Self:
        """Connect and send the request; the answer waits to be read."""
        address = urlsplit(running.url)
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (address.hostname, address.port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=LITTLE)
        body = ask.body
        head = (
            f"POST {ask.path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token or running.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        return cls(reader, writer)

    async def read_until(self, marker: bytes) -> bytes:
        """What has come by the time that the marker has."""
        seen = b""
        while marker not in seen:
            piece = await self._reader.read(LITTLE)
            assert piece, f"the answer ended without {marker!r}: {seen!r}"
            seen += piece
        return seen

    async def read_all(self) -> bytes:
        """What comes until the gateway closes the connection, however rudely."""
        seen = b""
        with suppress(ConnectionError):
            while piece := await self._reader.read(1 << 20):
                seen += piece
        return seen

    async def leave(self) -> None:
        """Close the connection politely; what was not read makes it a reset."""
        if self.left_at is None:
            self.left_at = asyncio.get_running_loop().time()
        self._writer.close()
        with suppress(ConnectionError):  # the gateway may have been quicker
            await self._writer.wait_closed()
