"""An upstream that is too fast to be what is measured: `python -m bench.mock PORT [CERTIFICATE KEY]`, until killed.

It parses as little as it can: the end of the head, Content-Length, and from the prompt `chunks=N every=SECONDS` for a
stream; at 0 seconds it sends as fast as its socket takes it. A plain answer is 1 KB of JSON; a stream's chunk is an
event of 170 bytes; the usage comes when asked for.
"""

from __future__ import annotations

import asyncio
import re
import resource
import ssl
import sys
from typing import Any, cast

import orjson

PLAIN_BYTES = 1024
CHUNK_BYTES = 170
BURST = 100  # chunks in one write of a stream that is as fast as it can be
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
        self._left, self._paused = 0, False

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
        self._left = 0
        if self._timer:
            self._timer.cancel()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._left and not self._every:
            self._burst()

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
        if self._every:
            self._next_chunk()
        else:
            self._burst()

    def _next_chunk(self) -> None:
        if self._left == 0:
            self._transport.write(self._end)
            return
        self._left -= 1
        self._transport.write(CHUNK)
        self._due += self._every
        self._timer = self._loop.call_at(self._due, self._next_chunk)

    def _burst(self) -> None:
        """What the transport takes now; a turn of the loop for each write, so that no connection starves others."""
        some = min(self._left, BURST)
        self._left -= some
        self._transport.write(CHUNK * some + (b"" if self._left else self._end))
        if self._left and not self._paused:
            self._timer = self._loop.call_later(0, self._burst)


async def _serve(port: int, certificate: list[str]) -> None:
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Mock, "127.0.0.1", port, backlog=4096, ssl=context)
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    import uvloop

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2:]))


if __name__ == "__main__":
    main()
