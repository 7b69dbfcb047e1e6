"""How a dispatched request is settled: once, whatever happens, and by the upstream's own figures where there are any.

Else what is billed is the input and the delivered text as counted here, flagged as estimated, and by the time what may
have been generated unseen. An upstream's error is not billed, unless an answer had begun before it. The flow pays and
the key goes back first, then the row is put on the ledger, then the observers hear of it. An object that the
provider keeps for the caller is remembered with its maker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from keypool.estimates import Tokens
from server.accounting.reservations import Reservations
from server.dispatching import Leasing
from server.ledger.quota import Settlement as Settled
from server.ledger.usage import Outcome, UsageRow
from server.relay.admission import Admission
from server.relay.content_log import LONGEST
from server.relay.context import RequestContext
from server.relay.drain import hides
from server.relay.prompt_lengths import PromptLengths
from server.store.base import Content, IssuedObject, Store, StoreError
from server.tokenizer import Tokenizer
from server.wire.published import published
from server.wire.sound import INLINE_SOUND, Sound, sound_of
from server.wire.speech import Speech
from server.wire.tokens import Prompt
from server.wire.unreported import completed, hidden, unreported
from server.wire.usage import Usage

T = TypeVar("T")

log = logging.getLogger("fairgate")

DAY = 86_400_000  # milliseconds


class Settling:
    """Settles requests. `clock` is monotonic seconds; `stateful`: providers may keep answers for those who made them.

    `observe` sees every row that is settled.
    """

    def __init__(
        self,
        store: Store,
        tokenizer: Tokenizer,
        lengths: PromptLengths,
        reservations: Reservations,
        admission: Admission,
        stateful: bool,
        clock: Callable[[], float],
        observe: Callable[[UsageRow], None],
    ) -> None:
        self._store, self._tokenizer, self._lengths = store, tokenizer, lengths
        self._reservations, self._admission = reservations, admission
        self._stateful, self._clock, self._observe = stateful, clock, observe

    async def settle(self, context: RequestContext) -> UsageRow:
        """Settle, also if the caller is cancelled meanwhile. One that waits for nothing needs no task for that."""
        keeps = context.kept(stateful=self._stateful) or context.recorded is not None
        if context.settled is not None and not keeps:
            return context.settled
        waits = keeps or (context.usage is None and self._reported(context) is None)
        return await (_undisturbed(self._settle_whole(context)) if waits else self._settle_whole(context))

    async def _settle_whole(self, context: RequestContext) -> UsageRow:
        """Settle, and remember what the provider keeps for the caller."""
        row = await self.bookkeep(context)
        if context.recorded is not None:
            await self._keep_content(context, row)
        if kept := context.kept(stateful=self._stateful):
            with suppress(StoreError):  # the answer cannot be continued then; the row tells of the outage
                await self._store.remember_issued(kept, IssuedObject(row.person_id, row.key, row.started_at))
        return row

    async def _keep_content(self, context: RequestContext, row: UsageRow) -> None:
        recorded, context.recorded = context.recorded, None
        assert recorded is not None, "only what is recorded is kept"
        until = row.started_at + context.bill.content_days * DAY
        asked, answered = context.call.request.body[:LONGEST], recorded()
        group, readers = context.bill.content_group, " ".join(context.bill.content_readers)
        content = Content(row.request_id, row.person_id, group, row.started_at, until, asked, answered, readers)
        try:
            await self._store.keep_content(content)
        except StoreError:
            log.warning("the content of request %s is not kept: the store is out of reach", row.request_id)

    async def bookkeep(self, context: RequestContext) -> UsageRow:
        """Give the key back and put the row on the ledger: once, whatever happens and however often this is called."""
        usage = await self.pay(context)
        if context.settled is None:
            row = context.settled = context.row(usage, self._clock())
            context.trace.state = row.status
            context.trace.settle(usage)
            self._reservations.settle(context.bill, row)
            self._observe(row)  # afterwards: an observer that fails cannot keep the row off the ledger
        return context.settled

    def set_free(self, context: RequestContext) -> UsageRow:
        """Give the key back for a response that goes on in the background: its flow pays what is expected.

        Returns its row as it stands.
        """
        expected = context.bill.guessed(context.input_estimate)
        context.lease.finish(Tokens(expected.input, 0, expected.output), complete=False)
        context.released = True
        return context.row(expected, self._clock())

    async def weigh(self, context: RequestContext) -> None:
        """Count a prompt whose words are not kept until the end."""
        await self._read(context)

    async def remember(self, context: RequestContext) -> None:
        """Note the maker of what the provider keeps of an answer that is not settled yet."""
        who, key = context.call.caller.person_id, context.lease.key.id
        with suppress(StoreError):  # as long as it is under way, its maker is known here
            await self._store.remember_issued(
                context.kept(stateful=self._stateful), IssuedObject(who, key, context.bill.at)
            )

    async def pay(self, context: RequestContext) -> Usage:
        """Let the flow pay what was used, and give the key back. Paying twice is paying once."""
        if context.usage is None:
            context.usage = await self._used(context)
            if context.claim is not None and not context.released:
                self._finish(context, context.claim, context.usage)
        return context.usage

    def _finish(self, context: RequestContext, lease: Leasing, usage: Usage) -> None:
        self._lengths.learn(context.call.request, context.call.caller.person_id, usage)
        self._admission.made(context.meter.made.seals, lease.key)
        tokens = Tokens(usage.input, usage.cached, usage.output)
        left = context.client_left and usage.estimated
        lease.finish(tokens, complete=context.outcome is Outcome.COMPLETED, left=left)

    async def attempted(self, context: RequestContext, error: str) -> Settled | None:
        """How an attempt is settled that has failed with a code and may have been billed, if another goes out after it.

        As much is held beside what is held for the request; None if its budgets have no room for that.
        """
        row = context.attempt_row(await self._used(context), self._clock(), error)
        return await self._reservations.beside(context.bill, row)

    def book(self, context: RequestContext, attempt: Settled) -> None:
        """Another attempt goes out: the one before is on the ledger from here on, with a row of its own."""
        self._reservations.book(context.bill, attempt)
        self._observe(attempt.row)
        context.perhaps_billed, context.meter = False, context.call.request.endpoint.meter()

    async def _used(self, context: RequestContext) -> Usage:
        used = self._reported(context) or await self._counted(context)
        return context.call.request.hosted.billed(used)

    def _reported(self, context: RequestContext) -> Usage | None:
        """The usage as far as it is known without counting: the upstream's own figures, or that nothing was billed."""
        if context.meter.usage is None:
            return None if context.perhaps_billed else Usage()
        return completed(context.meter.usage, context.call.request.extent, context.input_estimate)

    async def _counted(self, context: RequestContext) -> Usage:
        before = context.meter.opening or Usage(input=await self._read(context))
        beside = context.meter.beside()
        delivered = Prompt((context.meter.delivered(),), 0)
        output = await self._tokenizer.count(delivered, context.call.request.model, context.call.caller.person_id)
        request = context.call.request
        ended = context.outcome is Outcome.COMPLETED and not context.client_left
        if not ended and request.endpoint.writes and hides(context):
            most = published(request.model).output if request.max_tokens is None else request.max_tokens
            output += hidden(context.worked(self._clock()), output, most * request.choices)
        tier, geo = beside.tier or before.tier, beside.geo or before.geo
        before = replace(before, tools=beside.tools, tier=tier, geo=geo)
        return unreported(request.extent, before, output, await _heard(context))

    async def _read(self, context: RequestContext) -> int:
        """The tokens of its prompt, by a tokenizer: they are billed."""
        if not context.length.counted:
            context.length = await self._lengths.count(context.call.request, context.call.caller.person_id)
        return context.length.tokens


async def _heard(context: RequestContext) -> Sound | None:
    """How long the sound is that came, if it was to be spoken. A long one is looked at beside the event loop."""
    meter = context.meter
    if not isinstance(meter, Speech) or not meter.spoken:
        return None
    spoken = meter.spoken
    return sound_of(spoken) if len(spoken) <= INLINE_SOUND else await asyncio.to_thread(sound_of, spoken)


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
