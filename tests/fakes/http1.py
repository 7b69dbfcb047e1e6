"""HTTP/1.1 by hand, so that the fake upstream can misbehave at the level of bytes.

A `Connection` collects bytes until a whole request is there, hands it to `serve`, and goes on with the next one
(keep-alive; what arrives during an answer waits). It reads for its whole life, also during an answer: that is how it
notices within one turn of the loop that its client has gone, and `serve` is cancelled then.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
REASONS |= {402: "Payment Required", 429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway"}
REASONS |= {503: "Service Unavailable", 529: "Overloaded"}

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived; the names of headers are in lower case, in their order, duplicates kept."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    query: str = ""

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        return next((value for key, value in self.headers if key == name), None)


class Connection(asyncio.Protocol):
    """One client's connection. `left_at` is the loop's time at which the client was seen to have gone, else None."""

    def __init__(
        self,
        serve: Callable[[Connection, Request], Awaitable[None]],
        on_made: Callable[[Connection], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self.left_at: float | None = None
        self.closing = False
        self._serve = serve
        self._on_made = on_made
        self._on_lost = on_lost
        self._buffer = bytearray()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    async def write(self, data: bytes) -> None:
        """Write and wait until the client keeps up; what is counted as written was at least taken by the system."""
        self.transport.write(data)
        await self._writable.wait()

    def close(self) -> None:
        """End the connection politely (FIN after what was written)."""
        self.closing = True
        self.transport.close()

    def reset(self) -> None:
        """End the connection rudely (RST; what the client has not read yet is lost)."""
        self.closing = True
        raw: socket.socket = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def _answer_requests(self) -> None:
        try:
            while not self.closing:
                request = await self._next_request()
                await self._serve(self, request)
                if request.header("connection") == "close":
                    self.close()
        except Exception:
            self.reset()
            raise

    async def _next_request(self) -> Request:
        while (taken := take_request(self._buffer)) is None:
            self._arrived.clear()
            await self._arrived.wait()
        return taken

    def _client_left(self) -> None:
        if self.left_at is None and not self.closing:
            self.left_at = self._loop.time()
            self.transport.abort()
        self.task.cancel()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one, but does not inherit
        self._loop = asyncio.get_running_loop()
        self.task = self._loop.create_task(self._answer_requests())
        self._on_made(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._arrived.set()

    def eof_received(self) -> None:
        self._client_left()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client_left()
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()


def take_request(buffer: bytearray) -> Request | None:
    """Remove one whole request from the front of the buffer; None while it is incomplete."""
    head_end = buffer.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    first, *lines = bytes(buffer[:head_end]).decode("latin-1").split("\r\n")
    headers = tuple((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    taken = _take_body(buffer, head_end + 4, dict(headers))
    if taken is None:
        return None
    body, end = taken
    del buffer[:end]
    method, target, _ = first.split(" ")
    path, _, query = target.partition("?")
    return Request(method, path, headers, body, query)


def _take_body(buffer: bytearray, start: int, headers: dict[str, str]) -> tuple[bytes, int] | None:
    """The body that starts there, and where it ends in the buffer."""
    if headers.get("transfer-encoding") == "chunked":
        return _take_chunks(buffer, start)
    end = start + int(headers.get("content-length", "0"))
    return (bytes(buffer[start:end]), end) if len(buffer) >= end else None


def _take_chunks(buffer: bytearray, at: int) -> tuple[bytes, int] | None:
    body = b""
    while (line_end := buffer.find(b"\r\n", at)) >= 0:
        size = int(buffer[at:line_end], 16)
        start, at = line_end + 2, line_end + 4 + size
        if len(buffer) < at:
            return None
        if size == 0:
            return body, at
        body += buffer[start : start + size]
    return None


def head(status: int, headers: Headers) -> bytes:
    """The bytes of a response's head."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; an empty one ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
