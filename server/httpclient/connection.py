"""One connection to a server, by which one request after another goes out.

Its owner calls `start`, `head` and `read`; the event loop calls the rest. Nothing here sets a timer: `look` is called
now and then (`client.py`) and ends a wait that has lasted for too long. `pour` is for an answer of many small pieces:
it hands each one on within the loop's own call, so that no task has to run for it.

The body is written piece by piece as the socket takes it, without a copy, while the answer may begin already: a server
that refuses a body need not read it. Bytes are taken from the socket only as far as they are read here: more than
`HIGH` bytes that wait pause the reading, so a slow reader slows the server down.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import cast

from server.httpclient.answer_reader import AnswerReader
from server.httpclient.errors import ConnectionDropped, HttpFailure, MalformedAnswer, NoAnswerInTime

HIGH = 64 << 10  # bytes of a body that may wait here
TOGETHER = 64 << 10  # bytes of a body that go out in one write with the head
PIECE = 256 << 10  # bytes of a long body in one write
POURED = 16 << 10  # bytes that are handed on at once; for more the reader has its own turn, and others theirs
Taker = Callable[[bytes], bool]


class Connection(asyncio.Protocol):
    """A connection. `keep`: for another request; `closed`: it can carry nothing any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._reader = AnswerReader()
        self._waiter: asyncio.Future[None] | None = None
        self._taker: Taker | None = None  # of what comes, while `pour` waits
        self._failure: HttpFailure | None = None
        self._unwritten: memoryview | None = None
        self._writing_paused = self._reading_paused = False
        self._busy = False
        self._seen = False  # something of the answer
        self._quiet = self._patience = math.inf
        self._requests = 0
        self.keep, self.closed = True, False

    @property
    def answer(self) -> AnswerReader:
        return self._reader

    @property
    def untouched(self) -> bool:
        """It was kept from an earlier request, and nothing has come in answer to this one."""
        return self._requests > 1 and not self._seen

    @property
    def _written(self) -> bool:
        """All of the request has gone to the system."""
        transport = self._transport
        return self._unwritten is None and transport is not None and not transport.get_write_buffer_size()

    def start(self, head: bytes, body: bytes, *, bodiless: bool) -> None:
        """Send a request. Its answer is to be had by `head` and `read`. Raises ConnectionDropped if it is closed."""
        self._reader.begin(bodiless=bodiless)
        self._busy, self._seen, self._failure = True, False, None
        self._requests += 1
        transport = self._transport
        if transport is None or self.closed or transport.is_closing():
            raise ConnectionDropped
        if len(body) <= TOGETHER:
            transport.write(head + body if body else head)
        else:
            transport.write(head)
            self._unwritten = memoryview(body)
            self._write_on()

    async def head(self, patience: float) -> None:
        """Wait for the head of the answer. Raises HttpFailure: NoAnswerInTime when it is not there in time."""
        self._quiet, self._patience = 0.0, patience
        while not self._reader.has_head:
            if self._failure is not None:
                raise self._failure
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    async def read(self, patience: float) -> bytes:
        """The next bytes of the body; empty at its end. Raises HttpFailure when all bytes before it have been read."""
        reader = self._reader
        self._quiet, self._patience = 0.0, patience
        while not reader.pieces:
            if reader.complete:
                return b""
            if self._failure is not None:
                raise self._failure
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._reading_paused:
            self._reading_paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()
        return reader.take()

    async def pour(self, patience: float, taker: Taker) -> None:
        """Call `taker` with each small piece as it comes, until it returns False or `read` has something to say.

        What it raises is raised here. It is never called when the task that waits here was cancelled.
        """
        reader = self._reader
        self._quiet, self._patience = 0.0, patience
        if reader.pieces or reader.complete or self._failure is not None:
            return
        self._taker, self._waiter = taker, self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._taker = self._waiter = None

    def release(self) -> bool:
        """The request is over; whether the connection may carry another one. If not, its socket is closed at once."""
        self._busy = False
        clean = self._reader.complete and self._reader.keep_alive and not self._reading_paused
        if self.closed or not (self.keep and clean and self._written):
            self.abort()
            return False
        self._reader.begin(bodiless=False)
        return True

    def abort(self) -> None:
        """Close the socket now, whatever is under way: the server sees it, stops its work and bills no more."""
        self.closed, self._unwritten = True, None
        if self._transport is not None:
            self._transport.abort()

    def look(self, seconds: float) -> None:
        """So many seconds have passed since the last look. The first one of a wait does not count: it began between."""
        if self._waiter is not None:
            if self._quiet >= self._patience:
                self._fail(NoAnswerInTime())
            self._quiet += seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        if not self._busy:  # an answer that was not asked for
            self.abort()
            return
        self._seen = True
        try:
            self._reader.feed(data)
        except MalformedAnswer as failure:
            self._fail(failure)
            return
        if self._taker is not None and 0 < self._reader.size <= POURED and self._poured(self._taker):
            return
        if self._reader.size > HIGH and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self.closed = True
        if self._busy:
            try:
                self._reader.end()
            except ConnectionDropped as failure:
                self._failure = self._failure or failure
            self._wake()
        return False  # the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed, self._unwritten = True, None
        if self._busy and not self._reader.complete and self._failure is None:
            self._failure = ConnectionDropped()
        self._wake()

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._write_on()

    def _poured(self, taker: Taker) -> bool:
        """Hand on what has come; whether more may be handed on."""
        waiter, self._quiet = self._waiter, 0.0
        if waiter is None or waiter.done():  # the task has its turn next, or will never have one
            return False
        try:
            return taker(self._reader.take()) and not self._reader.complete
        except Exception as error:
            waiter.set_exception(error)
            return True

    def _write_on(self) -> None:
        while self._unwritten is not None and not self._writing_paused and self._transport is not None:
            piece, rest = self._unwritten[:PIECE], self._unwritten[PIECE:]
            self._unwritten = rest or None
            self._transport.write(piece)

    def _fail(self, failure: HttpFailure) -> None:
        self._failure = failure
        self.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
