"""Raw servers that do exactly what a test says, a proxy that wants credentials, and a CA of our own."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from server.httpclient.client import HttpClient, Response
from server.httpclient.egress import Egress

DIRECTLY = Egress()
LENGTH = re.compile(rb"(?i)content-length: (\d+)")


@dataclass
class Served:
    """A server at work: where, and what it has seen."""

    port: int
    secure: bool
    connections: int = 0
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)  # a client has closed its connection

    def url(self, host: str = "127.0.0.1", path: str = "/v1/x") -> str:
        return f"http{'s' if self.secure else ''}://{host}:{self.port}{path}"


@dataclass
class Talk:
    """One connection as the server sees it."""

    served: Served
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """Read a request with its body; returns the head. Raises IncompleteReadError when the client has left."""
        head = await self.head()
        length = LENGTH.search(head)
        self.served.bodies.append(await self.reader.readexactly(int(length[1]) if length else 0))
        return head

    async def head(self) -> bytes:
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.served.heads.append(head)
        return head

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Return when the client has closed its end."""
        with suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass
        self.served.left.set()


Script = Callable[[Talk], Awaitable[None]]


def answering(*answers: bytes) -> Script:
    """Give these answers, one to each request of a connection, and close it then."""

    async def script(talk: Talk) -> None:
        for answer in answers:
            await talk.request()
            await talk.say(answer)

    return script


def always(answer: bytes) -> Script:
    """Give this answer to every request."""

    async def script(talk: Talk) -> None:
        while True:
            await talk.request()
            await talk.say(answer)

    return script


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Served]:
    """A server that plays the script on every connection."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await script(Talk(served, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            served.left.set()
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, host, 0, ssl=tls)
    served = Served(server.sockets[0].getsockname()[1], tls is not None)
    try:
        yield served
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Authority:
    """A CA of our own: its certificate in a file, and what a server with a certificate of it needs."""

    file: str
    server: ssl.SSLContext


def authority(folder: Path, *names: str) -> Authority:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    file = folder / "ca.pem"
    ca.cert_pem.write_to_path(file)
    return Authority(str(file), context)


@dataclass
class ProxySeen:
    """What a proxy was asked for: the request lines, and how often it refused."""

    lines: list[str] = field(default_factory=list)
    refused: int = 0


@asynccontextmanager
async def proxy(user: str, password: str) -> AsyncIterator[tuple[Served, ProxySeen]]:
    """A proxy that wants these credentials. It finds every name at 127.0.0.1."""
    wanted = b"Proxy-Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode())
    seen = ProxySeen()

    async def script(talk: Talk) -> None:
        head = await talk.head()
        seen.lines.append(line := head.split(b"\r\n")[0].decode())
        if wanted not in head.split(b"\r\n"):
            seen.refused += 1
            await talk.say(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        method, where, _ = line.split(" ")
        port = int(re.findall(r":(\d+)", where)[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if method == "CONNECT":
            await talk.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            writer.write(head)
        try:
            await asyncio.gather(_pass_on(reader, talk.writer), _pass_on(talk.reader, writer))
        finally:
            writer.transport.abort()

    async with serving(script) as served:
        yield served, seen


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def client(
    connect: float = 5.0, idle: float = 5.0, kept: float = 60.0, glance: float = 1.0
) -> AsyncIterator[HttpClient]:
    opened = HttpClient(connect, idle, kept, glance)
    try:
        yield opened
    finally:
        await opened.close()


async def body_of(
    asked: HttpClient, url: str, method: str = "POST", body: bytes = b"{}", patience: float = 5.0, **more: Egress
) -> tuple[int, bytes]:
    """Status and whole body of an answer."""
    egress = more.get("egress", DIRECTLY)
    async with await asked.send(method, url, {"X-Test": "1"}, body, patience, egress) as response:
        pieces = []
        while piece := await response.read():
            pieces.append(piece)
        return response.status, b"".join(pieces)


@asynccontextmanager
async def asking(
    script: Script, body: bytes = b"{}", patience: float = 5.0, **more: float
) -> AsyncIterator[tuple[Served, Response]]:
    """A server that plays the script, and the answer to one request to it."""
    async with (
        serving(script) as served,
        client(**more) as asked,
        await asked.send("POST", served.url(), {}, body, patience, DIRECTLY) as response,
    ):
        yield served, response
