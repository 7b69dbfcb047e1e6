"""The pool plus futures plus exactly one timer.

The pool decides; this module carries its decisions out: a Grant or a refusal wakes the request that waits for it, and
the timer is set to the pool's next wake-up. A `Lease` is one request's claim from the queue to its end. It is a context
manager, so that a caller who leaves at any point gives back what it held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Self

from keypool.estimates import Tokens
from keypool.health import KeyEvent
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.live import MOST, LiveRequest, live
from keypool.pool import Ask, Decision, GiveUp, Grant, Pool, Reason, Refuse
from keypool.queues import Forecast
from keypool.snapshot import PoolSnapshot
from keypool.ticket import Ticket
from keypool.verdict import Verdict
from server.wire.errors import NoKey, QueueFull, QueueTimeout, Refusal, TooManyTokens, WaitTooLong

REFUSALS: dict[Reason, type[Refusal]] = {
    Reason.QUEUE_FULL: QueueFull,
    Reason.TIMED_OUT: QueueTimeout,
    Reason.TOO_LONG: WaitTooLong,
    Reason.NO_KEY: NoKey,
    Reason.TOO_LARGE: TooManyTokens,
}


SUSPICIOUS = frozenset({KeyEvent.FAILED, KeyEvent.KEY_REFUSED})  # what a free check may explain


class Dispatcher:
    """Runs a pool on an event loop."""

    connected = True  # the pool is here

    def __init__(self, pool: Pool, clock: Callable[[], float]) -> None:
        self.pool, self.keyring = pool, pool.keyring
        self._clock = clock
        self._waiting: dict[str, asyncio.Future[Grant | GiveUp | Refuse]] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None

    def report_to(self, listener: Callable[[str], None]) -> None:
        """Have a listener hear which key has failed a request."""
        self._listeners.append(listener)

    def suspect(self, key_id: str) -> None:
        """A key has failed a request."""
        for listener in self._listeners:
            listener(key_id)

    def lease(self, ask: Ask) -> Lease:
        """Claim a key: `async with dispatcher.lease(ask) as lease`. Raises GatewayBusy instead of waiting in vain."""
        return Lease(self, ask)

    def learn(self, key_id: str, event: KeyEvent, model: str = "") -> None:
        """Tell the pool what a check or the operator says about a key."""
        self.carry_out(self.pool.learn(key_id, event, self._clock(), model))

    def offer(self, upstream: str, models: Iterable[str]) -> None:
        """Tell the pool which models an upstream has."""
        self.carry_out(self.pool.offer(upstream, frozenset(models), self._clock()))

    def add(self, key: Key) -> None:
        """A key has come."""
        self.carry_out(self.pool.add(key, self._clock()))

    def retune(self, terms: Key) -> None:
        """A key has other terms; what it is serving ends undisturbed."""
        self.carry_out(self.pool.retune(terms, self._clock()))

    def remove(self, key_id: str) -> None:
        """A key goes; what it is serving ends undisturbed."""
        self.carry_out(self.pool.remove(key_id, self._clock()))

    async def forecast(self, ask: Ask) -> Forecast:
        """The place and the wait of a request that came now. Changes nothing."""
        return self.pool.admission.forecast(ask, self._clock())

    async def live(self, most: int = MOST) -> list[LiveRequest]:
        """The requests of this moment, for an administrator."""
        return live(self.pool, self._clock(), most)

    def snapshot(self) -> PoolSnapshot:
        return self.pool.snapshot(self._clock())

    def place(self, request_id: str) -> Ticket | None:
        """Where a request stands; None if it neither waits nor has a key."""
        return self.pool.tickets.get(request_id)

    def usual_output(self, person: str, model: str) -> int:
        """Tokens that an answer to a person usually has."""
        return self.pool.pricing.lengths.expect(person, model, None)

    def persons(self) -> frozenset[str]:
        """Those whose requests wait or are being answered."""
        return frozenset(ticket.person for ticket in self.pool.tickets.values())

    def now(self) -> float:
        return self._clock()

    @property
    def idle(self) -> bool:
        """Whether no request waits and none runs."""
        return not self.pool.tickets and not self._waiting

    def close(self) -> None:
        """Set no further timer for what waits now."""
        if self._timer is not None:
            self._timer.cancel()
        self._due = self._timer = None

    def expect(self, ticket: Ticket) -> asyncio.Future[Grant | GiveUp | Refuse]:
        """The future of the next decision about a ticket."""
        future: asyncio.Future[Grant | GiveUp | Refuse] = asyncio.get_running_loop().create_future()
        self._waiting[ticket.id] = future
        return future

    def forget(self, ticket: Ticket) -> None:
        self._waiting.pop(ticket.id, None)

    def carry_out(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            future = self._waiting.pop(decision.ticket.id, None)
            if future is not None and not future.done():
                future.set_result(decision)
        self._arm()

    def _arm(self) -> None:
        """Set the timer, unless it rings in time already: once too early is cheaper than anew for each that waits."""
        due = self.pool.next_wakeup()
        if due is not None and self._due is not None and self._due <= due:
            return
        if self._due is not None:
            self.close()
        if due is None:
            return
        # A millisecond late rather than early: event loops round, and an early timer would find nothing to do.
        delay = max(0.0, due - self._clock()) + 0.001
        self._due, self._timer = due, asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        self._due = self._timer = None
        self.carry_out(self.pool.tick(self._clock()))


class Lease:
    """One request's claim to a key. `key` is the key that was granted last."""

    key: Key
    ticket: Ticket

    def __init__(self, dispatcher: Dispatcher, ask: Ask) -> None:
        self._dispatcher = dispatcher
        self._pool = dispatcher.pool
        self._ask = ask

    @property
    def queue_seconds(self) -> float:
        """How long it waited for the key that it has."""
        return self.ticket.granted - self.ticket.submitted

    async def __aenter__(self) -> Self:
        self.ticket, decisions = self._pool.submit(self._ask, self._dispatcher.now())
        await self._decided(decisions, None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandon()

    @property
    def position(self) -> int:
        """Its place in the queue when it came, from 1; 0 if it did not wait."""
        return self.ticket.position

    async def placed(self) -> None:
        """Return when it is known whether it waits: here that is known at once."""

    async def outlook(self) -> Forecast | None:
        """Where it stands in the queue now; None when it does not wait."""
        return self._pool.admission.outlook(self.ticket, self._dispatcher.now()) if self.ticket.waiting else None

    def answered(self, limits: Mapping[LimitMeasure, RateWindow]) -> None:
        """The upstream has begun a good answer, and its headers tell these limits."""
        self._dispatcher.carry_out(self._pool.answered(self.ticket, self._dispatcher.now(), limits))

    def progress(self, output: int) -> None:
        """The answer has grown to `output` tokens."""
        self._pool.progress(self.ticket, output)

    def finish(self, used: Tokens, *, complete: bool, left: bool = False) -> None:
        """The request has ended; its flow pays for what it used. Only complete answers teach how long answers are.

        `left`: its caller gave it up, and `used` is only what was counted here.
        """
        if self.ticket.id not in self._pool.tickets:
            return
        now = self._dispatcher.now()
        if complete:
            self._dispatcher.carry_out(self._pool.finish(self.ticket, used, now))
        else:
            self._dispatcher.carry_out(self._pool.break_off(self.ticket, used, now, left=left))

    async def again(self, verdict: Verdict, refusal: Refusal, limits: Mapping[LimitMeasure, RateWindow]) -> None:
        """An attempt failed before its first byte: wait for another key, or raise `refusal` when there is none."""
        if verdict.event in SUSPICIOUS:
            self._dispatcher.suspect(self.key.id)
        await self._decided(self._pool.failed(self.ticket, verdict, self._dispatcher.now(), limits), refusal)

    def rejected(self, verdict: Verdict, limits: Mapping[LimitMeasure, RateWindow]) -> None:
        """The upstream has rejected the request by the request's own fault."""
        self._pool.rejected(self.ticket, verdict, self._dispatcher.now(), limits)

    def broke(self) -> None:
        """The upstream broke the answer off after its first byte. `finish` is to follow."""
        self._dispatcher.suspect(self.key.id)
        self._dispatcher.carry_out(self._pool.broke(self.ticket, self._dispatcher.now()))

    async def _decided(self, decisions: Iterable[Decision], refusal: Refusal | None) -> None:
        future = self._dispatcher.expect(self.ticket)
        try:
            self._dispatcher.carry_out(decisions)
            decision = await future
        except BaseException:
            self._abandon()
            raise
        if isinstance(decision, Grant):
            self.key = decision.key
        elif isinstance(decision, Refuse):
            raise REFUSALS[decision.reason](retry_after=decision.retry_after)
        else:
            assert refusal is not None, "only a failed attempt is given up"
            if isinstance(refusal, NoKey) and (
                wait := self._pool.admission.opens_in(self.ticket, self._dispatcher.now())
            ):
                refusal.retry_after = wait
            raise refusal

    def _abandon(self) -> None:
        """Give back whatever is still held; nothing when the request has ended properly."""
        self._dispatcher.forget(self.ticket)
        self._dispatcher.carry_out(self._pool.cancel(self.ticket, self._dispatcher.now()))
