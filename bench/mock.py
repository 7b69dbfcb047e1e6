"""An upstream that is too fast to be what is measured: `python -m bench.mock` prints its port and serves until killed.

It parses as little as it can: the end of the head, Content-Length, and from the prompt `chunks=N every=SECONDS` for a
stream. A plain answer is 1 KB of JSON; a stream's chunk is an event of 170 bytes; the usage comes when asked for.
"""

from __future__ import annotations

import asyncio
import re
import resource
import sys
from typing import Any, cast

import orjson

PLAIN_BYTES = 1024
CHUNK_BYTES = 170
USAGE = {"prompt_tokens": 20, "completion_tokens": 100, "total_tokens": 120}
PACE = re.compile(rb"chunks=(\d+) every=([\d.]+)")
LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
STREAMED = re.compile(rb'"stream": *true')
WANTS_USAGE = re.compile(rb'"include_usage": *true')


def _frame(kind: str, choice: dict[str, Any] | None, usage: dict[str, int] | None) -> dict[str, Any]:
    choices = [choice] if choice else []
    frame = {"id": "chatcmpl-bench", "object": kind, "created": 1750000000, "model": "bench", "choices": choices}
    return frame | {"usage": usage} if usage else frame


def plain_answer() -> bytes:
    """A whole response of a kilobyte of JSON."""
    choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    room = PLAIN_BYTES - len(orjson.dumps(_frame("chat.completion", choice, USAGE)))
    choice["message"] = {"role": "assistant", "content": "word " * (room // 5)}
    body = orjson.dumps(_frame("chat.completion", choice, USAGE))
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _event(delta: dict[str, str], finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + orjson.dumps(_frame("chat.completion.chunk", choice, usage)) + b"\n\n"


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PLAIN = plain_answer()
CHUNK = _framed(_event({"content": "w" * (CHUNK_BYTES - len(_event({"content": ""})))}))
FINISH = _framed(_event({}, "stop"))
LAST = _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"
USAGE_EVENT = _framed(b"data: " + orjson.dumps(_frame("chat.completion.chunk", None, USAGE)) + b"\n\n")


class Mock(asyncio.Protocol):
    """One connection, kept alive."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, but does not inherit
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = LENGTH.search(self._buffer, 0, head_end)
        end = head_end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < end:
            return
        request, self._buffer = self._buffer[:end], self._buffer[end:]
        self._answer(request)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()

    def _answer(self, request: bytes) -> None:
        if request.startswith(b"GET"):
            body = b'{"object":"list","data":[{"id":"bench","object":"model","created":1,"owned_by":"bench"}]}'
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            self._transport.write(head + body)
        elif STREAMED.search(request):
            self._start_stream(request)
        else:
            self._transport.write(PLAIN)

    def _start_stream(self, request: bytes) -> None:
        pace = PACE.search(request)
        self._left, self._every = (int(pace[1]), float(pace[2])) if pace else (100, 0.01)
        self._end = FINISH + (USAGE_EVENT if WANTS_USAGE.search(request) else b"") + LAST
        self._transport.write(HEAD)
        self._due = self._loop.time()
        self._next_chunk()

    def _next_chunk(self) -> None:
        if self._left == 0:
            self._transport.write(self._end)
            return
        self._left -= 1
        self._transport.write(CHUNK)
        self._due += self._every
        self._timer = self._loop.call_at(self._due, self._next_chunk)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Mock, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    import uvloop

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(_serve())


if __name__ == "__main__":
    main()
