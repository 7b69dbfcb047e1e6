"""One answer of an upstream on its way to the client: refused, plain or streamed.

Until the first byte has gone out, whatever is wrong is an `AttemptFailed`, and another key may try. A stream that
breaks off afterwards is `Disconnected`: it is never a success just because the connection ended.

Upstreams say `200 OK` before they know whether they can answer, and a role, an id or a `ping` long before the first
word. None of that is an answer yet. It is held until something is said, and then sent as it came; if an error is said
instead, it is an error before the first byte. The held part is bounded in bytes, and in time once an answer was opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from keypool.health import FIRST_REST, KeyEvent
from keypool.limits import windows
from keypool.verdict import DROPPED, NONSENSE, OUR_BOUND, Verdict, judge
from server.keys.words import words_about_key, words_of
from server.ledger.usage import Outcome
from server.relay.context import RequestContext, Sink, milliseconds
from server.relay.keepalive import EVENT_STREAM, STREAM_HEADERS, Keepalive
from server.relay.straight import CHARGE_EVERY, Straight
from server.upstream import Answer, AttemptFailed, Broken, TooLong
from server.wire.abridge import Abridger
from server.wire.added import refuses_bound_of_tools, refuses_what_we_added
from server.wire.dialect import JSON_TYPE, scrub
from server.wire.errors import (
    AnswerTooLong,
    BadAnswer,
    Disconnected,
    NoKey,
    Refusal,
    ToolNotBounded,
    UnknownModel,
    UpstreamRejected,
)
from server.wire.faults import ReportedError, code_in, relayable
from server.wire.meter import Meter
from server.wire.relay import LONGEST_STREAM, TELLING, Relay, StreamTooLong, is_stream
from server.wire.request import Request
from server.wire.shorter import Shorter, our_bound, shorter
from server.wire.translate.passing import TranslatingRelay
from server.wire.unreported import GIVEN_UP

_REPEATED = frozenset({408, 409, 429})  # statuses that the official SDKs repeat by themselves, as all from 500 on
MOST_HELD = 1 << 20  # bytes of a stream's opening: a response is opened with all of its instructions and tools


class FieldRefused(Exception):
    """The upstream refuses a field that the gateway has put into the request."""

    def __init__(self, name: str, found: Shorter | None = None) -> None:
        super().__init__(name)
        self.name = name
        self.shorter = found  # what it takes instead, where it refuses only a value


@dataclass(slots=True)
class Response:
    """The parts of one exchange. `settle` puts it on the ledger: before its end goes out, so that nothing which
    a client has seen to its end is ever missing there."""

    context: RequestContext
    sent: Request  # as it went to this upstream
    answer: Answer
    sink: Sink
    keepalive: Keepalive
    settle: Callable[[RequestContext], Awaitable[object]]
    longest: int  # bytes of a plain answer
    held: float  # seconds for which the opening of a stream is held at most
    clock: Callable[[], float]
    wall: Callable[[], int]

    async def run(self) -> None:
        """Relay the answer. Raises AttemptFailed, Disconnected, ClientLeft."""
        answer = self.answer
        if answer.status >= 400:
            await self._refused(answer.status, answer.headers, await answer.beginning())
        elif await comes_as_stream(answer, self.context.call.request):
            await self._stream()
        else:
            await self._plain()
        await self.keepalive.stop()
        self.sink.end()

    async def _refused(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """The upstream said no: to the caller, whose own mistake it is, or to our key, which is not the caller's."""
        context = self.context
        if (found := shorter(self.sent, status, body, context.shorter, context.room)) is not None:
            raise FieldRefused(our_bound(self.sent) or "", found)
        if (added := refuses_what_we_added(self.sent, status, body)) is not None:
            raise FieldRefused(added)
        if refuses_bound_of_tools(self.sent, status, body):
            raise AttemptFailed(OUR_BOUND, ToolNotBounded("tools"))
        verdict, dialect = judge(status, headers, body, self.wall() / 1000), context.call.asked.endpoint.dialect
        if verdict.event is not None:
            refusal, gone = _refusal_of(verdict, status), status in GIVEN_UP
            seen = replace(verdict, status=status, words=words_about_key(status, body))
            raise AttemptFailed(seen, refusal, self.answer.headers, billed=self._began(), gone=gone)
        context.lease.rejected(verdict, windows(self.answer.headers, self.wall() / 1000))
        said = {"said": words_of(body)}  # for the caller alone, who knows what they sent
        context.trace.attempts.append({"key": context.lease.key.id, "answered": str(status), **said})
        context.first_byte = context.first_byte or self.clock()
        context.outcome, context.perhaps_billed = Outcome.REJECTED, self._began()
        words, reader = relayable(body), context.call.reader
        if words is not None and reader is not None:
            status, words = reader.error(status, words)
        context.error = UpstreamRejected.code if words is None else code_in(words)
        await self.settle(context)
        body = dialect.body(UpstreamRejected(), context.call.id) if words is None else scrub(words)
        once = {"x-should-retry": "false"} if status >= 500 or status in _REPEATED else {}
        if await self._begin(status, {"Content-Type": JSON_TYPE, "Content-Length": str(len(body)), **once}):
            await self.sink.send(body)
        else:  # the queue's heartbeats have opened a stream already
            await self.sink.send(dialect.relayed(body))

    async def _plain(self) -> None:
        context = self.context
        try:
            body = await self.answer.whole(self.longest)
        except Broken:
            raise AttemptFailed(NONSENSE, BadAnswer(), billed=True) from None
        except TooLong as answer:
            await self._read_for_the_bill(answer.beginning)
            raise AttemptFailed(OUR_BOUND, AnswerTooLong(), billed=True) from None
        if not context.meter.answer(body):
            raise AttemptFailed(NONSENSE, BadAnswer(), billed=body.lstrip().startswith(b"{"))  # its end is missing
        if (fault := context.meter.error()) is not None:
            await self._refused(fault.status, {}, fault.body)
            return
        self._answered()
        context.first_byte = self.clock()
        context.outcome = Outcome.COMPLETED
        if not context.runs_on:
            await self.settle(context)  # also: a client that reads slowly must not hold a key
        if context.call.reader is not None:
            body = context.call.reader.answer(body)
        content_type = self.answer.headers.get("Content-Type", "application/octet-stream")
        if context.call.request.endpoint.answer == "json":
            content_type = JSON_TYPE  # which it is, whatever it is called
        if not await self._begin(self.answer.status, {"Content-Type": content_type, "Content-Length": str(len(body))}):
            raise BadAnswer  # a stream was asked for and has begun; this is none
        await self.sink.send(body)

    async def _read_for_the_bill(self, beginning: list[bytes]) -> None:
        """Look for the figures of an answer to its end: one that is too long to be passed on is billed all the same."""
        abridger, length = Abridger(), 0
        for piece in beginning:
            abridger.feed(piece)
            await asyncio.sleep(0)  # others have their turn between two pieces
        with suppress(Broken):
            while length < LONGEST_STREAM and (piece := await self.answer.read()):
                abridger.feed(piece)
                length += len(piece)
        self.context.meter.answer(abridger.document())

    async def _stream(self) -> None:
        """Relay events until the upstream ends, well or not."""
        context, meter = self.context, self.context.meter
        relay = self._relay_of(meter)
        context.streamed = True
        try:
            await self._relay(relay)
        except Broken:
            # A stream that breaks behind its terminal event or the upstream's own error has ended already.
            if context.first_byte is None or not (meter.finished or meter.failed):
                raise self._cut() from None
        except StreamTooLong:
            context.outcome = Outcome.CUT
            raise AnswerTooLong from None
        if context.outcome is Outcome.REJECTED:
            return
        rest = relay.end()
        if not (meter.ended() or meter.failed):
            raise self._cut()
        if (fault := meter.error()) is not None:
            context.error = code_in(fault.body)
            if self._judged(fault).event is KeyEvent.FAILED:
                context.lease.broke()
        if context.outcome is not Outcome.COMPLETED:
            context.outcome = Outcome.CUT if meter.failed else Outcome.COMPLETED
            await self.settle(context)
        if rest:
            await self.keepalive.send(rest, between=True)

    def _relay_of(self, meter: Meter) -> Relay | TranslatingRelay:
        call = self.context.call
        relay = Relay(meter, hides_usage=call.request.hides_usage)
        return relay if call.reader is None else TranslatingRelay(relay, call.reader.again())

    async def _relay(self, relay: Relay | TranslatingRelay) -> None:
        context, meter, keepalive = self.context, self.context.meter, self.keepalive
        events = await self._opening(relay)
        if (fault := meter.error()) is not None:
            await self._refused(fault.status, {}, fault.body)
            return
        self._answered()
        await self._begin(self.answer.status, STREAM_HEADERS)
        straight = Straight(relay, meter, keepalive)
        while True:
            if meter.finished and not meter.failed:
                context.outcome = Outcome.COMPLETED
                await self.settle(context)
            if events:
                await keepalive.send(events, between=relay.between)
            if meter.output_pieces >= straight.until:
                straight.until = meter.output_pieces + CHARGE_EVERY
                context.lease.progress(meter.output_pieces)
            await self.answer.pour(straight)
            if (held := straight.held()) is not None:
                events = held
            elif chunk := await self.answer.read():
                events = relay.feed(chunk)
            else:
                return

    async def _opening(self, relay: Relay | TranslatingRelay) -> bytes:
        """Return how the stream begins, up to the first thing that it says. Raises AttemptFailed if it says nothing."""
        meter, held = self.context.meter, bytearray()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.held):
                await self._hold(relay, held, lambda: meter.begun)
        await self._hold(relay, held, lambda: meter.opened or meter.begun)
        return bytes(held)

    async def _hold(self, relay: Relay | TranslatingRelay, held: bytearray, enough: Callable[[], bool]) -> None:
        meter = self.context.meter
        while not (enough() or meter.failed or len(held) > MOST_HELD):
            if not (chunk := await self.answer.read()):
                raise AttemptFailed(DROPPED, BadAnswer(), billed=meter.opened, gone=True)
            held += relay.feed(chunk)

    def _judged(self, fault: ReportedError) -> Verdict:
        return judge(fault.status, {}, fault.body, self.wall() / 1000)

    def _began(self) -> bool:
        """Whether an answer had begun before its error: a role, an id, figures of what it used."""
        return self.context.meter.opened or self.context.meter.usage is not None

    def _cut(self) -> Exception:
        """A stream broke off: for the caller if it has begun there, else only for this attempt."""
        if self.context.first_byte is None:
            return AttemptFailed(NONSENSE, BadAnswer(), billed=True)
        self.context.outcome = Outcome.CUT
        self.context.lease.broke()
        return Disconnected()

    def _answered(self) -> None:
        context = self.context
        context.lease.answered(windows(self.answer.headers, self.wall() / 1000))
        context.trace.attempts.append({"key": context.lease.key.id, "answered": str(self.answer.status)})

    async def _begin(self, status: int, headers: Mapping[str, str]) -> bool:
        """Set the head of the answer; False when the heartbeats have sent one already."""
        await (self.keepalive.rest() if headers is STREAM_HEADERS else self.keepalive.stop())
        context, lease = self.context, self.context.lease
        context.first_byte = context.first_byte or self.clock()
        if self.sink.started:
            return False
        waited = {"X-Queue-Wait-Ms": str(milliseconds(lease.queue_seconds)), "X-Queue-Position": str(lease.position)}
        self.sink.start(status, {**headers, **waited, **context.bill.headers})
        return True


async def comes_as_stream(answer: Answer, request: Request) -> bool:
    """Whether an answer is a stream. Its type decides only if its beginning does not, or no stream was asked for."""
    labelled = answer.media_type == EVENT_STREAM
    if not request.stream:
        return labelled
    shown = is_stream(await answer.peek(TELLING))
    return labelled if shown is None else shown


def _refusal_of(verdict: Verdict, status: int) -> Refusal:
    """The error for the caller if no other key helps. The upstream's own words stay here: they are about our keys."""
    if verdict.event is KeyEvent.NO_SUCH_MODEL:
        return UnknownModel()
    if status == 403 and verdict.event is KeyEvent.FAILED:
        return UpstreamRejected()
    if status in (408, 500, 502, 504):
        return BadAnswer()
    return NoKey(retry_after=FIRST_REST if verdict.rest is None and verdict.event is KeyEvent.FAILED else verdict.rest)
