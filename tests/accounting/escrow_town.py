"""Gateways that share a budget, on a store in memory: what the escrow tests are played on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.accounting.escrow import EscrowKeeper, ReservationTerms
from server.ledger.escrow import Escrows
from server.ledger.quota import (
    Charge,
    Escrowed,
    Exceeded,
    Hold,
    Letter,
    Release,
    Reservation,
    Reserved,
    Settlement,
    Trim,
    escrowed_of,
)
from server.ledger.usage import UsageRow
from server.store.base import StoreError
from tests.store.samples import usage_row

LONGEST = 60_000


class Ledger:
    """A store in memory, whose verbs may be repeated. `faults` say how the next calls end."""

    def __init__(self) -> None:
        self.used: Counter[str] = Counter()
        self.held: dict[str, dict[str, int]] = {}
        self.terms: dict[str, Reservation] = {}
        self.calls: Counter[str] = Counter()
        self.rows: dict[str, Settlement] = {}
        self.asked: Counter[str] = Counter()
        self.faults: list[str] = []

    def taken(self, counter: str) -> int:
        return self.used[counter] + sum(holds.get(counter, 0) for holds in self.held.values())

    def escrows(self, counter: str) -> dict[str, int]:
        return {each: holds[counter] for each, holds in self.held.items() if each[:7] == "escrow/" and counter in holds}

    async def reserve(self, reservation: Reservation) -> Reserved | Exceeded:
        return await self._call("reserve", lambda: self._reserve(reservation))

    async def write(self, letters: Sequence[Letter]) -> list[bool | Exception]:
        return await self._call("write", lambda: [self._write(each) for each in letters])

    async def escrowed(self, counters: Sequence[str]) -> list[Escrowed]:
        return await self._call(
            "escrowed", lambda: [escrowed_of(it, self.taken(it), self.calls[it], self.escrows(it)) for it in counters]
        )

    async def refused_request(self, request_id: str) -> None:
        return None

    async def usage(self, request_id: str) -> UsageRow | None:
        settled = self.rows.get(request_id)
        return None if settled is None else settled.row

    async def call_back(self, counter: str) -> None:
        await self._call("call_back", lambda: self.calls.update([counter]))

    def release_where(self, which: Callable[[Reservation], bool]) -> None:
        for name in [name for name, terms in self.terms.items() if which(terms)]:
            self._release(name)

    async def _call(self, verb: str, work: Callable[[], Any]) -> Any:
        """Do it at once, late, twice, without an answer, or not at all."""
        self.asked[verb] += 1
        fault = self.faults.pop() if self.faults else ""
        if fault == "away":
            raise StoreError("away")
        if fault == "broken":
            raise RuntimeError("a mistake")
        if fault == "slow":
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        answer = work()
        if fault == "twice":
            answer = work() if verb in ("reserve", "escrowed") else answer
        if fault == "lost":
            raise StoreError("the answer was lost")
        return answer

    def _reserve(self, reservation: Reservation) -> Reserved | Exceeded:
        mine = self.held.get(reservation.request_id, {})
        for hold in reservation.holds:
            if hold.counter not in mine and self.taken(hold.counter) + hold.amount > hold.limit:
                return Exceeded(hold.counter, self.taken(hold.counter), sum(self.escrows(hold.counter).values()))
        self.held[reservation.request_id] = {hold.counter: hold.amount for hold in reservation.holds} | mine
        self.terms[reservation.request_id] = reservation
        return Reserved(tuple(self.taken(hold.counter) for hold in reservation.holds))

    def _release(self, request_id: str) -> bool:
        self.terms.pop(request_id, None)
        return self.held.pop(request_id, None) is not None

    def _write(self, letter: Letter) -> bool:
        if isinstance(letter, Release):
            return self._release(letter.request_id)
        if isinstance(letter, Trim):
            return self._trim(letter)
        if letter.row.request_id in self.rows:
            return False
        self.rows[letter.row.request_id] = letter
        self._release(letter.row.request_id)
        for charge in letter.charges:
            self.used[charge.counter] += charge.amount
            if (escrow := self.held.get(charge.escrow)) is not None:
                escrow[charge.counter] -= min(charge.drawn, escrow[charge.counter])
        return True

    def _trim(self, trim: Trim) -> bool:
        escrow = self.held.get(trim.escrow, {})
        over = [counter for counter, amount in escrow.items() if amount > trim.amount]
        escrow.update(dict.fromkeys(over, trim.amount))
        return bool(over)


@dataclass
class Under:
    """A request under way."""

    id: str
    holds: tuple[Hold, ...]
    opened: Settlement | None = None  # what its gateway's journal says, once it is sent


@dataclass
class Gateway:
    """One life of one gateway, as far as money goes. `box` is what waits for the store."""

    holder: str
    ledger: Ledger
    clock: list[int]
    decided: list[int]
    box: list[Letter] = field(default_factory=list)
    under_way: list[Under] = field(default_factory=list)
    settled: dict[str, Settlement] = field(default_factory=dict)  # the journal

    def __post_init__(self) -> None:
        terms = ReservationTerms(self.holder, LONGEST)
        self.escrows = Escrows(self.holder, lambda counter, left: left // 20, LONGEST)
        self.keeper = EscrowKeeper(
            self.ledger,
            self.escrows,
            self.box.append,
            terms,
            lambda: self.decided[0],
            lambda: self.clock[0],
            self.sleep,
        )
        self.sleeping: Callable[[], Awaitable[None]] | None = None

    async def sleep(self, seconds: float) -> None:
        """While a request waits, so much time passes for all."""
        self.clock[0] += round(seconds * 1000)
        if self.sleeping is not None:
            await self.sleeping()

    async def flush(self, *, backwards: bool = False) -> None:
        """What waits goes to the store, in any order; what does not arrive waits on."""
        letters, self.box[:] = list(reversed(self.box) if backwards else self.box), []
        if letters:
            try:
                await self.ledger.write(letters)
            except StoreError:
                self.box[:0] = letters
                return
            self.keeper.written([each.row.request_id for each in letters if isinstance(each, Settlement)])


def settlement(request_id: str, charges: Sequence[Charge]) -> Settlement:
    return Settlement(usage_row(request_id), tuple(charges))
