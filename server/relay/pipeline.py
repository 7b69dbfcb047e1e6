"""One request's way, from its estimate to its row on the ledger. Framework-free: the client is a `Sink`.

    estimate -> reserve -> queue -> key -> upstream -> relay -> settle

A request with the caller's own key goes the same way without the first four: nothing of the pool is held for it.

The request is one task. The caller leaving, the drain and the deadlines all cancel that task; what it holds (its place
in the queue, a key's slot, the upstream's socket) are context managers, so nothing is left over. Whatever happened, a
dispatched request is settled exactly once: before its end goes out to the client, else in the one `finally` of
`_dispatched`. Its reservation is given back in the `finally` of `_serve` if it was never dispatched.

Keys are tried in `attempts.py`; what is billed stands in `settlement.py`. Nothing dispatched, nothing billed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from keypool.queues import Forecast
from server.accounting.reservations import Reservations
from server.dispatching import Dispatching
from server.ledger.usage import UsageRow
from server.relay.admission import Admission, Bounds
from server.relay.attempts import Attempts
from server.relay.background import Background
from server.relay.content_log import LOGGED_HEADER, ContentRecorder
from server.relay.context import (
    Call,
    ClientLeft,
    RecentTraces,
    RequestContext,
    RequestTrace,
    Sink,
    milliseconds,
    trace_of,
    trace_of_refused,
)
from server.relay.drain import UsageDrain
from server.relay.holds import Holding
from server.relay.keepalive import Keepalive
from server.relay.kept_answers import KeptAnswers
from server.relay.naming import SERVED_MODEL
from server.relay.parking import leased
from server.relay.prompt_lengths import NOT_READ, PromptLengths
from server.relay.settlement import Settling
from server.relay.time_limit import TimeLimit
from server.relay.translating import TRANSLATED
from server.relay.under_way import UnderWay
from server.spool import Spool
from server.store.base import Caller, Store
from server.tokenizer import Tokenizer
from server.upstream import Upstreams
from server.wire.errors import (
    Cancelled,
    Draining,
    Refusal,
    UpstreamTimeout,
)
from server.wire.keepalive import sign_of_life

Outlook = Callable[[], Awaitable[Forecast | None]]

ROWS_SECONDS = 5.0  # what the store does not have after that is in the journal: an outage must not hold up a restart


class Pipeline:
    """Serves calls. `clock` is monotonic seconds, `wall` UTC milliseconds; `observe` sees every row that is settled."""

    def __init__(
        self,
        dispatcher: Dispatching,
        upstreams: Upstreams,
        store: Store,
        tokenizer: Tokenizer,
        bounds: Bounds,
        clock: Callable[[], float],
        wall: Callable[[], int],
        reservations: Reservations,
        admission: Admission,
        under_way: UnderWay,
        observe: Callable[[UsageRow], None] = lambda row: None,
        spool: Spool | None = None,
    ) -> None:
        self._dispatcher, self._store = dispatcher, store
        self._reservations, self._admission = reservations, admission
        self._bounds, self._clock, self._wall = bounds, clock, wall
        self._spool = Spool() if spool is None else spool
        self._lengths = PromptLengths(
            tokenizer, bounds.rules, admission.window, bounds.longest_output, self._spool.least
        )
        self._settlement = Settling(
            store, tokenizer, self._lengths, reservations, admission, bounds.stateful, clock, observe
        )
        self._attempts = Attempts(upstreams, reservations, self._settlement, bounds, clock, wall)
        self._background = Background(
            upstreams, self._settlement, reservations, under_way, bounds.background_seconds, bounds.answer_bytes, clock
        )
        self.kept = KeptAnswers(admission, upstreams, self._background, store, bounds.stateful, wall)
        self._usage_drain = UsageDrain(bounds.usage_seconds)
        self._time_limit = TimeLimit(bounds.total_seconds)
        self._holding = Holding(reservations, self._lengths, bounds.longest_output, self._usual_output)
        self.recent = RecentTraces()
        self._tasks: dict[str, asyncio.Task[object]] = {}  # by the request's id
        self._ended: set[str] = set()  # ids of those that an administrator has ended
        self._contexts = under_way.contexts
        self._stopping = False

    @property
    def running(self) -> int:
        """Requests that wait, are being answered, here or in the background, or whose rows are being written."""
        return len(self._tasks) + len(self._background.tasks) + self._reservations.backlog

    async def explain(self, caller: Caller, request_id: str) -> RequestTrace | None:
        """The trace of a request of this caller's; None if there was none. Raises StoreError."""
        trace = self.trace(request_id, caller.person_id)
        if trace is not None:
            return trace
        row = await self._store.usage(request_id)
        if row is not None:
            return trace_of(row) if row.person_id == caller.person_id else None
        refused = await self._store.refused_request(request_id)
        is_theirs = refused is not None and refused.person_id == caller.person_id
        return trace_of_refused(refused) if refused is not None and is_theirs else None

    def trace(self, request_id: str, person_id: str) -> RequestTrace | None:
        """The trace of a person's request that was served here a short while ago, or still is."""
        trace = self.recent.of(request_id, person_id)
        if trace is not None and (place := self._dispatcher.place(request_id)) is not None:
            trace.stands(place)
        return trace

    async def quiet(self, seconds: float) -> None:
        """Wait until no request runs, at most for so long, and a little for the store to have all rows.

        What goes on in the background is waited for only when the gateway stops.
        """
        deadline = self._clock() + seconds
        while (tasks := {*self._tasks.values(), *self._background.ending()}) and (left := deadline - self._clock()) > 0:
            await asyncio.wait(tasks, timeout=left)
        await self._reservations.quiet(min(deadline - self._clock(), ROWS_SECONDS))

    def stop(self) -> None:
        """End every running request with `Draining`, in its stream where it has begun one."""
        self._stopping = True
        self._background.stop()
        for task in self._tasks.values():
            task.cancel()

    async def close(self) -> None:
        """End what goes on in the background: it is billed as far as it is known."""
        self._background.stop()
        if ending := self._background.ending():
            await asyncio.wait(ending, timeout=ROWS_SECONDS)

    def cancel(self, request_id: str) -> bool:
        """End a request for an administrator: its client hears `Cancelled`. False if it is not, or no longer, here.

        It is settled like every other one that ends early; a row that is being written is written.
        """
        task = self._tasks.get(request_id)
        if task is None:
            return False
        self._ended.add(request_id)
        task.cancel()
        return True

    def reads_on(self, request_id: str) -> bool:
        """The client of a request has left; whether its answer is read on for its usage, or is to be cancelled."""
        context, task = self._contexts.get(request_id), self._tasks.get(request_id)
        if context is None or task is None or not self._usage_drain.begin(context, task.cancel):
            return False
        context.client_left = True
        return True

    async def serve(self, call: Call, sink: Sink) -> UsageRow:
        """Answer a call; returns its row. Raises Refusal, ClientLeft, or CancelledError when the client left."""
        task = asyncio.current_task()
        assert task is not None, "a request is a task"
        request_id, model, person = call.id, call.request.model, call.caller.person_id
        self._tasks[request_id] = task
        trace = self.recent.keep(RequestTrace(request_id, person, model, self._wall()))
        serving = (self._serve if call.own_key is None else self._pass_through)(call, trace, sink)
        del call  # nor does any frame below keep it: its body may wait in a file
        try:
            return await serving
        except Refusal as refusal:
            trace.refuse(refusal)
            raise
        except asyncio.CancelledError:
            trace.state = "cancelled"
            reason = self._reason(request_id)
            if reason is None:
                raise
            task.uncancel()
            raise reason from None
        finally:
            del self._tasks[request_id]
            self._ended.discard(request_id)

    def _reason(self, request_id: str) -> Refusal | None:
        """Why a task was cancelled, if it was by us and not because its client left."""
        if request_id in self._ended:
            return Cancelled()
        return Draining() if self._stopping else None

    async def _serve(self, call: Call, trace: RequestTrace, sink: Sink) -> UsageRow:
        arrived, rights, asked = self._clock(), self._admission.rights(call.caller), call.request.max_tokens
        call = await self._admission.admitted(call, rights)
        bill = self._reservations.open(call, rights, trace.arrived_at)
        if call.reader is not None:
            bill.headers[TRANSLATED] = call.notes
        if call.alias or call.fallback is not None:
            bill.headers[SERVED_MODEL] = call.request.model
        try:
            length = await self._lengths.of(call.request, call.caller.person_id)
            ask = await self._admission.ask(call, rights, arrived, length.tokens)
            if call.request.background:
                self._background.insist_on_room(call.caller)
            call, ask, length = await self._holding.hold(bill, call, ask, asked, length)
            lease, meter = self._dispatcher.lease(ask), call.request.endpoint.meter()
            room = self._admission.room(call.request.model, ask.input_tokens)
            context = RequestContext(call, lease, trace, meter, length, arrived, bill, room)
            del call
            return await self._queued(context, sink)
        finally:
            if bill.request_id not in self._background.tasks:
                self._reservations.close(bill)

    async def _pass_through(self, call: Call, trace: RequestTrace, sink: Sink) -> UsageRow:
        """Serve a call with the caller's own key: it does not wait, and nothing of the pool is held for it."""
        arrived = self._clock()
        call = await self._admission.passing(call)
        bill = self._reservations.open_own_key(call, trace.arrived_at)
        context = RequestContext(call, None, trace, call.request.endpoint.meter(), NOT_READ, arrived, bill)
        context.names_model = bool(self._dispatcher.keyring.serving(call.request.model))
        trace.state, trace.queue_ms = "running", 0
        keepalive = self._keepalive(context, sink, _stands_nowhere)
        try:
            return await self._dispatched(context, sink, keepalive)
        finally:
            await keepalive.stop()
            self._reservations.close(bill)

    def _keepalive(self, context: RequestContext, sink: Sink, outlook: Outlook) -> Keepalive:
        call, seconds = context.call, context.trace.arrived_at // 1000
        sign = sign_of_life(call.asked, call.keepalive, call.id, seconds)
        return Keepalive(sink, sign, self._bounds.timing, outlook, context.bill.headers)

    async def _queued(self, context: RequestContext, sink: Sink) -> UsageRow:
        lease, trace = context.lease, context.trace
        if context.bill.content_days:
            sink = recorder = ContentRecorder(sink)
            context.recorded = recorder.recorded
            context.bill.headers |= LOGGED_HEADER
        keepalive = self._keepalive(context, sink, lease.outlook)
        try:
            if context.call.request.stream:
                keepalive.start()
            async with leased(context, self._spool):
                keepalive.granted()
                trace.stands(lease.ticket)  # its owner may ask before it has ended
                trace.state, trace.queue_ms = "running", milliseconds(lease.queue_seconds)
                return await self._dispatched(context, sink, keepalive)
        finally:
            trace.stands(lease.ticket)
            await keepalive.stop()

    def _usual_output(self, person: str, model: str) -> int:
        return self._dispatcher.usual_output(person, model)

    async def _dispatched(self, context: RequestContext, sink: Sink, keepalive: Keepalive) -> UsageRow:
        self._contexts[context.call.id] = context
        try:
            with self._time_limit.of(self._tasks[context.call.id]):
                await self._attempts.run(context, sink, keepalive)
        except TimeoutError:
            context.error = UpstreamTimeout.code
            raise UpstreamTimeout from None
        except Refusal as refusal:
            context.error = refusal.code
            raise
        except (asyncio.CancelledError, ClientLeft):
            reason = self._reason(context.call.id)
            context.client_left |= reason is None
            context.error = "" if reason is None else reason.code
            raise
        finally:
            self._usage_drain.end(context)
            try:
                if context.runs_on:
                    row = self._background.watch(context)
                elif context.sent:
                    row = await self._settlement.settle(context)
                else:
                    await self._settlement.pay(context)  # nothing: but the key goes back
            finally:
                if context.call.id not in self._background.tasks:
                    del self._contexts[context.call.id]
        return row


async def _stands_nowhere() -> None:
    """Where a request stands that does not wait."""
