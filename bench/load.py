"""The load: closed loops that wait for each answer before they ask again, and a load of a steady rate."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
LONGER_SECONDS = 8.0  # that a load waits for its first answer, beyond its time
PROMPT = "Explain in a few sentences why a fair queue gives each person the same share. " * 6


class LoadError(Exception):
    """The target did not answer as it should; there is nothing to measure."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go to, and with which headers beside the usual ones."""

    port: int
    token: str
    model: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def plain(self, characters: int = len(PROMPT)) -> bytes:
        """A request for a plain answer; of about 0.6 KB unless a longer prompt is wanted."""
        return self._request({"max_tokens": 100}, (PROMPT * (characters // len(PROMPT) + 1))[:characters])

    def streamed(self, chunks: int, every: float) -> bytes:
        """A request for a stream of so many chunks, one each so many seconds; 0 is as fast as it can."""
        return self._request({"stream": True, "max_tokens": 100}, f"{PROMPT} chunks={chunks} every={every:.6f}")

    def asking(self, model: str) -> Target:
        """The same for another model."""
        return replace(self, model=model)

    def _request(self, options: dict[str, object], prompt: str) -> bytes:
        body = json.dumps({"model": self.model, "messages": [{"role": "user", "content": prompt}]} | options).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self.token}\r\nContent-Length: {len(body)}\r\n"
        )
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"{head}{more}\r\n".encode() + body


@dataclass(slots=True)
class Loop:
    """What a load measured; latencies in seconds."""

    seconds: float
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency (seconds) that this share of the requests did not exceed."""
        return percentile(self.latencies, share)


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def closed_loop(target: Target, connections: int, seconds: float, request: bytes | None = None) -> Loop:
    """Keep so many connections busy for so long with a request: a plain one unless another is given."""
    return await _loop(target, request or target.plain(), connections, seconds, 0.0)


async def steady(target: Target, connections: int, seconds: float, per_second: float) -> Loop:
    """Plain requests at this rate in all, over so many connections."""
    return await _loop(target, target.plain(), connections, seconds, connections / per_second)


async def _loop(target: Target, request: bytes, connections: int, seconds: float, every: float) -> Loop:
    loop = asyncio.get_running_loop()
    result = Loop(seconds)
    failed: asyncio.Future[None] = loop.create_future()
    asking = [_Asking(request, every, result.latencies, failed) for _ in range(connections)]
    started = time.perf_counter()
    try:
        for each in asking:
            await loop.create_connection(lambda each=each: each, "127.0.0.1", target.port)  # type: ignore[misc]
        started = time.perf_counter()
        await asyncio.wait([failed], timeout=seconds)
        while not (result.latencies or failed.done()) and time.perf_counter() < started + seconds + LONGER_SECONDS:
            await asyncio.wait([failed], timeout=0.1)
    except OSError as error:
        raise LoadError(f"no connection: {error}") from None
    finally:
        result.seconds = time.perf_counter() - started
        for each in asking:
            each.stop()
    if failed.done():
        failed.result()
    if not result.latencies:
        raise LoadError("no answer at all")
    return result


class _Asking(asyncio.Protocol):
    """One connection: it asks again when it has the answer, and not before `every` seconds have passed."""

    def __init__(self, request: bytes, every: float, latencies: list[float], failed: asyncio.Future[None]) -> None:
        self._request = request
        self._every = every
        self._latencies = latencies
        self._failed = failed
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, but does not inherit
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._complete():
            return
        now = time.perf_counter()
        self._latencies.append(now - self._asked_at)
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            self._fail(bytes(self._buffer))
        elif self._every > (passed := now - self._asked_at):
            asyncio.get_running_loop().call_later(self._every - passed, self._ask)
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._stopped:
            self._fail(b"the connection was closed")

    def stop(self) -> None:
        self._stopped = True
        if self._transport:
            self._transport.abort()

    def _ask(self) -> None:
        if self._stopped or self._transport is None:
            return
        self._buffer.clear()
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
