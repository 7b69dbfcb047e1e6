"""How a dispatched request is settled: once, whatever happens, and by the upstream's own figures where there are any.

Else what is billed is the input and the delivered text as counted here, flagged as estimated; an upstream's error is
not billed. The flow pays and the key goes back first, then the row is put on the ledger, then whoever observes hears of
it. What the provider keeps for the caller is remembered with its maker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from keypool.estimates import Tokens
from server.accounting.reservations import Cashier
from server.ledger.usage import Outcome, UsageRow
from server.relay.admission import Intake
from server.relay.content_log import LONGEST
from server.relay.context import Story
from server.relay.drain import hides
from server.store.base import Content, Issued, Store, StoreError
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


class Settlement:
    """Settles requests. `clock` is monotonic seconds; `stateful`: providers may keep answers for those who made them.

    `observe` sees every row that is settled.
    """

    def __init__(
        self,
        store: Store,
        tokenizer: Tokenizer,
        cashier: Cashier,
        intake: Intake,
        stateful: bool,
        clock: Callable[[], float],
        observe: Callable[[UsageRow], None],
    ) -> None:
        self._store, self._tokenizer, self._cashier, self._intake = store, tokenizer, cashier, intake
        self._stateful, self._clock, self._observe = stateful, clock, observe

    async def settle(self, story: Story) -> UsageRow:
        """Settle, whoever leaves meanwhile. What does not wait for anything needs no task of its own for that."""
        keeps = self.kept_by(story) or story.recorded is not None
        if story.settled is not None and not keeps:
            return story.settled
        waits = keeps or (story.usage is None and self._reported(story) is None)
        return await (_undisturbed(self._settle_whole(story)) if waits else self._settle_whole(story))

    async def _settle_whole(self, story: Story) -> UsageRow:
        """Settle, and remember what the provider keeps for the caller."""
        row = await self.bookkeep(story)
        if story.recorded is not None:
            await self._keep_content(story, row)
        if kept := self.kept_by(story):
            with suppress(StoreError):  # the answer cannot be continued then; the row tells of the outage
                await self._store.remember_issued(kept, Issued(row.person_id, row.key, row.started_at))
        return row

    async def _keep_content(self, story: Story, row: UsageRow) -> None:
        recorded, story.recorded = story.recorded, None
        assert recorded is not None, "only what is recorded is kept"
        until = row.started_at + story.bill.content_days * DAY
        asked, answered = story.call.request.body[:LONGEST], recorded()
        content = Content(
            row.request_id, row.person_id, story.bill.content_group, row.started_at, until, asked, answered
        )
        try:
            await self._store.keep_content(content)
        except StoreError:
            log.warning("the content of request %s is not kept: the store is out of reach", row.request_id)

    async def bookkeep(self, story: Story) -> UsageRow:
        """Give the key back and put the row on the ledger: once, whatever happens and however often this is called."""
        usage = await self.pay(story)
        if story.settled is None:
            row = story.settled = story.row(usage, self._clock())
            story.account.state = row.status
            story.account.settle(usage)
            self._cashier.settle(story.bill, row)
            self._observe(row)  # afterwards: whoever looks on cannot keep it off the ledger
        return story.settled

    async def pay(self, story: Story) -> Usage:
        """Let the flow pay what was used, and give the key back. Paying twice is paying once."""
        if story.usage is None:
            used = self._reported(story) or await self._counted(story)
            story.usage = story.call.request.hosted.billed(used)
            self._intake.made(story.meter.made.seals, story.lease.key)
            tokens = Tokens(story.usage.input, story.usage.cached, story.usage.output)
            left = story.client_left and story.usage.estimated
            story.lease.finish(tokens, complete=story.outcome is Outcome.COMPLETED, left=left)
        return story.usage

    def kept_by(self, story: Story) -> tuple[str, ...]:
        """The ids of what the provider keeps of an answer, and its maker may name."""
        if not self._stateful:
            return ()
        made = story.meter.made
        return (*made.answer, *made.objects) if story.call.request.kept else made.objects

    def _reported(self, story: Story) -> Usage | None:
        """What is known without counting: the upstream's own figures, or that nothing was billed."""
        if story.meter.usage is None:
            return None if story.perhaps_billed else Usage()
        return completed(story.meter.usage, story.call.request.extent, story.input_estimate)

    async def _counted(self, story: Story) -> Usage:
        before = story.meter.opening or Usage(input=story.input_estimate)
        beside = story.meter.beside()
        delivered = Prompt((story.meter.delivered(),), 0)
        output = await self._tokenizer.count(delivered, story.call.request.model)
        request = story.call.request
        if story.client_left and request.endpoint.output_limits and hides(story):
            most = published(request.model).output if request.max_tokens is None else request.max_tokens
            output += hidden(self._clock() - story.sent_at, output, most * request.choices)
        tier, geo = beside.tier or before.tier, beside.geo or before.geo
        before = replace(before, tools=beside.tools, tier=tier, geo=geo)
        return unreported(request.extent, before, output, await _heard(story))


async def _heard(story: Story) -> Sound | None:
    """How long the sound is that came, if it was to be spoken. A long one is looked at beside the event loop."""
    meter = story.meter
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
