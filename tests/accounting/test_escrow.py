"""Several gateways hold of one budget, in escrow and in the store: never too much, never stranded, each hold ends once.

The real `EscrowKeeper` and the real `SettlementWriter` of each gateway are played on a store in memory that is away,
slow, loses answers and takes what was given up. A gateway dies at any moment, and its journal is what is left of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

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
from server.store.base import StoreError
from tests.store.samples import usage_row

NOW = 1_800_000_000_000
LONGEST = 60_000
LIMIT = 5_000
POTS = ("group/usd/ever", "person/usd/ever")


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

    async def flush(self) -> None:
        """What waits goes to the store; what does not arrive waits on."""
        letters, self.box[:] = list(self.box), []
        if letters:
            try:
                await self.ledger.write(letters)
            except StoreError:
                self.box[:0] = letters
                return
            self.keeper.written([each.row.request_id for each in letters if isinstance(each, Settlement)])


def settlement(request_id: str, charges: Sequence[Charge]) -> Settlement:
    return Settlement(usage_row(request_id), tuple(charges))


HOLDER = st.integers(0, 2)
WHOLE = 4
AMOUNT = st.integers(1, 30)
PARTS = st.lists(st.integers(0, 2 * WHOLE), min_size=1, max_size=8)  # used, in quarters; more: it goes on
AFTER = st.tuples(st.booleans(), st.booleans())
FAULTS = st.lists(st.sampled_from(["", "", "away", "slow", "lost", "twice"]), max_size=4)


class Town(RuleBasedStateMachine):
    """Three gateways and one store."""

    @initialize(first=st.sampled_from([0, LIMIT // 2, LIMIT - 600]))
    def begin(self, first: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.ledger, self.clock, self.decided = Ledger(), [NOW], [LIMIT]
        self.ledger.used.update(dict.fromkeys(POTS, first))
        self.before, self.lives, self.requests = first, 0, 0
        self.gateways = [self._born() for _ in range(3)]
        self.dead: list[Gateway] = []
        self.billed: Counter[str] = Counter()  # what was really used, by counter, whether it is written or not
        self.lowest = LIMIT  # the lowest limit so far

    def _born(self) -> Gateway:
        self.lives += 1
        return Gateway(f"life{self.lives}", self.ledger, self.clock, self.decided)

    def _run(self, work: Awaitable[Any]) -> Any:
        async def whole() -> Any:
            return await work

        return self.loop.run_until_complete(whole())

    @rule(which=HOLDER, amount=AMOUNT, both=st.booleans(), parts=PARTS, faults=FAULTS, after=AFTER)
    def serve(
        self, which: int, amount: int, both: bool, parts: list[int], faults: list[str], after: tuple[bool, bool]
    ) -> None:
        """Some requests come and some end; then what waits is written, and the heart beats, or not."""
        gateway, (written, beaten) = self.gateways[which], after
        self.ledger.faults[:] = faults
        for part in parts:
            self._ask(gateway, amount, POTS if both else POTS[:1])
            if part < WHOLE + 1 and gateway.under_way:
                self._end(gateway, gateway.under_way.pop(0), part)
        if written:
            self._run(gateway.flush())
        if beaten:
            self._run(gateway.keeper.beat())
        self.ledger.faults.clear()

    @rule(which=HOLDER, amount=AMOUNT, both=st.booleans(), parts=PARTS)
    def serve_well(self, which: int, amount: int, both: bool, parts: list[int]) -> None:
        self.serve(which, amount, both, parts, [], (True, True))

    def _ask(self, gateway: Gateway, amount: int, pots: Sequence[str]) -> None:
        self.requests += 1
        request = Under(f"r{self.requests}", tuple(Hold(pot, amount, self.decided[0]) for pot in pots))
        try:
            answer = self._run(gateway.keeper.hold(request.id, self.clock[0], request.holds))
        except StoreError:
            answer = None
        if not isinstance(answer, Reserved):
            gateway.keeper.give_back(request.id)
            return
        most = [Charge(hold.counter, hold.amount) for hold in request.holds]
        request.opened = settlement(request.id, gateway.keeper.draws(request.id, most))
        gateway.under_way.append(request)

    @rule(which=HOLDER, part=st.integers(0, WHOLE))
    def all_end(self, which: int, part: int) -> None:
        gateway = self.gateways[which]
        while gateway.under_way:
            self._end(gateway, gateway.under_way.pop(), part)

    def _end(self, gateway: Gateway, request: Under, part: int) -> None:
        """A request ends, and used a part of what it held; none: it was never sent."""
        if not part:
            gateway.keeper.give_back(request.id)
            return
        used = [(hold.counter, hold.amount * part // WHOLE) for hold in request.holds]
        charges = [Charge(counter, amount) for counter, amount in used if amount]
        self._bill(charges)
        settled = settlement(request.id, gateway.keeper.settle(request.id, charges))
        gateway.settled[request.id] = settled
        gateway.box.append(settled)

    def _bill(self, charges: Sequence[Charge]) -> None:
        self.billed.update({charge.counter: charge.amount for charge in charges})

    @rule(which=HOLDER, faults=FAULTS)
    def write(self, which: int, faults: list[str]) -> None:
        self.ledger.faults[:] = faults
        self._run(self.gateways[which].flush())
        self.ledger.faults.clear()

    @rule(which=HOLDER, faults=FAULTS)
    def beat(self, which: int, faults: list[str]) -> None:
        self.ledger.faults[:] = faults
        self._run(self.gateways[which].keeper.beat())
        self.ledger.faults.clear()

    @rule(seconds=st.sampled_from([1, 1, 5, 700]))
    def time_passes(self, seconds: int) -> None:
        """No request runs for longer than it may."""
        if seconds * 1000 >= LONGEST and any(each.under_way for each in (*self.gateways, *self.dead)):
            return
        self.clock[0] += seconds * 1000

    @rule(which=HOLDER)
    def die(self, which: int) -> None:
        """A gateway is gone, and another one takes its place. Nobody has found its journal yet."""
        self.dead.append(self.gateways[which])
        self.gateways[which] = self._born()

    @precondition(lambda self: self.dead)
    @rule()
    def take_over(self) -> None:
        """The next start settles what the journal of the dead says, then gives back what they held."""
        gone = self.dead.pop()
        for request in gone.under_way:
            assert request.opened is not None
            self._bill(request.opened.charges)
            self.ledger._write(request.opened)
        for settled in gone.settled.values():
            self.ledger._write(settled)
        self.ledger.release_where(lambda terms: terms.holder == gone.holder)

    @rule(limit=st.integers(LIMIT // 2, LIMIT))
    def decide(self, limit: int) -> None:
        self.decided[0] = limit

    @rule(which=HOLDER, amount=st.integers(1, 400))
    def ask_near_the_limit(self, which: int, amount: int) -> None:
        """While all others' hearts beat, nobody is refused for what lies idle with them."""
        gateway, pot = self.gateways[which], POTS[0]

        async def others() -> None:
            for each in self.gateways:
                if each is not gateway:
                    await each.keeper.beat()
                    await each.flush()

        gateway.sleeping = others
        self.requests += 1
        request = Under(f"r{self.requests}", (Hold(pot, amount, self.decided[0]),))
        answer = self._run(gateway.keeper.hold(request.id, self.clock[0], request.holds))
        gateway.sleeping = None
        if isinstance(answer, Exceeded):
            gateway.keeper.give_back(request.id)
            idle = sum(each.escrows._free(pot) for each in self.gateways if each.escrows.live and each is not gateway)
            alive = idle + gateway.escrows._free(pot)
            assert self.ledger.taken(pot) + amount > self.decided[0]
            assert alive == 0 or self.ledger.taken(pot) - alive + amount > self.decided[0]
        else:
            request.opened = settlement(request.id, gateway.keeper.draws(request.id, [Charge(pot, amount)]))
            gateway.under_way.append(request)

    @invariant()
    def nothing_is_overspent(self) -> None:
        """What was used, and what those under way may use at most, is counted as taken, and fits into the limit."""
        if not hasattr(self, "ledger"):
            return
        for pot in POTS:
            may = sum(
                hold.amount
                for each in (*self.gateways, *self.dead)
                for request in each.under_way
                for hold in request.holds
                if hold.counter == pot
            )
            assert self.before + self.billed[pot] + may <= self.ledger.taken(pot)
            assert self.before + self.billed[pot] + may <= max(LIMIT, self.before)
            assert self.ledger.taken(pot) <= max(LIMIT, self.before)

    def teardown(self) -> None:
        """All requests end, all gateways stop, the journals of the dead are found: what is taken is what was used."""
        if not hasattr(self, "ledger"):
            return
        for gateway in self.gateways:
            for request in gateway.under_way:
                gateway.keeper.give_back(request.id)
            self._run(gateway.flush())
            gateway.keeper.end_all()
            self._run(gateway.flush())
        while self.dead:
            self.take_over()
        try:
            assert self.ledger.held == {}
            assert {pot: self.ledger.taken(pot) for pot in POTS} == {
                pot: self.before + self.billed[pot] for pot in POTS
            }
        finally:
            self.loop.close()


TestTown = pytest.mark.slow(Town.TestCase)
Town.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
