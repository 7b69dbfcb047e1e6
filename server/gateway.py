"""One request's way, from its estimate to its row on the ledger. Framework-free: the client is a `Sink`.

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
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from keypool.estimates import Tokens
from keypool.limits import windows
from keypool.pool import Ask
from keypool.queues import Forecast
from server.dispatcher import Dispatcher
from server.exchange import Exchange
from server.heart import Heart, Pulse
from server.ledger.usage import Outcome, UsageRow
from server.store.base import Caller, Issued, Store, StoreError
from server.story import Account, Call, ClientLeft, Recent, Sink, Story, account_of, milliseconds
from server.tokenizer import Tokenizer
from server.upstream import Answer, AttemptFailed, Upstreams
from server.wire.conversation import bind
from server.wire.dialect import Dialect
from server.wire.errors import (
    AccountingUnavailable,
    Draining,
    NoKey,
    Refusal,
    StatefulDisabled,
    UnknownId,
    UnknownModel,
    UpstreamTimeout,
)
from server.wire.tokens import Prompt
from server.wire.usage import Usage

T = TypeVar("T")

log = logging.getLogger("fairgate")

DISCOVERY_SECONDS = 5.0  # until an upstream's models are asked for again


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds in the queue and for a whole answer, bytes of a plain answer.

    `stateful`: providers may keep answers for later, for those who made them.
    """

    queue_seconds: float = 300.0
    total_seconds: float = 900.0
    answer_bytes: int = 64 << 20
    stateful: bool = False
    pulse: Pulse = Pulse()  # noqa: RUF009 - immutable


