"""Responses that are made in the background: their maker has an answer at once, and their provider works on.

    POST /v1/responses {"background": true}     answered: queued      the key goes back, the hold stays
    GET  /v1/responses/{id}, now and then       in_progress ...       asked here, with the same key
    GET  /v1/responses/{id}                     completed             billed by its figures, like every other answer

What such a response costs is known when it has ended, so a watcher asks until then: after half a second first, and then
more and more seldom. Its maker's own question wakes the watcher. A stream with `background` whose client has left goes
on at the provider, too, and is watched in the same way.

A response that has not ended in time is cancelled, so that nothing is generated that is not billed. One whose end is
never seen (its provider has forgotten it, or goes on while the gateway stops) is billed as an answer that broke off: by
the time. A gateway that stops asks once more before that.
The slot of the key is free meanwhile, since background work takes none of the provider's connections; so one person may
have only a few of them at a time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from server.accounting.reservations import Reservations
from server.ledger.usage import Outcome, UsageRow
from server.relay.context import RequestContext
from server.relay.settlement import Settling
from server.relay.under_way import UnderWay
from server.store.base import Caller
from server.upstream import AttemptFailed, Broken, TooLong, Upstreams
from server.wire.errors import TooManyInBackground
from server.wire.kept import ended

MOST = 1_000  # in all
MOST_OF_A_PERSON = 16
FIRST_SECONDS, MOST_SECONDS, GROWTH = 0.5, 15.0, 1.5  # between two questions
LAST_SECONDS = 2.0  # for the question that is asked when the gateway stops
GONE = frozenset({404, 410})
OUTCOMES = {"completed": Outcome.COMPLETED, "incomplete": Outcome.COMPLETED, "failed": Outcome.FAILED}


class Background:
    """Watches them to their ends. `seconds`: the longest time for one; `longest`: bytes of an answer.

    `clock` is monotonic seconds.
    """

    def __init__(
        self,
        upstreams: Upstreams,
        settlement: Settling,
        reservations: Reservations,
        under_way: UnderWay,
        seconds: float,
        longest: int,
        clock: Callable[[], float],
    ) -> None:
        self._upstreams, self._settlement, self._reservations = upstreams, settlement, reservations
        self._under_way, self._seconds, self._longest, self._clock = under_way, seconds, longest, clock
        self._stopping = False
        self._persons: Counter[str] = Counter()
        self._wakes: dict[str, asyncio.Event] = {}  # by the response's id
        self.tasks: dict[str, asyncio.Task[None]] = {}  # by the request's id

    def insist_on_room(self, caller: Caller) -> None:
        """Raises TooManyInBackground if this person, or all together, have as many as may be."""
        if len(self.tasks) >= MOST or self._persons[caller.person_id] >= MOST_OF_A_PERSON:
            raise TooManyInBackground

    def watches(self, response_id: str) -> bool:
        """Whether a response has not ended yet, as far as is known here."""
        return response_id in self._wakes

    def wake(self, response_id: str) -> None:
        """Its maker has asked for a response, so it may have ended."""
        if (wake := self._wakes.get(response_id)) is not None:
            wake.set()

    def watch(self, context: RequestContext) -> UsageRow:
        """See to a request whose response goes on in the background; returns its row as it stands."""
        row = self._settlement.set_free(context)
        context.client_left = False  # which ends nothing here
        self._persons[context.call.caller.person_id] += 1
        self._wakes[context.meter.made.answer[0]] = asyncio.Event()
        self.tasks[context.call.id] = asyncio.create_task(self._watched(context))
        return row

    def stop(self) -> None:
        """End all watches: what they wait for is billed as far as is known."""
        self._stopping = True
        for wake in self._wakes.values():
            wake.set()

    def ending(self) -> set[asyncio.Task[None]]:
        """The watches that end now, because the gateway stops."""
        return set(self.tasks.values()) if self._stopping else set()

    async def _watched(self, context: RequestContext) -> None:
        request_id, response_id = context.call.id, context.meter.made.answer[0]
        try:
            await self._settlement.remember(context)
            await self._settlement.weigh(context)
            if context.recorded is None:
                context.set_down()
            await self._until_ended(context, response_id)
        finally:
            del self._wakes[response_id]
            try:
                await self._settlement.settle(context)
            finally:
                self._reservations.close(context.bill)
                self._under_way.contexts.pop(request_id, None)
                self._persons[context.call.caller.person_id] -= 1
                self._persons += Counter()  # forgets those who have none
                del self.tasks[request_id]

    async def _until_ended(self, context: RequestContext, response_id: str) -> None:
        """Ask until the response is over, or its time."""
        context.outcome = Outcome.CUT
        deadline, pause = self._clock() + self._seconds, FIRST_SECONDS
        while not self._stopping:
            wake = self._wakes[response_id]
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(pause, deadline - self._clock()))):
                    await wake.wait()
            wake.clear()
            if self._stopping:
                break
            if await self._is_over(context, "GET", f"/responses/{response_id}"):
                return
            if self._clock() >= deadline:
                await self._is_over(context, "POST", f"/responses/{response_id}/cancel")
                return
            pause = min(pause * GROWTH, MOST_SECONDS)
        await self._last_look(context, response_id)

    async def _last_look(self, context: RequestContext, response_id: str) -> None:
        """The gateway stops: what has ended meanwhile is billed by its figures."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await self._is_over(context, "GET", f"/responses/{response_id}")

    async def _is_over(self, context: RequestContext, method: str, path: str) -> bool:
        """Ask once, and note the figures of a response that has ended. An upstream that fails is asked again."""
        dialect, key = context.call.request.endpoint.dialect, context.lease.key
        try:
            async with self._upstreams.reach(key.id, dialect, method, path) as answer:
                if answer.status in GONE:
                    return True
                body = await answer.whole(self._longest) if answer.status < 400 else b""
        except (AttemptFailed, Broken, TooLong):
            return False
        if (status := ended(body)) is None:
            return False
        _take(context, status, body)
        return True


def _take(context: RequestContext, status: str, body: bytes) -> None:
    """Note how a response has ended. One that failed and reports no figures is not billed, like every failure."""
    began = context.meter.output_pieces > 0
    context.meter = context.call.request.endpoint.meter()
    context.meter.answer(body)
    context.outcome = OUTCOMES.get(status, Outcome.CANCELLED)
    context.perhaps_billed = began or context.outcome is not Outcome.FAILED
