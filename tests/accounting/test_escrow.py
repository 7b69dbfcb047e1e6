"""Several gateways hold of one budget, in escrow and in the store: never too much, never stranded, each hold ends once.

The real `EscrowKeeper` and the real `SettlementWriter` of each gateway are played on a store in memory that is away,
slow, loses answers and takes what was given up. A gateway dies at any moment, and its journal is what is left of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from server.ledger.quota import (
    Charge,
    Exceeded,
    Hold,
    Reserved,
)
from server.store.base import StoreError
from tests.accounting.escrow_town import LONGEST, Gateway, Ledger, Under, settlement

NOW = 1_800_000_000_000
LIMIT = 5_000
POTS = ("group/usd/ever", "person/usd/ever")


WHOLE = 4
HOLDER = st.sampled_from([0, 0, 0, 1, 1, 2])
AMOUNT = st.integers(5, 30)
# What each of some requests uses, in quarters of what it holds; GOES_ON: it does not end yet.
GOES_ON = WHOLE + 1
PARTS = st.lists(st.sampled_from([0, 1, WHOLE, WHOLE, WHOLE, WHOLE, GOES_ON]), min_size=8, max_size=20)
AFTER = st.tuples(st.sampled_from(["", "in order", "backwards"]), st.booleans())
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
        self, which: int, amount: int, both: bool, parts: list[int], faults: list[str], after: tuple[str, bool]
    ) -> None:
        """Some requests come and some end; then what waits is written, and the heart beats, or not."""
        gateway, (written, beaten) = self.gateways[which], after
        self.ledger.faults[:] = faults
        for part in parts:
            self._ask(gateway, amount, POTS if both else POTS[:1])
            if part != GOES_ON and gateway.under_way:
                self._end(gateway, gateway.under_way.pop(0), part)
        if written:
            self._run(gateway.flush(backwards=written == "backwards"))
        if beaten:
            self._run(gateway.keeper.beat())
        self.ledger.faults.clear()

    @rule(which=HOLDER, amount=AMOUNT, both=st.booleans(), parts=PARTS)
    def serve_well(self, which: int, amount: int, both: bool, parts: list[int]) -> None:
        self.serve(which, amount, both, parts, [], ("in order", True))

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

    @rule(which=HOLDER, faults=FAULTS, backwards=st.booleans())
    def write(self, which: int, faults: list[str], backwards: bool) -> None:
        self.ledger.faults[:] = faults
        self._run(self.gateways[which].flush(backwards=backwards))
        self.ledger.faults.clear()

    @rule(which=HOLDER, faults=FAULTS)
    def beat(self, which: int, faults: list[str]) -> None:
        self.ledger.faults[:] = faults
        self._run(self.gateways[which].keeper.beat())
        self.ledger.faults.clear()

    @rule(seconds=st.sampled_from([1, 5, 700, 4_000]))
    def time_passes(self, seconds: int) -> None:
        """What has expired is given back. No request runs so long, nor does its settlement wait so long."""
        if seconds * 1000 >= LONGEST and any(self._owes(each) for each in (*self.gateways, *self.dead)):
            return
        self.clock[0] += seconds * 1000
        self.ledger.release_where(lambda terms: terms.expires_at < self.clock[0])

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
            idle = sum(self._free(each, pot) for each in self.gateways if each is not gateway)
            alive = idle + self._free(gateway, pot)
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
            free = sum(self._free(each, pot) for each in self.gateways)
            assert self.before + self.billed[pot] + may + free <= self.ledger.taken(pot)
            assert self.before + self.billed[pot] + may <= max(LIMIT, self.before)
            assert self.ledger.taken(pot) <= max(LIMIT, self.before)

    def _owes(self, gateway: Gateway) -> bool:
        return bool(gateway.under_way) or not gateway.settled.keys() <= self.ledger.rows.keys()

    def _free(self, gateway: Gateway, pot: str) -> int:
        """What a gateway may still hold in memory."""
        watched = gateway.escrows._watched.get(pot)
        live = None if watched is None else watched.live
        return 0 if live is None or live.expires_at < self.clock[0] + LONGEST else live.free

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
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
