"""The attempts of one request: key after key, until one answers.

Only what failed before its first byte went to the client is tried again. Each attempt is noted durably before it goes
out; one that failed and may have been billed is paid before the next one begins, and where a budget has no room for
that, it was the last. An upstream that refuses a field which fairgate has put in is no failure of its key: the
request goes out again in the form that the upstream takes, and the upstream is remembered for that.

A request with the caller's own key has one attempt, and whatever comes of it is the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from keypool.keys import Key
from keypool.limits import windows
from keypool.verdict import USED_UP
from server.accounting.reservations import Reservations
from server.ledger.usage import OWN, Outcome
from server.relay.admission import INLINE_BODY, Bounds
from server.relay.context import ClientLeft, RequestContext, Sink
from server.relay.holds import MAX_TOKENS
from server.relay.keepalive import Keepalive
from server.relay.passthrough import PassedAnswer
from server.relay.response import FieldRefused, Response
from server.relay.settlement import Settling
from server.upstream import Answer, AttemptFailed, Broken, Upstreams
from server.wire.added import Unwanted
from server.wire.errors import AccountingUnavailable, Disconnected, NoKey, Refusal
from server.wire.model_name import sent_as
from server.wire.own_keys import OwnKey
from server.wire.request import Request
from server.wire.shorter import our_bound
from server.wire.unreported import may_be_billed
from server.wire.usage import Usage

NOTHING_USED = Usage()


class Attempts:
    """Makes attempts. `clock` is monotonic seconds, `wall` UTC milliseconds."""

    def __init__(
        self,
        upstreams: Upstreams,
        reservations: Reservations,
        settlement: Settling,
        bounds: Bounds,
        clock: Callable[[], float],
        wall: Callable[[], int],
    ) -> None:
        self._upstreams, self._reservations, self._settlement = upstreams, reservations, settlement
        self._bounds, self._clock, self._wall = bounds, clock, wall
        self._unwanted = Unwanted()

    async def run(self, context: RequestContext, sink: Sink, keepalive: Keepalive) -> None:
        """Try keys until one answers. Only what failed before its first byte is tried again."""
        call = context.call
        if call.own_key is not None:
            await self._pass_through(context, call.own_key, sink, keepalive)
            return
        refused: set[str] = set()  # fields of our own, by the upstream whose turn it is
        while True:
            if context.sent:  # the meter of the first attempt is there, and of what failed none is used again
                context.meter = call.request.endpoint.meter()
            key = context.lease.key
            request = await self._named(context, self._fitted(context, key, refused))
            try:
                await self._cleared(context)
                sending = self._upstreams.send(key, request, call.passed, call.query, context.sent_again)
                async with sending as answer:
                    await self._response(context, request, answer, sink, keepalive).run()
                    self._learn(context, refused)
                    return
            except AccountingUnavailable:
                context.outcome = Outcome.FAILED  # if an attempt went out before: no client has cancelled it
                raise
            except FieldRefused as field:
                self._refused(context, field, refused)
                context.trace.attempts.append({"key": key.id, "refused": field.name})
            except AttemptFailed as failure:
                refused.clear()
                context.shorter = None
                self._failed(context, failure)
                if context.client_left:  # no client waits for another key's answer
                    raise ClientLeft from failure
                context.trace.attempts.append({"key": context.lease.key.id, "failed": failure.refusal.code})
                await self._another_key(context, failure)

    async def _pass_through(self, context: RequestContext, own_key: OwnKey, sink: Sink, keepalive: Keepalive) -> None:
        """Make the only attempt of a request with the caller's own key. Raises Refusal, ClientLeft."""
        self._reservations.dispatched(context.bill, context.row_if_interrupted(NOTHING_USED, self._clock()))
        context.sends, context.sent_at = 1, self._clock()
        body, longest, settle = context.call.request.body, self._bounds.answer_bytes, self._settlement.bookkeep
        try:
            async with self._upstreams.pass_through(own_key.method, own_key.url, own_key.headers, body) as answer:
                await PassedAnswer(context, answer, sink, keepalive, settle, longest, self._clock).run()
        except AttemptFailed as failure:
            context.outcome = Outcome.FAILED
            context.trace.attempts.append({"key": OWN, "failed": failure.refusal.code})
            raise failure.refusal from None
        except Broken:
            context.outcome = Outcome.CUT
            raise Disconnected from None

    async def _named(self, context: RequestContext, request: Request) -> Request:
        """The request with the upstream's own name of its model. A long body is written beside the event loop."""
        key = context.lease.key
        name = context.name_sent = self._upstreams.name_of(key, request.model)
        context.states_bill = self._upstreams.states_bill(key)
        if name == request.model:
            return request
        if len(request.body) <= INLINE_BODY:
            return sent_as(request, name)
        return await asyncio.to_thread(sent_as, request, name)

    def _fitted(self, context: RequestContext, key: Key, refused: Collection[str]) -> Request:
        """The request as this upstream takes it, as far as what we have put into it is concerned."""
        request, now, upstream = context.call.request, self._clock(), key.upstream
        refused = self._upstreams.refused_by(key).intersection(request.added).union(refused)
        bounded = self._unwanted.bounded(request, upstream, now, context.input_estimate, context.shorter)
        if our_bound(request) is not None:
            context.bill.headers[MAX_TOKENS] = str(bounded.max_tokens)
        return self._unwanted.fitted(bounded, upstream, now, refused)

    def _refused(self, context: RequestContext, field: FieldRefused, refused: set[str]) -> None:
        """The upstream refuses what we have put into the request: it goes out again, as this upstream takes it."""
        if field.shorter is None:
            refused.add(field.name)
        else:
            context.shorter = field.shorter
        context.perhaps_billed = False

    async def _cleared(self, context: RequestContext) -> None:
        """Note durably that it goes out now. A key whose upstream has used its money up is passed over."""
        if not await self._reservations.clear(context.bill, context.lease.key.upstream):
            raise AttemptFailed(USED_UP, NoKey())
        guess = context.bill.guessed(context.input_estimate)
        self._reservations.dispatched(context.bill, context.row_if_interrupted(guess, self._clock()))
        context.sends += 1
        context.sent_at, context.failed_at, context.perhaps_billed = self._clock(), None, True

    def _learn(self, context: RequestContext, refused: Iterable[str]) -> None:
        """The upstream has answered without these fields of ours: it is not sent them again for a while."""
        if context.outcome is Outcome.COMPLETED:
            if context.shorter is not None:
                upstream = context.lease.key.upstream
                self._unwanted.shortened(upstream, context.call.request, context.shorter, self._clock())
            for field in refused:
                self._unwanted.note(context.lease.key.upstream, context.call.request, field, self._clock())

    def _response(
        self, context: RequestContext, sent: Request, answer: Answer, sink: Sink, keepalive: Keepalive
    ) -> Response:
        longest, held, settle = self._bounds.answer_bytes, self._bounds.timing.opening, self._settlement.bookkeep
        return Response(context, sent, answer, sink, keepalive, settle, longest, held, self._clock, self._wall)

    def _failed(self, context: RequestContext, failure: AttemptFailed) -> None:
        """Note when an attempt has failed, and whether it may have been billed."""
        context.failed_at = self._clock()
        seconds = context.worked(context.failed_at)
        context.perhaps_billed = may_be_billed(began=failure.billed, gone=failure.gone, seconds=seconds)

    async def _another_key(self, context: RequestContext, failure: AttemptFailed) -> None:
        """Wait for another key. The possible bill of the attempt before is paid first, or else by the request."""
        limits, verdict = windows(failure.headers, self._wall() / 1000), failure.verdict
        attempt = None
        if context.perhaps_billed and not verdict.final:
            attempt = await self._settlement.attempted(context, failure.refusal.code)
            verdict = replace(verdict, final=attempt is None)
        try:
            await context.lease.again(verdict, failure.refusal, limits)
        except BaseException as ending:
            if attempt is not None:
                self._reservations.not_needed(context.bill, attempt.row.request_id)
            if isinstance(ending, Refusal):
                context.outcome = Outcome.FAILED
            raise
        if attempt is not None:
            self._settlement.book(context, attempt)
