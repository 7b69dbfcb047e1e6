"""The answer to a request with the caller's own key: it passes as it comes, and is observed on its way.

Status, headers and words are the provider's, errors among them: key and money are the caller's, so neither is judged
here, hidden or tried again. The rest is the same as for every answer: its end goes out when its row is on the ledger, a
stream that breaks off ends with our own error, and signs of life stand between the events of one that is silent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from server.ledger.usage import OWN, Outcome
from server.relay.context import RequestContext, Sink
from server.relay.keepalive import EVENT_STREAM, STREAM_HEADERS, Keepalive
from server.relay.response import comes_as_stream
from server.upstream import Answer
from server.wire.errors import AnswerTooLong, Disconnected
from server.wire.own_keys import is_known, passed_back
from server.wire.relay import Relay, StreamTooLong

REJECTED = frozenset({400, 404, 413, 422})  # statuses: the request's own fault


@dataclass(slots=True)
class PassedAnswer:
    """One answer on its way through. `settle` puts its request on the ledger; `longest`: bytes that are looked at."""

    context: RequestContext
    answer: Answer
    sink: Sink
    keepalive: Keepalive
    settle: Callable[[RequestContext], Awaitable[object]]
    longest: int
    clock: Callable[[], float]
    seen: bytearray = field(default_factory=bytearray)  # of a plain answer

    async def run(self) -> None:
        """Pass the answer on. Raises Broken, Disconnected, AnswerTooLong, ClientLeft."""
        context, answer = self.context, self.answer
        context.trace.attempts.append({"key": OWN, "answered": str(answer.status)})
        readable = answer.status < 400 and is_known(context.call.request.endpoint)
        context.names_model |= answer.status < 400
        events = readable and await comes_as_stream(answer, context.call.request)
        shown = STREAM_HEADERS if answer.media_type == EVENT_STREAM else {}
        self.sink.start(answer.status, passed_back(answer.headers, packed=answer.packed) | shown)
        await (self._stream() if events else self._plain(readable))
        await self.keepalive.stop()
        self.sink.end()

    async def _plain(self, readable: bool) -> None:
        length = "" if self.answer.packed else self.answer.headers.get("Content-Length", "")
        passed = 0
        while piece := await self.answer.read():
            self._begun()
            passed += len(piece)
            if readable and len(self.seen) <= self.longest:
                self.seen += piece
            if str(passed) == length:
                await self._ended(readable)  # a client that counts knows its end by this piece
            await self.sink.send(piece)
        await self._ended(readable)

    async def _ended(self, readable: bool) -> None:
        """All of a plain answer has come. Twice is once."""
        context, status = self.context, self.answer.status
        if context.settled is not None:
            return
        if readable and len(self.seen) <= self.longest:
            context.meter.answer(bytes(self.seen))
        context.outcome = Outcome.COMPLETED
        if status >= 400:
            context.outcome = Outcome.REJECTED if status in REJECTED else Outcome.FAILED
        await self.settle(context)

    async def _stream(self) -> None:
        context, meter = self.context, self.context.meter
        relay = Relay(meter, hides_usage=False)
        context.streamed = True
        try:
            while piece := await self.answer.read():
                await self._events(relay.feed(piece), relay)
        except StreamTooLong:
            context.outcome = Outcome.CUT
            raise AnswerTooLong from None
        rest = relay.end()
        if not (meter.ended() or meter.failed):
            context.outcome = Outcome.CUT
            raise Disconnected
        if context.outcome is not Outcome.COMPLETED:
            context.outcome = Outcome.CUT if meter.failed else Outcome.COMPLETED
            await self.settle(context)
        if rest:
            await self.keepalive.send(rest, between=True)

    async def _events(self, events: bytes, relay: Relay) -> None:
        context = self.context
        if context.meter.finished and not context.meter.failed:
            context.outcome = Outcome.COMPLETED
            await self.settle(context)
        if not events:
            return
        await self.keepalive.send(events, between=relay.between)
        if self._begun():  # from here on the status has gone out, and no sign of life can take its place
            self.keepalive.start()
            self.keepalive.granted()

    def _begun(self) -> bool:
        """Note when the first byte has come; whether this was it."""
        first = self.context.first_byte is None
        if first:
            self.context.first_byte = self.clock()
        return first
