"""The cost of carrying HTTP: our transport beside Tornado's server, in one run: `python -m bench.transport`.

The same Application answers on both, and the clients run in other processes. Rounds are interleaved and medians shown,
so that a busy machine disturbs both alike. "head" is what reading one request's head costs, beside the same by llhttp.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import httptools
import uvloop
from tornado.httputil import HTTPHeaders, parse_request_start_line
from tornado.web import Application, RequestHandler, stream_request_body

from server.bootstrap.serve import carrier
from server.config.settings import Settings
from server.connection_budget import ConnectionBudget
from server.http.connections import Acceptor
from server.http.transport.head import RequestHeaders, _spelled, read_head

Kind = Literal["own", "tornado"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ITSELF = (sys.executable, "-m", "bench.transport")
REQUESTS, PIECES, CONNECTIONS, HEADS = 3000, 10_000, 1000, 5000
PIECE = b'data: {"choices":[{"index":0,"delta":{"content":"word"}}]}\n\n'.ljust(200, b" ")
FIELDS = (
    b"Host: 127.0.0.1:8080\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n"
    b"Content-Type: application/json\r\nUser-Agent: OpenAI/Python 2.8.1\r\nX-Stainless-Lang: python\r\n"
    b"X-Stainless-Package-Version: 2.8.1\r\nX-Stainless-OS: Linux\r\nX-Stainless-Arch: x64\r\n"
    b"X-Stainless-Runtime: CPython\r\nX-Stainless-Runtime-Version: 3.11.7\r\nX-Stainless-Async: false\r\n"
    b"Authorization: Bearer fg_0123456789abcdef0123456789abcdef\r\nx-stainless-retry-count: 0"
)
POST = b"POST / HTTP/1.1\r\n" + FIELDS + b"\r\nContent-Length: 20\r\n\r\n" + b"x" * 20
GET = b"GET /%b HTTP/1.1\r\n" + FIELDS + b"\r\n\r\n"


@stream_request_body
class Small(RequestHandler):
    """Takes a small body and gives a small answer."""

    def data_received(self, chunk: bytes) -> None:
        pass

    def post(self) -> None:
        self.write(b"x" * 300)


class Pieces(RequestHandler):
    """A stream of small pieces, each in a turn of its own."""

    async def get(self) -> None:
        for _ in range(PIECES):
            self.write(PIECE)
            await self.flush()
            await asyncio.sleep(0)


class Open(RequestHandler):
    """A stream that has begun and goes on."""

    async def get(self) -> None:
        self.write(PIECE)
        await self.flush()
        await asyncio.sleep(60)


class Serving:
    """A carrier on a port of its own."""

    def __init__(self, kind: Kind) -> None:
        listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        listening.setblocking(False)
        self.port = listening.getsockname()[1]
        application = Application([("/", Small), ("/pieces", Pieces), ("/open", Open)], log_function=lambda _: None)
        Acceptor([listening], carrier(application, Settings(transport=kind)), ConnectionBudget(100_000)).start()

    async def cpu(self, what: str) -> float:
        """Seconds of processor time that this process uses while a client does something."""
        client = await asyncio.create_subprocess_exec(
            *ITSELF, what, str(self.port), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert client.stdin is not None
        assert client.stdout is not None
        await client.stdout.readline()
        gc.collect()
        before = time.process_time()
        client.stdin.write(b"\n")
        await client.stdout.readline()
        used = time.process_time() - before
        client.stdin.close()
        await client.wait()
        return used


async def costs(rounds: int) -> None:
    """Print the processor time of requests and of pieces."""
    serving = {kind: Serving(kind) for kind in KINDS}
    for what, count in (("requests", REQUESTS), ("pieces", PIECES)):
        found: dict[Kind, list[float]] = {kind: [] for kind in KINDS}
        for _ in range(rounds):
            for kind in KINDS:
                found[kind].append(1e6 * await serving[kind].cpu(what) / count)
        own, other = (statistics.median(found[kind]) for kind in KINDS)
        print(f"us of CPU per {what[:-1]}: own {own:.1f}, tornado {other:.1f}, ratio {other / own:.2f}")


async def memory(kind: Kind, what: str) -> None:
    """Print the bytes of a connection: of memory that this process holds more than before."""
    serving = Serving(kind)
    await serving.cpu("requests")  # what the first ones load is not of the others
    gc.collect()
    before = resident()
    client = await asyncio.create_subprocess_exec(
        *ITSELF, what, str(serving.port), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert client.stdin is not None
    assert client.stdout is not None
    await client.stdout.readline()
    gc.collect()
    print(f"bytes per connection, {what}, {kind}: {(resident() - before) // CONNECTIONS}")
    client.stdin.close()
    await client.wait()


def resident() -> int:
    """Bytes of this process that are in memory."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


# Heads


class _Fields:
    def __init__(self) -> None:
        self.found: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.found.append((name, value))


def by_llhttp(head: bytes) -> HTTPHeaders:
    """The same headers, by httptools."""
    fields, named = _Fields(), dict[str, list[str]]()
    httptools.HttpRequestParser(fields).feed_data(head + b"\r\n\r\n")
    for name, value in fields.found:
        named.setdefault(_spelled(name.decode("latin-1")), []).append(value.decode("latin-1"))
    return RequestHeaders(named)


def by_tornado(head: bytes) -> HTTPHeaders:
    """The same headers, by Tornado."""
    first, _, fields = head.decode("latin-1").partition("\r\n")
    parse_request_start_line(first)
    return HTTPHeaders.parse(fields)


def heads(rounds: int) -> None:
    """Print what reading a head costs."""
    head = POST.partition(b"\r\n\r\n")[0]
    readers: dict[str, Callable[[bytes], object]] = {"own": read_head, "llhttp": by_llhttp, "tornado": by_tornado}
    found: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, read in readers.items():
            before = time.process_time()
            for _ in range(HEADS):
                read(head)
            found[name].append(1e6 * (time.process_time() - before) / HEADS)
    print("us of CPU per head:", ", ".join(f"{name} {statistics.median(found[name]):.1f}" for name in found))


# The client's process


def client(what: str, port: int) -> None:
    """Do it, with a line on standard output before it and behind it."""
    if what in ("idle", "open"):
        there = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
        for each in there:
            each.sendall(POST if what == "idle" else GET % b"open")
            each.recv(1 << 16)
        print("ready", flush=True)
        sys.stdin.readline()
        return
    with socket.create_connection(("127.0.0.1", port)) as connection:
        print("ready", flush=True)
        sys.stdin.readline()
        if what == "requests":
            for _ in range(REQUESTS):
                connection.sendall(POST)
                connection.recv(1 << 16)
        else:
            connection.sendall(GET % b"pieces")
            end = b""
            while not end.endswith(b"\r\n0\r\n\r\n"):
                end = end[-7:] + connection.recv(1 << 20)
        print("done", flush=True)
        sys.stdin.readline()


def main(arguments: list[str]) -> None:
    """Measure, or be a part of it."""
    if not arguments or arguments[0].isdigit():
        rounds = int(arguments[0]) if arguments else 5
        heads(rounds)
        asyncio.Runner(loop_factory=uvloop.new_event_loop).run(costs(rounds))
        for what in ("idle", "open"):
            for kind in KINDS:
                subprocess.run([*ITSELF, kind, what], check=True)
    elif arguments[0] in KINDS:
        asyncio.Runner(loop_factory=uvloop.new_event_loop).run(memory(arguments[0], arguments[1]))
    else:
        client(arguments[0], int(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
