"""Both carriers on real sockets, on the loop of the standard library and on the one that serves in production."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

import pytest
import uvloop
from tornado.web import Application, RequestHandler, stream_request_body

from server.bootstrap.serve import carrier
from server.config.settings import Settings
from server.connection_budget import ConnectionBudget
from server.http.connections import Acceptor

Kind = Literal["own", "tornado"]
LARGE = 5 << 20  # bytes: more than the sockets' buffers take
GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"


@stream_request_body
class Echo(RequestHandler):
    """Answers with what it was sent, piece by piece. `seen`: what it heard."""

    seen: list[str]

    def initialize(self, seen: list[str]) -> None:
        self.seen, self.pieces = seen, bytearray()

    def data_received(self, chunk: bytes) -> None:
        self.pieces += chunk

    async def post(self) -> None:
        data = bytes(self.pieces)
        for at in range(0, len(data), 1 << 16):
            self.write(data[at : at + (1 << 16)])
            await self.flush()

    def get(self) -> None:
        self.write(f"{self.request.remote_ip} {self.request.protocol} {self.request.version}")

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self.seen.append("left")


class Large(RequestHandler):
    """An answer that is larger than what may wait for a client."""

    def get(self) -> None:
        self.write(b"x" * LARGE)


class Slow(Echo):
    """Waits until its client has left."""

    async def get(self) -> None:  # type: ignore[override]  # Tornado takes both
        self.seen.append("asked")
        while "left" not in self.seen:
            await asyncio.sleep(0.001)


class Served:
    """A carrier that listens."""

    def __init__(self, kind: Kind) -> None:
        self.seen: list[str] = []
        row = {"seen": self.seen}
        application = Application([("/", Echo, row), ("/large", Large), ("/slow", Slow, row)])
        self.server = carrier(application, Settings(transport=kind))
        self.budget = ConnectionBudget(100)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.listening.getsockname()[:2], limit=1 << 20)

    async def until(self, true: Callable[[], bool]) -> None:
        """Return as soon as this is so."""
        async with asyncio.timeout(10):
            while not true():
                await asyncio.sleep(0.001)


@asynccontextmanager
async def served(kind: Kind) -> AsyncIterator[Served]:
    it = Served(kind)
    acceptor = Acceptor([it.listening], it.server, it.budget)
    acceptor.start()
    try:
        yield it
    finally:
        acceptor.close()
        await it.server.close_all_connections()
        await it.until(lambda: it.budget.open == 0)


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The head of the next answer, and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b"Transfer-Encoding" not in head:
        length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
        return head, await reader.readexactly(length)
    body = bytearray()
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    assert await reader.readexactly(2) == b"\r\n"
    return head, bytes(body)


Play = Callable[[Served], Awaitable[None]]
PLAYS: dict[str, Play] = {}


def play(scene: Play) -> Play:
    PLAYS[scene.__name__] = scene
    return scene


@play
async def an_upload_comes_back_whole(it: Served) -> None:
    reader, writer = await it.connect()
    body = bytes(range(251)) * (LARGE // 251)
    for framed in (b"Content-Length: %d\r\n\r\n%b" % (len(body), body), chunks(body)):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\n" + framed)
        _, came = await answer(reader)
        assert came == body
    writer.close()


def chunks(body: bytes) -> bytes:
    pieces = [body[at : at + 100_000] for at in range(0, len(body), 100_000)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return b"Transfer-Encoding: chunked\r\n\r\n" + framed


@play
async def pipelined_requests_are_answered_in_order(it: Served) -> None:
    reader, writer = await it.connect()
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"
    writer.write(b"".join(post + b"%d" % n + GET % b"" for n in range(4)))
    for n in range(4):
        assert (await answer(reader))[1] == b"%d" % n
        assert (await answer(reader))[1] == b"127.0.0.1 http HTTP/1.1"
    writer.close()


@play
async def the_old_version_is_answered_and_closed_or_kept_as_it_asks(it: Served) -> None:
    reader, writer = await it.connect()
    writer.write(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    head, body = await answer(reader)
    assert (b"Connection: Keep-Alive" in head, body) == (True, b"127.0.0.1 http HTTP/1.0")
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await answer(reader))[1] == body
    assert await reader.read() == b""
    writer.close()


@play
async def a_large_answer_waits_for_its_reader(it: Served) -> None:
    reader, writer = await it.connect()
    writer.write(GET % b"large" + GET % b"")
    await asyncio.sleep(0.02)
    assert len((await answer(reader))[1]) == LARGE
    assert (await answer(reader))[1].startswith(b"127.0.0.1")
    writer.close()


@play
async def who_leaves_is_noticed_at_once(it: Served) -> None:
    for end in ("close", "reset", "half"):
        it.seen.clear()
        _, writer = await it.connect()
        writer.write(GET % b"slow")
        await it.until(lambda: it.seen == ["asked"])
        if end == "close":
            writer.close()
        elif end == "reset":
            writer.transport.abort()
        else:
            writer.write_eof()
        await it.until(lambda: it.seen == ["asked", "left"])
        writer.close()
    await it.until(lambda: it.budget.open == 0)


@play
async def connections_count_as_long_as_they_last(it: Served) -> None:
    there = [await it.connect() for _ in range(20)]
    await it.until(lambda: it.budget.open == 20)
    for _, writer in there:
        writer.close()
    await it.until(lambda: it.budget.open == 0)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("kind", ["own", "tornado"])
@pytest.mark.parametrize("name", PLAYS)
def test_both_carriers(name: str, kind: Kind, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def acted() -> None:
        async with served(kind) as it:
            await PLAYS[name](it)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(acted())