class Gateway:
    """Serves calls. `clock` is monotonic seconds, `wall` UTC milliseconds; `observe` sees every row that is settled."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        upstreams: Upstreams,
        store: Store,
        tokenizer: Tokenizer,
        bounds: Bounds,
        clock: Callable[[], float],
        wall: Callable[[], int],
        observe: Callable[[UsageRow], None] = lambda row: None,
    ) -> None:
        self._dispatcher, self._upstreams, self._store, self._tokenizer = dispatcher, upstreams, store, tokenizer
        self._bounds, self._clock, self._wall, self._observe = bounds, clock, wall, observe
        self.recent = Recent()
        self.unsettled = 0  # rows that the store did not take
        self._tasks: set[asyncio.Task[object]] = set()
        self._stories: dict[str, Story] = {}  # of the requests that were dispatched and are not yet settled
        self._writes: set[asyncio.Future[bool]] = set()
        self._stopping = False

    @property
    def running(self) -> int:
        """Requests that wait, are being answered, or whose rows are being written."""
        return len(self._tasks) + len(self._writes)

    def models(self, caller: Caller, dialect: Dialect) -> list[str]:
        """The models that a caller may use."""
        return self._dispatcher.pool.models(dialect.name, groups_of(caller))

    def forecast(self, caller: Caller, model: str, dialect: Dialect) -> Forecast:
        """Where a short request of this caller would stand now. Raises UnknownModel."""
        groups = groups_of(caller)
        if not self._dispatcher.pool.serves(model, dialect.name, groups):
            raise UnknownModel
        deadline = self._clock() + self._bounds.queue_seconds
        ask = Ask("", caller.person_id, model, dialect.name, 0, None, deadline, caller.weight, groups)
        return self._dispatcher.pool.forecast(ask, self._clock())

    async def explain(self, caller: Caller, request_id: str) -> Account | None:
        """What became of a request of this caller's; None if there was none. Raises StoreError."""
        account = self.recent.of(request_id, caller.person_id)
        if account is None:
            row = await self._store.usage(request_id)
            return account_of(row) if row is not None and row.person_id == caller.person_id else None
        if (ticket := self._dispatcher.pool.tickets.get(request_id)) is not None:
            account.stands(ticket)
        return account

    async def quiet(self, seconds: float) -> None:
        """Wait until no request runs, at most for so long."""
        deadline = self._clock() + seconds
        while self.running and (left := deadline - self._clock()) > 0:
            pending: set[asyncio.Future[Any]] = {*self._tasks, *self._writes}
            await asyncio.wait(pending, timeout=left)

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
        model, person = call.request.model, call.caller.person_id
        account = self.recent.keep(Account(call.id, person, model, self._wall()))
        try:
            return await self._serve(call, account, sink)
        except Refusal as refusal:
            account.refuse(refusal)
            raise
        except asyncio.CancelledError:
            account.state = "cancelled"
            if not self._stopping:
                raise
            task.uncancel()
            raise Draining from None
        finally:
            self._tasks.discard(task)

    async def _serve(self, call: Call, account: Account, sink: Sink) -> UsageRow:
        request, arrived = call.request, self._clock()
        ask = await self._ask(call, arrived)
        lease = self._dispatcher.lease(ask)
        story = Story(call, lease, account, request.endpoint.meter(), ask.input_tokens, arrived)
        heart = Heart(sink, request.endpoint.dialect, self._bounds.pulse, lease.outlook)
        try:
            if request.stream:
                heart.start()
            async with lease:
                heart.granted()
                account.stands(lease.ticket)  # its owner may ask before it has ended
                account.state, account.queue_ms = "running", milliseconds(lease.queue_seconds)
                return await self._dispatched(story, sink, heart)
        finally:
            account.stands(lease.ticket)
            await heart.stop()

    async def _ask(self, call: Call, arrived: float) -> Ask:
        """What the pool must know of a call. Raises UnknownModel, UnknownId, StatefulDisabled."""
        request, caller = call.request, call.caller
        pool, dialect, groups = self._dispatcher.pool, request.endpoint.dialect.name, groups_of(caller)
        if not pool.serves(request.model, dialect, groups):
            raise UnknownModel if pool.complete else NoKey(retry_after=DISCOVERY_SECONDS)
        if request.keeps is not None and not self._bounds.stateful:
            raise StatefulDisabled(request.keeps)
        return Ask(
            id=call.id,
            person=caller.person_id,
            model=request.model,
            dialect=dialect,
            input_tokens=await self._tokenizer.count(request.prompt, request.model),
            most_output=request.max_tokens if request.endpoint.output_limits else 0,
            deadline=arrived + self._bounds.queue_seconds,
            weight=caller.weight,
            groups=groups,
            conversation=bind(request.conversation, caller.person_id, request.model),
            bound_to=await self._key_that_issued(request.follows, caller),
            max_wait=call.max_wait,
        )

    async def _key_that_issued(self, reference: str | None, caller: Caller) -> str | None:
        """The only key that knows what a request refers to. What somebody else made does not exist."""
        if reference is None:
            return None
        issued = await self._issued(reference) if self._bounds.stateful else None
        if issued is None or issued.person_id != caller.person_id:
            raise UnknownId
        return issued.key

    async def _issued(self, reference: str) -> Issued | None:
        """Who made an object. A client may name it before the answer that it came with has been settled."""
        for story in self._stories.values():
            if story.call.request.kept and reference in story.meter.issued:
                return Issued(story.call.caller.person_id, story.lease.key.id, self._wall())
        try:
            return await self._store.issued(reference)
        except StoreError:
            raise AccountingUnavailable from None

    async def _dispatched(self, story: Story, sink: Sink, heart: Heart) -> UsageRow:
        self._stories[story.call.id] = story
        try:
            async with asyncio.timeout(self._bounds.total_seconds):
                await self._attempts(story, sink, heart)
        except TimeoutError:
            raise UpstreamTimeout from None
        except (asyncio.CancelledError, ClientLeft):
            story.client_left = not self._stopping
            raise
        finally:
            try:
                row = await self._settle_undisturbed(story)
            finally:
                del self._stories[story.call.id]
        return row

    async def _attempts(self, story: Story, sink: Sink, heart: Heart) -> None:
        """Try keys until one answers. Only what failed before its first byte is tried again."""
        call = story.call
        while True:
            story.meter, story.perhaps_billed = call.request.endpoint.meter(), True
            try:
                sending = self._upstreams.send(story.lease.key, call.request, call.passed, call.query, story.sent_again)
                async with sending as answer:
                    await self._exchange(story, answer, sink, heart).run()
                    return
            except AttemptFailed as failure:
                story.perhaps_billed = isinstance(failure.refusal, UpstreamTimeout)
                story.account.attempts.append({"key": story.lease.key.id, "failed": failure.refusal.code})
                await self._another_key(story, failure)

    def _exchange(self, story: Story, answer: Answer, sink: Sink, heart: Heart) -> Exchange:
        longest = self._bounds.answer_bytes
        return Exchange(story, answer, sink, heart, self._pay, longest, self._clock, self._wall)

    async def _another_key(self, story: Story, failure: AttemptFailed) -> None:
        limits = windows(failure.headers, self._wall() / 1000)
        try:
            await story.lease.again(failure.verdict, failure.refusal, limits)
        except Refusal:
            story.outcome = Outcome.FAILED
            raise

    async def _settle_undisturbed(self, story: Story) -> UsageRow:
        """Settle, whoever leaves meanwhile. What does not wait for anything needs no task of its own for that."""
        waits = self._keeps(story) or (story.usage is None and self._reported(story) is None)
        return await (_undisturbed(self._settle(story)) if waits else self._settle(story))

    async def _settle(self, story: Story) -> UsageRow:
        """Give the key back and write the row: once, whatever happened."""
        usage = await self._pay(story)
        row = story.row(usage, self._clock(), self._wall())
        story.account.state = row.status
        story.account.settle(usage)
        self._observe(row)
        self._write(row)
        if self._keeps(story):
            with suppress(StoreError):  # the answer cannot be continued then; the row tells of the outage
                for issued in story.meter.issued:
                    await self._store.remember_issued(issued, row.person_id, row.key, row.started_at)
        return row

    def _write(self, row: UsageRow) -> None:
        """Put a row on its way to the ledger; `quiet` waits until it is there."""
        writing = asyncio.ensure_future(self._store.settle(row))
        self._writes.add(writing)
        writing.add_done_callback(partial(self._written, row))

    def _written(self, row: UsageRow, writing: asyncio.Future[bool]) -> None:
        self._writes.discard(writing)
        if writing.exception() is not None:
            self.unsettled += 1
            log.error("request %s could not be settled: the store is out of reach", row.request_id)

    async def _pay(self, story: Story) -> Usage:
        """Let the flow pay what was used, and give the key back. Paying twice is paying once."""
        if story.usage is None:
            story.usage = self._reported(story) or await self._counted(story)
            used = Tokens(story.usage.input, story.usage.cached, story.usage.output)
            story.lease.finish(used, complete=story.outcome is Outcome.COMPLETED)
        return story.usage

    def _keeps(self, story: Story) -> bool:
        """The provider keeps the answer, and its maker may continue it."""
        return self._bounds.stateful and story.call.request.kept

    def _reported(self, story: Story) -> Usage | None:
        """What is known without counting: the upstream's own figures, or that nothing was billed."""
        return story.meter.usage or (None if story.perhaps_billed else Usage())

    async def _counted(self, story: Story) -> Usage:
        before = story.meter.opening or Usage(input=story.input_estimate)
        delivered = Prompt((story.meter.delivered(),), 0)
        output = await self._tokenizer.count(delivered, story.call.request.model)
        return Usage(before.input, before.cached, before.cache_write, output, estimated=True)


def groups_of(caller: Caller) -> frozenset[str]:
    """The groups whose keys a caller may use: everybody is a group of one, for the keys that they own."""
    return frozenset((f"person:{caller.person_name}",))


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
