"""One request's story, from its estimate to its row on the ledger. Framework-free: the client is a `Sink`.

    estimate -> queue -> key -> upstream -> relay -> settle

The request is one task. The caller leaving, the drain and the deadlines all cancel that task; what it holds (its place
in the queue, a key's slot, the upstream's socket) are context managers, so nothing is left over. Whatever happened, a
dispatched request is settled exactly once, in the one `finally` of `_dispatched`.

What is billed: the upstream's own figures if they were seen; else the input and the delivered text as counted here,
flagged as estimated. Nothing dispatched, nothing billed; an upstream's error is not billed either.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from keypool.estimates import Tokens
from keypool.pool import Ask
from keypool.verdict import CALLERS_FAULT, NONSENSE, Verdict, judge
from server.dispatcher import Dispatcher, Lease
from server.ledger.usage import Outcome, UsageRow
from server.store.base import Caller, Store, StoreError
from server.tokenizer import Tokenizer
from server.upstream import Answer, AttemptFailed, Broken, Upstreams
from server.wire.dialect import scrub
from server.wire.errors import (
    BadAnswer,
    Disconnected,
    Draining,
    NoKey,
    Refusal,
    UnknownModel,
    UpstreamTimeout,
)
from server.wire.meter import Meter, json_object
from server.wire.relay import EventTooLong, Relay
from server.wire.request import Request
from server.wire.tokens import Prompt
from server.wire.usage import Usage

T = TypeVar("T")

log = logging.getLogger("fairgate")

DISCOVERY_SECONDS = 5.0  # until an upstream's models are asked for again
CHARGE_EVERY = 64  # pieces of an answer, between two charges to its flow while it streams
EVENT_STREAM = "text/event-stream"


class ClientLeft(Exception):
    """The client went away, or took nothing for too long."""


class Sink(Protocol):
    """Where an answer goes. `started`: its head has gone out, so that no status can be changed any more."""

    started: bool

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Set the head of the answer. It goes out with the first write."""

    async def send(self, chunk: bytes) -> None:
        """Pass a piece on and wait until the client can take more. Raises ClientLeft."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was read and whose caller is known. `passed`: the client's headers that may go upstream."""

    id: str
    caller: Caller
    request: Request
    passed: Mapping[str, str]
    query: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds in the queue and for a whole answer, bytes of a plain answer."""

    queue_seconds: float = 300.0
    total_seconds: float = 900.0
    answer_bytes: int = 64 << 20


@dataclass(slots=True)
class Story:
    """What has become known of a dispatched request so far. Times are seconds, monotonic."""

    call: Call
    lease: Lease
    meter: Meter
    input_estimate: int
    arrived: float
    outcome: Outcome = Outcome.CANCELLED
    streamed: bool = False
    perhaps_billed: bool = False  # the upstream may have generated something
    client_left: bool = False
    first_byte: float | None = None
    usage: Usage | None = None  # what it is billed, once it has paid


class Gateway:
    """Serves calls. `clock` is monotonic seconds, `wall` UTC milliseconds."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        upstreams: Upstreams,
        store: Store,
        tokenizer: Tokenizer,
        bounds: Bounds,
        clock: Callable[[], float],
        wall: Callable[[], int],
    ) -> None:
        self._dispatcher, self._upstreams, self._store, self._tokenizer = dispatcher, upstreams, store, tokenizer
        self._bounds, self._clock, self._wall = bounds, clock, wall
        self.unsettled = 0  # rows that the store did not take
        self._tasks: set[asyncio.Task[object]] = set()
        self._stopping = False

    @property
    def running(self) -> int:
        """Requests that wait or are being answered."""
        return len(self._tasks)

    def models(self, caller: Caller, dialect: str) -> list[str]:
        """The models that a caller may use."""
        return self._dispatcher.pool.models(dialect, frozenset())

    async def quiet(self, seconds: float) -> None:
        """Wait until no request runs, at most for so long."""
        deadline = self._clock() + seconds
        while self._tasks and (left := deadline - self._clock()) > 0:
            await asyncio.wait(self._tasks, timeout=left)

    def stop(self) -> None:
        """End every running request with `Draining`, in its stream where it has begun one."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()

    async def serve(self, call: Call, sink: Sink) -> UsageRow:
        """Answer a call; returns its row. Raises Refusal, ClientLeft, or CancelledError when the client left."""
        task = asyncio.current_task()
        assert task is not None, "a request is a task"
        self._tasks.add(task)
        try:
            return await self._serve(call, sink)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            task.uncancel()
            raise Draining from None
        finally:
            self._tasks.discard(task)

    async def _serve(self, call: Call, sink: Sink) -> UsageRow:
        request, caller, arrived = call.request, call.caller, self._clock()
        name = request.endpoint.dialect.name
        if not self._dispatcher.pool.serves(request.model, name, frozenset()):
            raise UnknownModel if self._dispatcher.pool.complete else NoKey(retry_after=DISCOVERY_SECONDS)
        estimate = await self._tokenizer.count(request.prompt, request.model)
        deadline = arrived + self._bounds.queue_seconds
        most = request.max_tokens if request.endpoint.output_limits else 0
        ask = Ask(call.id, caller.person_id, request.model, name, estimate, most, deadline, caller.weight)
        async with self._dispatcher.lease(ask) as lease:
            story = Story(call, lease, request.endpoint.meter(), estimate, arrived)
            return await self._dispatched(story, sink)

    async def _dispatched(self, story: Story, sink: Sink) -> UsageRow:
        try:
            async with self._deadline():
                await self._attempts(story, sink)
        except (asyncio.CancelledError, ClientLeft):
            story.client_left = not self._stopping
            raise
        finally:
            row = await _undisturbed(self._settle(story))
        return row

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._bounds.total_seconds):
                yield
        except TimeoutError:
            raise UpstreamTimeout from None

    async def _attempts(self, story: Story, sink: Sink) -> None:
        """Try keys until one answers. Only what failed before its first byte is tried again."""
        call = story.call
        while True:
            story.meter, story.perhaps_billed = call.request.endpoint.meter(), True
            try:
                async with self._upstreams.send(story.lease.key, call.request, call.passed, call.query) as answer:
                    await self._answer(story, answer, sink)
                    return
            except AttemptFailed as failure:
                story.perhaps_billed = isinstance(failure.refusal, UpstreamTimeout)
                await self._another_key(story, failure)

    async def _another_key(self, story: Story, failure: AttemptFailed) -> None:
        try:
            await story.lease.again(failure.verdict, failure.refusal)
        except Refusal:
            story.outcome = Outcome.FAILED
            raise

    async def _answer(self, story: Story, answer: Answer, sink: Sink) -> None:
        if answer.status >= 400:
            await self._refused(story, answer.status, answer.headers, await answer.beginning(), sink)
        elif answer.media_type == EVENT_STREAM:
            await self._stream(story, answer, sink)
        else:
            await self._plain(story, answer, sink)

    async def _refused(self, story: Story, status: int, headers: Mapping[str, str], body: bytes, sink: Sink) -> None:
        """The upstream said no: to the caller, whose own mistake it is, or to our key, which is not the caller's."""
        verdict = judge(status, headers, body)
        if verdict is not CALLERS_FAULT:
            raise AttemptFailed(verdict, _told(verdict, status))
        if json_object(body) is None:
            raise AttemptFailed(NONSENSE, BadAnswer())
        story.lease.answered()
        story.outcome, story.perhaps_billed = Outcome.REJECTED, False
        await self._pay(story)
        body = scrub(body)
        self._begin(story, sink, status, "application/json", length=len(body))
        await sink.send(body)

    async def _plain(self, story: Story, answer: Answer, sink: Sink) -> None:
        endpoint = story.call.request.endpoint
        if endpoint.answer == "json" and answer.media_type != "application/json":
            raise AttemptFailed(NONSENSE, BadAnswer())
        try:
            body = await answer.whole(self._bounds.answer_bytes)
        except Broken:
            raise AttemptFailed(NONSENSE, BadAnswer()) from None
        if not story.meter.answer(body):
            raise AttemptFailed(NONSENSE, BadAnswer())
        if (fault := story.meter.error()) is not None:
            await self._refused(story, fault.status, {}, fault.body, sink)
            return
        story.lease.answered()
        story.outcome = Outcome.COMPLETED
        await self._pay(story)  # a client that reads slowly must not hold a key
        content_type = answer.headers.get("Content-Type", "application/octet-stream")
        self._begin(story, sink, answer.status, content_type, length=len(body))
        await sink.send(body)

    async def _stream(self, story: Story, answer: Answer, sink: Sink) -> None:
        """Relay events until the upstream ends, well or not. A stream without its end is a failure, never a success."""
        story.streamed = True
        meter, relay = story.meter, Relay(story.meter, hides_usage=story.call.request.hides_usage)
        charged = 0
        try:
            while chunk := await answer.read():
                events = relay.feed(chunk)
                if not events:
                    continue
                if story.first_byte is None:
                    if (fault := meter.error()) is not None:
                        await self._refused(story, fault.status, {}, fault.body, sink)
                        return
                    story.lease.answered()
                    self._begin(story, sink, answer.status, EVENT_STREAM)
                await sink.send(events)
                if meter.finished and not meter.failed:
                    story.outcome = Outcome.COMPLETED  # who leaves now has it all
                if meter.output_pieces >= charged + CHARGE_EVERY:
                    charged = meter.output_pieces
                    story.lease.progress(charged)
        except (Broken, EventTooLong):
            # What breaks behind the terminal event or the upstream's own error has nothing more to say.
            if not (meter.finished or meter.failed):
                raise self._cut(story) from None
        if not (meter.ended() or meter.failed):
            raise self._cut(story)
        story.outcome = Outcome.CUT if meter.failed else Outcome.COMPLETED
        if story.first_byte is not None and (rest := relay.end()):
            await sink.send(rest)

    def _cut(self, story: Story) -> Exception:
        """A stream broke off: for the caller if it has begun there, else only for this attempt."""
        if story.first_byte is None:
            return AttemptFailed(NONSENSE, BadAnswer())
        story.outcome = Outcome.CUT
        return Disconnected()

    def _begin(self, story: Story, sink: Sink, status: int, content_type: str, length: int | None = None) -> None:
        story.first_byte = self._clock()
        headers = {"Content-Type": content_type, "X-Queue-Wait-Ms": str(round(story.lease.queue_seconds * 1000))}
        if content_type == EVENT_STREAM:
            # Proxies must not hold events back to fill a buffer.
            headers |= {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        if length is not None:
            headers["Content-Length"] = str(length)
        sink.start(status, headers)

    async def _settle(self, story: Story) -> UsageRow:
        """Give the key back and write the row: once, whatever happened."""
        row = self._row(story, await self._pay(story))
        try:
            await self._store.settle(row)
        except StoreError:
            self.unsettled += 1
            log.error("request %s could not be settled: the store is out of reach", row.request_id)
        return row

    async def _pay(self, story: Story) -> Usage:
        """Let the flow pay what was used, and give the key back. Paying twice is paying once."""
        if story.usage is None:
            story.usage = await self._used(story)
            used = Tokens(story.usage.input, story.usage.cached, story.usage.output)
            story.lease.finish(used, complete=story.outcome is Outcome.COMPLETED)
        return story.usage

    async def _used(self, story: Story) -> Usage:
        if story.meter.usage is not None:
            return story.meter.usage
        if not story.perhaps_billed:
            return Usage()
        before = story.meter.opening or Usage(input=story.input_estimate)
        delivered = Prompt((story.meter.delivered(),), 0)
        output = await self._tokenizer.count(delivered, story.call.request.model)
        return Usage(before.input, before.cached, before.cache_write, output, estimated=True)

    def _row(self, story: Story, usage: Usage) -> UsageRow:
        call, lease, now = story.call, story.lease, self._clock()
        request, first = call.request, story.first_byte
        return UsageRow(
            request_id=call.id,
            person_id=call.caller.person_id,
            token_id=call.caller.token_id,
            model_asked=request.model,
            model_served=story.meter.served_model or request.model,
            endpoint=request.endpoint.path,
            dialect=request.endpoint.dialect.name,
            upstream=lease.key.upstream,
            key=lease.key.id,
            status=story.outcome,
            started_at=self._wall() - _ms(now - story.arrived),
            queue_ms=_ms(lease.queue_seconds),
            first_byte_ms=None if first is None else _ms(first - story.arrived),
            duration_ms=_ms(now - story.arrived),
            attempts=lease.ticket.attempts,
            streamed=story.streamed,
            usage=usage,
            client_aborted=story.outcome is Outcome.CANCELLED and story.client_left,
        )


async def _undisturbed(work: Coroutine[Any, Any, T]) -> T:
    """Do to its end what must not be left half done. A cancellation that comes meanwhile is heard afterwards."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return task.result()


def _told(verdict: Verdict, status: int) -> Refusal:
    """What the caller hears when no other key helped. The upstream's own words are about our keys, so not those."""
    if status in (500, 502, 504):
        return BadAnswer()
    return NoKey(retry_after=verdict.rest)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
