"""The holds of requests: from escrow in memory, else in the store. `server/ledger/escrow.py` has the theory.

A hold that fits into this gateway's escrow on all its counters waits for nothing. Any other goes to the store. If that
refuses it, and the amount in escrows would have been enough, then

* the free part of this gateway's escrow goes back at once, and the store is asked again;
* if the rest lies with other gateways, they are called back. They see it at their next heartbeat. The request asks
  again every `ASK_AGAIN` seconds, for at most `PATIENCE` seconds. Then it is refused.

So no request is refused for an amount that lies idle elsewhere, unless the other gateway misses two heartbeats in a
row. The escrow of a gateway that died is not idle: it may have been spent. It is given back when it expires.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.ledger.escrow import Escrows
from server.ledger.quota import Charge, Escrowed, Exceeded, Hold, Letter, Release, Reservation, Reserved
from server.store.base import StoreError

log = logging.getLogger("fairgate")

HEARTBEAT = 1.0  # seconds between two looks at what should be taken, and what is called back
ASK_AGAIN = 0.5
PATIENCE = 2.5
LIFETIME = 60_000  # milliseconds that a reservation outlives the longest request
LOOKED_AT = 500  # counters, with one question


@dataclass(frozen=True, slots=True)
class ReservationTerms:
    """`holder` names this life of this process; `longest` is milliseconds from a request's arrival to its end."""

    holder: str
    longest: int


class EscrowStore(Protocol):
    """The part of a store that is needed here. No verb makes its caller wait for long. All raise StoreError."""

    def reserve(self, reservation: Reservation) -> Awaitable[Reserved | Exceeded]: ...

    def write(self, letters: Sequence[Letter]) -> Awaitable[list[bool | Exception]]: ...

    def escrowed(self, counters: Sequence[str]) -> Awaitable[list[Escrowed]]: ...

    def call_back(self, counter: str) -> Awaitable[None]: ...


