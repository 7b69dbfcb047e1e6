"""The load: closed loops that wait for each answer before they ask again, and streams that are only counted."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import cast

LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
PROMPT = "Explain in a few sentences why a fair queue gives each person the same share. " * 6


class LoadError(Exception):
    """The target did not answer as it should; there is nothing to measure."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go to."""

    port: int
    token: str
    model: str

    def plain(self) -> bytes:
        """A request of about 0.6 KB for a plain answer."""
        return self._request({"max_tokens": 100}, PROMPT)

    def streamed(self, chunks: int, every: float) -> bytes:
        """A request for a stream of so many chunks, one each so many seconds."""
        return self._request({"stream": True, "max_tokens": 100}, f"{PROMPT} chunks={chunks} every={every:.6f}")

    def _request(self, options: dict[str, object], prompt: str) -> bytes:
        body = json.dumps({"model": self.model, "messages": [{"role": "user", "content": prompt}]} | options).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self.token}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(slots=True)
class Loop:
    """What a closed loop measured; latencies in seconds."""

    seconds: float
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency (seconds) that this share of the requests did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def closed_loop(target: Target, connections: int, seconds: float) -> Loop:
    """Keep so many connections busy with plain requests for so long."""
    loop = asyncio.get_running_loop()
    result = Loop(seconds)
    failed: asyncio.Future[None] = loop.create_future()
    asking = [_Asking(target.plain(), result.latencies, failed) for _ in range(connections)]
    for each in asking:
        await loop.create_connection(lambda each=each: each, "127.0.0.1", target.port)  # type: ignore[misc]
    started = time.perf_counter()
    await asyncio.wait([failed], timeout=seconds)
    result.seconds = time.perf_counter() - started
    for each in asking:
        each.stop()
    if failed.done():
        failed.result()
    if not result.latencies:
        raise LoadError("no answer at all")
    return result


class _Asking(asyncio.Protocol):
    """One connection of a closed loop."""

    def __init__(self, request: bytes, latencies: list[float], failed: asyncio.Future[None]) -> None:
        self._request = request
        self._latencies = latencies
        self._failed = failed
        self._buffer = b""
        self._stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, but does not inherit
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._complete():
            return
        self._latencies.append(time.perf_counter() - self._asked_at)
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            self._fail(self._buffer)
        elif not self._stopped:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._stopped:
            self._fail(b"the connection was closed")

    def stop(self) -> None:
        self._stopped = True
        self._transport.abort()

    def _ask(self) -> None:
        self._buffer = b""
        self._asked_at = time.perf_counter()
        self._transport.write(self._request)

    def _complete(self) -> bool:
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        length = LENGTH.search(self._buffer, 0, head_end)
        if length is None:
            return self._buffer.endswith(b"0\r\n\r\n")
        return len(self._buffer) >= head_end + 4 + int(length[1])

    def _fail(self, words: bytes) -> None:
        if not self._failed.done():
            self._failed.set_exception(LoadError(words[:300].decode("latin-1")))


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

    async def open(self, more: int, every: float, per_second: float) -> None:
        """Open so many more, one chunk each `every` seconds, at this pace, and wait until all of them flow."""
        request = self._target.streamed(100_000, every)
        begun = time.perf_counter()
        for number in range(more):
            await asyncio.sleep(begun + number / per_second - time.perf_counter())
            listening = _Listening(self, request)
            await asyncio.get_running_loop().create_connection(
                lambda listening=listening: listening,  # type: ignore[misc]
                "127.0.0.1",
                self._target.port,
            )
            self._open.append(listening)
        await self._all_flow()

    async def _all_flow(self) -> None:
        async with asyncio.timeout(30):
            while self.count < len(self._open):
                self.check()
                await asyncio.sleep(0.05)

    def check(self) -> None:
        """LoadError if a stream was refused or broke."""
        if self.failure:
            raise LoadError(self.failure.decode("latin-1"))

    async def close(self) -> None:
        """Leave all of them."""
        for each in self._open:
            each.leave()
        await asyncio.sleep(0.5)


class _Listening(asyncio.Protocol):
    """The client of one stream."""

    def __init__(self, streams: Streams, request: bytes) -> None:
        self._streams = streams
        self._request = request
        self._tail = b""
        self.started = self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, but does not inherit
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.started and not data.startswith(b"HTTP/1.1 200"):
            self._streams.failure = data[:300]
        self.started = True
        # An event ends with an empty line, whose two bytes may arrive apart.
        self._streams.chunks += (self._tail + data).count(b"\n\n")
        self._tail = data[-1:] if not data.endswith(b"\n\n") else b""

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended:
            self._streams.failure = b"a stream was closed"
        self.ended = True

    def leave(self) -> None:
        self.ended = True
        self._transport.abort()
