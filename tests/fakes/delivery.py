"""How an answer gets onto the wire, in one piece or not, while the record counts what was really written."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import replace

from tests.fakes.fates import Delivery, Ending, Raw
from tests.fakes.http1 import Connection, Headers, chunk, head
from tests.fakes.ledger import Record
from tests.fakes.model import Event, Reply
from tests.fakes.refusals import Said


class Courier:
    """Carries one answer to one client."""

    def __init__(self, connection: Connection, record: Record, changed: Callable[[], None]) -> None:
        self._connection = connection
        self._record = record
        self._changed = changed
        self._per_byte: float | None = None

    async def refuse(self, said: Said, headers: Headers) -> None:
        """Write an error answer."""
        plain = [("content-type", said.content_type), ("content-length", str(len(said.body)))]
        own = [(name, value) for name, value in headers if name not in dict(said.headers)]
        await self._begin(said.status, plain + said.headers + own)
        await self._write(said.body)

    async def misbehave(self, raw: Raw) -> None:
        """Write exactly these bytes and end."""
        if raw.data:
            await self._write(raw.data)
        await self._end(raw.ending, b"")

    async def answer(self, reply: Reply, delivery: Delivery, headers: Headers) -> None:
        """Write an answer as its delivery demands."""
        self._per_byte = delivery.per_byte
        if delivery.gate is not None and (delivery.gate_after == 0 or not reply.events):
            await delivery.gate.wait()
        await asyncio.sleep(delivery.first_byte)
        if reply.events:
            await self._stream(reply, delivery, headers)
        else:
            await self._plain(reply, delivery, headers)

    async def _plain(self, reply: Reply, delivery: Delivery, headers: Headers) -> None:
        body = gzip.compress(reply.body) if delivery.gzip else reply.body
        if delivery.error_after is not None:
            body = reply.error_event.rpartition(b"data: ")[2].strip()
        cut = delivery.stop_after is not None and delivery.ending is not Ending.COMPLETE
        encoding = [("content-encoding", "gzip")] if delivery.gzip else []
        plain = [("content-type", reply.content_type), ("content-length", str(len(body))), *encoding]
        await self._begin(200, plain + headers)
        self._count_input(reply)
        await self._write(body[: len(body) // 2] if cut else body)
        if not cut and delivery.error_after is None:
            self._record.usage = reply.usage
        await self._end(delivery.ending, b"")

    async def _stream(self, reply: Reply, delivery: Delivery, headers: Headers) -> None:
        events = _events(reply, delivery)
        encoding = [("content-encoding", "gzip")] if delivery.gzip else []
        framing = [("content-type", "text/event-stream; charset=utf-8"), ("transfer-encoding", "chunked"), *encoding]
        await self._begin(200, framing + headers)
        self._count_input(reply)
        for index, event in enumerate(events):
            if index and index == delivery.gate_after and delivery.gate is not None:
                await delivery.gate.wait()
            if index:
                await asyncio.sleep(delivery.per_chunk)
            await self._write(chunk(event.data))
            self._count_event(event, reply)
        if delivery.torn and delivery.stop_after is not None:
            await self._write(chunk(_half(reply.events[delivery.stop_after].data)))
        await self._end(delivery.ending, chunk(b""))

    async def _begin(self, status: int, headers: Headers) -> None:
        self._record.status = status
        self._record.first_byte_at = asyncio.get_running_loop().time()
        self._changed()
        await self._write(head(status, headers))

    async def _write(self, data: bytes) -> None:
        if self._per_byte is None:
            await self._connection.write(data)
        else:
            await self._drip(data, self._per_byte)
        self._record.bytes_written += len(data)
        self._changed()

    async def _drip(self, data: bytes, seconds: float) -> None:
        for byte in data:
            await self._connection.write(bytes([byte]))
            await asyncio.sleep(seconds)

    def _count_input(self, reply: Reply) -> None:
        self._record.usage = replace(reply.usage, output=0, reasoning=0)

    def _count_event(self, event: Event, reply: Reply) -> None:
        output = self._record.usage.output + event.output
        reasoning = reply.usage.reasoning if output else 0
        self._record.usage = replace(self._record.usage, output=output, reasoning=reasoning)
        self._record.events_written += 1
        self._changed()

    async def _end(self, ending: Ending, last: bytes) -> None:
        if ending is Ending.COMPLETE:
            await self._connection.write(last)
        elif ending is Ending.STALL:
            await asyncio.Event().wait()
        elif ending is Ending.RESET:
            self._connection.reset()
        else:
            await self._connection.write(b"zz\r\n" if ending is Ending.BAD_CHUNK else b"")
            self._connection.close()


def _events(reply: Reply, delivery: Delivery) -> tuple[Event, ...]:
    """The events that are written whole."""
    if delivery.gzip:
        return (Event(gzip.compress(b"".join(event.data for event in reply.events)), reply.usage.output),)
    if delivery.error_after is not None:
        return (*reply.events[: delivery.error_after], Event(reply.error_event))
    return reply.events[: delivery.stop_after]


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]