class EscrowKeeper:
    """Holds for requests, and sees to it that there is escrow to hold from. `post` writes behind the answers.

    `limits` is all that is decided: when it is another, all escrow goes back. `wall` is UTC milliseconds, `sleep` waits
    for seconds.
    """

    def __init__(
        self,
        store: EscrowStore,
        escrows: Escrows,
        post: Callable[[Letter], None],
        terms: ReservationTerms,
        limits: Callable[[], object],
        wall: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store, self._escrows, self._post, self._terms = store, escrows, post, terms
        self._limits, self._wall, self._sleep = limits, wall, sleep
        self._decided = limits()
        self._asked: set[str] = set()  # requests for which the store may hold something

    @property
    def holding(self) -> int:
        """Requests under way that hold something."""
        return len(self._asked.union(self._escrows.holding))

    @property
    def live(self) -> int:
        """Counters from which may be held here."""
        return self._escrows.live

    def in_use(self, counter: str) -> int:
        """The amount that requests of this gateway hold there from escrow, or used and the store does not know yet."""
        return self._escrows.in_use(counter)

    async def hold(self, request_id: str, at: int, holds: tuple[Hold, ...]) -> Reserved | Exceeded:
        """Hold all or nothing. `at`: the request's arrival. Raises StoreError; then the store may hold something."""
        held = self.hold_here(request_id, holds)
        return await self._hold_in_store(request_id, at, holds) if held is None else held

    def hold_here(self, request_id: str, holds: tuple[Hold, ...]) -> Reserved | None:
        """Hold all from what lies here; None, and nothing is held, if that is not enough."""
        return self._escrows.hold(request_id, holds, self._wall())

    def draws(self, request_id: str, charges: Iterable[Charge]) -> tuple[Charge, ...]:
        """These charges, and which escrows they draw on, if the request ends with them."""
        return self._escrows.draws(request_id, charges)

    def settle(self, request_id: str, charges: Iterable[Charge]) -> tuple[Charge, ...]:
        """A request has ended; its settlement is to say these charges, and gives back what the store holds for it."""
        self._asked.discard(request_id)
        return self._escrows.settle(request_id, charges)

    def give_back(self, request_id: str) -> None:
        """A request was never sent."""
        self._escrows.settle(request_id, ())
        if request_id in self._asked:
            self._asked.discard(request_id)
            self._post(Release(request_id))

    def written(self, request_ids: Iterable[str]) -> None:
        """The store has the settlements of these requests."""
        for request_id in request_ids:
            self._escrows.written(request_id)

    async def _hold_in_store(self, request_id: str, at: int, holds: tuple[Hold, ...]) -> Reserved | Exceeded:
        self._asked.add(request_id)
        reservation = Reservation(request_id, self._terms.holder, holds, at + self._terms.longest + LIFETIME)
        answer = await self._store.reserve(reservation)
        if isinstance(answer, Exceeded) and answer.escrowed:
            answer = await self._after_a_call(reservation, answer)
        if isinstance(answer, Reserved):
            return self._escrows.seen(holds, answer.taken)
        return answer

    async def keep(self) -> None:
        """Let the heart beat, until cancelled. One that fails is not the last: others may wait for what is free."""
        while True:
            await self._sleep(HEARTBEAT)
            try:
                await self.beat()
            except Exception as error:
                log.error("a heartbeat of the escrow failed: %s", type(error).__name__)

    async def beat(self) -> None:
        """Give back what is called back or not needed, and take what is. While the store is away nothing changes."""
        if (limits := self._limits()) != self._decided:
            self._decided = limits
            self._escrows.end_all()
        try:
            await self._look(self._escrows.beat(self._wall()))
            await asyncio.gather(*map(self._take, self._escrows.due(self._wall())))
        except StoreError:
            return
        finally:
            self._return()

    def end_all(self) -> None:
        """Give all back that is free: this gateway stops."""
        self._escrows.end_all()
        self._return()

    async def _look(self, counters: Sequence[str]) -> None:
        for first in range(0, len(counters), LOOKED_AT):
            for standing in await self._store.escrowed(counters[first : first + LOOKED_AT]):
                self._escrows.looked(standing, self._wall())

    async def _take(self, escrow: Reservation) -> None:
        try:
            answer = await self._store.reserve(escrow)
        except BaseException as error:
            self._escrows.doubted(escrow.request_id)
            if not isinstance(error, StoreError):
                raise
            return
        if isinstance(answer, Exceeded):
            self._escrows.refused(escrow.request_id)
        else:
            self._escrows.given(escrow.request_id, answer.taken[0], self._wall())

    async def _after_a_call(self, reservation: Reservation, answer: Reserved | Exceeded) -> Reserved | Exceeded:
        """Ask again when the escrows of its counters have come back, as long as they might be enough."""
        called: set[str] = set()
        waited = 0.0
        while isinstance(answer, Exceeded) and self._might_fit(reservation, answer) and waited < PATIENCE:
            if answer.counter not in called:
                called.add(answer.counter)
                await self._call(answer.counter)
            else:
                await self._sleep(ASK_AGAIN)
                waited += ASK_AGAIN
            answer = await self._store.reserve(reservation)
        return answer

    def _might_fit(self, reservation: Reservation, refused: Exceeded) -> bool:
        """Whether there was room if no gateway had escrow there, but for the holds of this gateway's requests."""
        idle = refused.escrowed - self._escrows.in_use(refused.counter)
        (hold,) = (hold for hold in reservation.holds if hold.counter == refused.counter)
        return idle > 0 and refused.taken - idle + hold.amount <= hold.limit

    async def _call(self, counter: str) -> None:
        """Give back what is free here, and have all others give back theirs."""
        letters = self._escrows.call_back(counter, self._wall())
        try:
            if letters:
                await self._store.write(letters)
            await self._store.call_back(counter)
        except BaseException:  # also if the caller leaves meanwhile: the letters exist only here
            for letter in letters:
                self._post(letter)
            raise

    def _return(self) -> None:
        for letter in self._escrows.returns():
            self._post(letter)
