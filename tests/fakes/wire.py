"""A wire between a gateway and its database: it can be cut, be slow, or lose what comes back.

async with Wire(27017) as wire:       # wire.port leads to 27017 on this machine
    wire.delay = 0.5                  # seconds before each piece of an answer is passed on
    wire.loss = 0.3                   # of the answers: what was asked has arrived, and the connection breaks
    await wire.cut()                  # nobody is there any more
    await wire.mend()                 # under the same port
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random
from typing import Self

PIECE = 64 << 10  # bytes


class Wire:
    """`seed` decides which answers are lost. With `whole=False` it begins as a cut one."""

    def __init__(self, target: int, *, whole: bool = True, seed: int = 1) -> None:
        self.port, self.delay, self.loss = 0, 0.0, 0.0
        self._target, self._whole, self._dice = target, whole, Random(seed)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def mend(self) -> None:
        """Be there, under the same port as before."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break all connections, and take no new ones."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.mend()
        if not self._whole:
            await self.cut()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.cut()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both ways, until one of them ends; then the connection is reset on both sides."""
        ends = [writer]
        with suppress(OSError):
            try:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
                ends.append(far_writer)
                ways = [asyncio.create_task(self._there(reader, far_writer)),
                        asyncio.create_task(self._back(far_reader, writer))]  # fmt: skip
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
            finally:
                for end in ends:
                    end.transport.abort()

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE):
            if self._dice.random() < self.loss:
                return
            await asyncio.sleep(self.delay)
            writer.write(piece)
            await writer.drain()
