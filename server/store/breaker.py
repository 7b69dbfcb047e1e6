"""A store that is slow or away must not make all callers wait: the few verbs that stand before an answer give up early.

A call that takes longer than the patience fails. After `FAILURES` of them within `WITHIN` seconds the breaker opens:
calls fail at once, and the store has a rest. Then one call may try; how that ends decides for all.

    state    failed                    succeeded   rest is over
    CLOSED   OPEN, if there were       CLOSED
             FAILURES lately
    OPEN                                           TRIAL, for the next call
    TRIAL    OPEN                      CLOSED

Every change of state begins a new round, and only calls of the present round are heard: how an old call ends, which
waited through half an outage, says nothing about now.

Only `AT_ONCE` calls are under way; the others wait for their turn, and their patience begins with it. A thousand people
who come at once would else make each other's calls slow, and the store would seem to be away.

A call that was given up may have been carried out all the same. For a look-up that does not matter. A caller that
gave up a `reserve` gives back later what it may hold; should that fail, too, it expires.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from server.ledger.quota import Escrowed, Exceeded, Letter, Reservation, Reserved
from server.store.base import Store
from server.store.patience import TooSlow, in_time
from server.store.records import Credential, IssuedObject, StoreError

T = TypeVar("T")

FAILURES = 5
WITHIN = 2.0
REST = 1.0
AT_ONCE = 32


class BreakerState(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"  # all calls go through
    OPEN = "open"  # none does
    TRIAL = "trial"  # one does, and all wait for its end


@dataclass(slots=True)
class BreakerCounts:
    """Since the start. `failures` includes the slow ones; `rejected` calls never reached the store."""

    failures: int = 0
    slow: int = 0
    rejected: int = 0
    opened: int = 0


class Breaker:
    """The state machine. Times are seconds, monotonic."""

    def __init__(self) -> None:
        self.state = BreakerState.CLOSED
        self._round = 0
        self._failed_at: deque[float] = deque(maxlen=FAILURES)
        self._rests_until = 0.0

    def admit(self, now: float) -> int | None:
        """May a call be made? Its round, to be named when it has ended; None if not."""
        if self.state is BreakerState.OPEN and now >= self._rests_until:
            self._become(BreakerState.TRIAL)
            return self._round
        return self._round if self.state is BreakerState.CLOSED else None

    def succeeded(self, called_in: int) -> None:
        """The store has answered, whatever it said."""
        if called_in == self._round and self.state is BreakerState.TRIAL:
            self._become(BreakerState.CLOSED)

    def failed(self, called_in: int, now: float) -> bool:
        """The store did not answer in time, or said that it cannot. True if it is left alone from now on."""
        if called_in != self._round:
            return False
        self._failed_at.append(now)
        lately = len(self._failed_at) == FAILURES and now - self._failed_at[0] <= WITHIN
        if self.state is BreakerState.TRIAL or lately:
            self._rests_until = now + REST
            self._become(BreakerState.OPEN)
            return True
        return False

    def abandoned(self, called_in: int) -> None:
        """The caller left, so the call has no result. If it was the trial, the next call is the trial."""
        if called_in == self._round and self.state is BreakerState.TRIAL:
            self._become(BreakerState.OPEN)

    def _become(self, state: BreakerState) -> None:
        self.state = state
        self._round += 1
        self._failed_at.clear()


class Guarded:
    """The verbs of a store that stand before an answer; in its turn each raises `StoreError` within `patience` seconds.

    `clock` is seconds, monotonic.
    """

    def __init__(self, store: Store, patience: float, clock: Callable[[], float]) -> None:
        self._store, self._patience, self._clock = store, patience, clock
        self._breaker = Breaker()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self.counts = BreakerCounts()

    @property
    def state(self) -> BreakerState:
        return self._breaker.state

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make any call of a store that is worth no longer wait. Raises what it raises, and `StoreError`."""
        async with self._turns:
            return await self._asked(call)

    async def _asked(self, call: Callable[[], Awaitable[T]]) -> T:
        called_in = self._breaker.admit(self._clock())
        if called_in is None:
            self.counts.rejected += 1
            raise StoreError("the store is out of reach; it will be tried again soon")
        try:
            answer = await in_time(call, self._patience)
        except StoreError as error:
            self.counts.failures += 1
            self.counts.slow += isinstance(error, TooSlow)
            self.counts.opened += self._breaker.failed(called_in, self._clock())
            raise
        except asyncio.CancelledError:
            self._breaker.abandoned(called_in)
            raise
        except Exception:
            self._breaker.succeeded(called_in)
            raise
        self._breaker.succeeded(called_in)
        return answer

    async def token_by_hash(self, digest: bytes) -> Credential | None:
        return await self.ask(lambda: self._store.token_by_hash(digest))

    async def reserve(self, reservation: Reservation) -> Reserved | Exceeded:
        return await self.ask(lambda: self._store.reserve(reservation))

    async def write(self, letters: Sequence[Letter]) -> list[bool | Exception]:
        return await self.ask(lambda: self._store.write(letters))

    async def escrowed(self, counters: Sequence[str]) -> list[Escrowed]:
        return await self.ask(lambda: self._store.escrowed(counters))

    async def call_back(self, counter: str) -> None:
        await self.ask(lambda: self._store.call_back(counter))

    async def taken(self, counters: Sequence[str]) -> list[int]:
        return await self.ask(lambda: self._store.taken(counters))

    async def issued(self, object_ids: Collection[str]) -> dict[str, IssuedObject]:
        return await self.ask(lambda: self._store.issued(object_ids))
