"""Streams of which only the arrivals are counted: many that stay open, and many that begin at once."""

from __future__ import annotations

import asyncio
import time
from typing import cast

from bench.load import LoadError, Target

FLOW_SECONDS = 12.0  # that streams may take until all of them have received something
RESTS_SECONDS = 0.5  # after they have been left


class Streams:
    """Streams that are open at the same time; `chunks` counts the events that have arrived on all of them."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._open: list[_Listening] = []
        self.chunks = 0
        self.failure = b""

    @property
    def count(self) -> int:
        """Streams that have received something and are still open."""
        return sum(each.started and not each.ended for each in self._open)

    async def open(self, more: int, every: float, per_second: float, chunks: int = 100_000) -> None:
        """Open so many more, one chunk each `every` seconds, at this pace, and wait until all of them flow."""
        request = self._target.streamed(chunks, every)
        begun = time.perf_counter()
        for number in range(more):
            await asyncio.sleep(begun + number / per_second - time.perf_counter())
            (await self._connected()).ask(request)
        await self._all_flow()

    async def start_at_once(self, number: int) -> list[float]:
        """Ask for so many streams in one moment; the seconds until each one's first byte.

        The connections stand before. Such a stream sends a chunk each tenth of a second.
        """
        request = self._target.streamed(100_000, 0.1)
        listening = [await self._connected() for _ in range(number)]
        await asyncio.sleep(RESTS_SECONDS)
        for each in listening:
            each.ask(request)
        await self._all_flow()
        return [each.first_byte_after for each in listening]

    def check(self) -> None:
        """LoadError if a stream was refused or broke."""
        if self.failure:
            raise LoadError(self.failure.decode("latin-1"))

    async def close(self) -> None:
        """Leave all of them."""
        for each in self._open:
            each.leave()
        self._open.clear()
        await asyncio.sleep(RESTS_SECONDS)

    async def _connected(self) -> _Listening:
        listening = _Listening(self)
        try:
            await asyncio.get_running_loop().create_connection(lambda: listening, "127.0.0.1", self._target.port)
        except OSError as error:
            raise LoadError(f"no connection: {error}") from None
        self._open.append(listening)
        return listening

    async def _all_flow(self) -> None:
        try:
            async with asyncio.timeout(FLOW_SECONDS):
                while self.count < len(self._open):
                    self.check()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise LoadError(
                f"{self.count:,} of {len(self._open):,} streams flow after {FLOW_SECONDS:.0f} seconds"
            ) from None


class _Listening(asyncio.Protocol):
    """The client of one stream."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._tail = b""
        self.first_byte_after = 0.0
        self.started = self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, but does not inherit

    def ask(self, request: bytes) -> None:
        self._asked_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self.started:
            self.first_byte_after = time.perf_counter() - self._asked_at
            if not data.startswith(b"HTTP/1.1 200"):
                self._streams.failure = data[:300]
        self.started = True
        # An event ends with an empty line, whose two bytes may arrive apart.
        self._streams.chunks += (self._tail + data).count(b"\n\n")
        self._tail = data[-1:] if not data.endswith(b"\n\n") else b""

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended:
            self._streams.failure = self._streams.failure or b"a stream was closed"
        self.ended = True

    def leave(self) -> None:
        self.ended = True
        self._transport.abort()
