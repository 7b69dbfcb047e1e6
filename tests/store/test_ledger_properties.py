"""Whatever happens to reservations and settlements, and how often: a store agrees with a few lines of Python."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from server.ledger.quota import Charge, Exceeded, Hold, Reservation, Reserved, Settlement
from server.ledger.reports import By, Days
from server.store.base import Store
from tests.store.conftest import Kind
from tests.store.samples import usage_row

COUNTERS = ("person/usd/month/2026-11", "person/tokens/day/2026-11-21", "group/usd/ever")
LIMIT = 20
REQUEST = st.integers(0, 7).map(lambda number: f"r{number}")
AMOUNTS = st.dictionaries(st.sampled_from(COUNTERS), st.integers(0, 12), max_size=3)


class Model:
    """What a ledger is, without a database."""

    def __init__(self) -> None:
        self.used: Counter[str] = Counter()
        self.held: dict[str, dict[str, int]] = {}
        self.terms: dict[str, tuple[str, int]] = {}
        self.settled: dict[str, Settlement] = {}

    def taken(self, counter: str) -> int:
        return self.used[counter] + sum(holds.get(counter, 0) for holds in self.held.values())

    def reserve(self, reservation: Reservation) -> Reserved | Exceeded:
        held = self.held.get(reservation.request_id, {})
        wanted = [hold for hold in reservation.holds if hold.counter not in held]
        for hold in wanted:
            if self.taken(hold.counter) + hold.amount > hold.limit:
                return Exceeded(hold.counter, self.taken(hold.counter))
        if reservation.holds:
            self.held[reservation.request_id] = held | {hold.counter: hold.amount for hold in wanted}
            self.terms[reservation.request_id] = (reservation.holder, reservation.expires_at)
        return Reserved(tuple(self.taken(hold.counter) for hold in reservation.holds))

    def settle(self, settlement: Settlement) -> bool:
        if settlement.row.request_id in self.settled:
            return False
        self.settled[settlement.row.request_id] = settlement
        self.held.pop(settlement.row.request_id, None)
        self.used.update({charge.counter: charge.amount for charge in settlement.charges})
        return True

    def release(self, request_id: str) -> bool:
        return self.held.pop(request_id, None) is not None

    def release_where(self, **terms: Any) -> int:
        gone = [
            request_id
            for request_id in self.held
            if self.terms[request_id][0] == terms.get("holder") or self.terms[request_id][1] < terms.get("before", 0)
        ]
        return sum(self.release(request_id) for request_id in gone)


async def opened(kind: Kind, place: Path) -> Store:
    store = kind(place)
    await store.open()
    return store


class Ledger(RuleBasedStateMachine):
    """The same is asked of the store and of the model."""

    def __init__(self, kind: Kind, place: Path) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.run = self.loop.run_until_complete
        self.store = self.run(opened(kind, place))
        self.model = Model()

    @rule(
        request_id=REQUEST,
        amounts=AMOUNTS,
        limit=st.integers(0, LIMIT),
        holder=st.sampled_from("ab"),
        expires_at=st.integers(0, 9),
    )
    def reserve(self, request_id: str, amounts: dict[str, int], limit: int, holder: str, expires_at: int) -> None:
        holds = tuple(Hold(counter, amount, limit) for counter, amount in amounts.items())
        reservation = Reservation(request_id, holder, holds, expires_at)
        before = self.model.held.get(request_id, {})
        expected = self.model.reserve(reservation)
        for _ in range(2):
            assert self.run(self.store.reserve(reservation)) == expected
        if isinstance(expected, Reserved):
            admitted = zip(holds, expected.taken, strict=True)
            assert all(taken <= hold.limit for hold, taken in admitted if hold.counter not in before)

    @rule(request_id=REQUEST, amounts=AMOUNTS)
    def settle(self, request_id: str, amounts: dict[str, int]) -> None:
        charges = tuple(Charge(counter, amount) for counter, amount in amounts.items())
        self._settle(Settlement(usage_row(request_id, cost_micro_usd=sum(amounts.values())), charges))

    @precondition(lambda self: self.model.settled)
    @rule(data=st.data())
    def replay_all_in_another_order(self, data: st.DataObject) -> None:
        for settlement in data.draw(st.permutations([*self.model.settled.values()])):
            self._settle(settlement)

    def _settle(self, settlement: Settlement) -> None:
        async def thrice() -> list[bool]:
            return [*await asyncio.gather(*[self.store.settle(settlement) for _ in range(3)])]

        first, *others = sorted(self.run(thrice()), reverse=True)
        assert first == self.model.settle(settlement)
        assert others == [False, False]

    @rule(request_id=REQUEST)
    def release(self, request_id: str) -> None:
        assert self.run(self.store.release(request_id)) == self.model.release(request_id)

    @rule(holder=st.sampled_from("ab"))
    def a_process_died(self, holder: str) -> None:
        assert self.run(self.store.release_holder(holder)) == self.model.release_where(holder=holder)

    @rule(now=st.integers(0, 9))
    def time_passes(self, now: int) -> None:
        assert self.run(self.store.release_expired(now)) == self.model.release_where(before=now)

    @invariant()
    def what_is_taken_is_what_was_used_and_what_is_held(self) -> None:
        assert self.run(self.store.taken(COUNTERS)) == [self.model.taken(counter) for counter in COUNTERS]
        assert self.run(self.store.reserved()) == len(self.model.held)

    def teardown(self) -> None:
        try:
            self._settle_the_rest()
        finally:
            self.run(self.store.close())
            self.loop.close()

    def _settle_the_rest(self) -> None:
        """After the last settlement nothing is held, and counters and sums are those of the rows."""
        for request_id in [*self.model.held]:
            self.release(request_id)
        charged: Counter[str] = Counter()
        for settlement in self.model.settled.values():
            charged.update({charge.counter: charge.amount for charge in settlement.charges})
        assert self.run(self.store.taken(COUNTERS)) == [charged[counter] for counter in COUNTERS]
        (whole,) = self.run(self.store.sums(Days(), []))
        assert whole.requests == len(self.model.settled)
        assert whole.cost_micro_usd == sum(each.row.cost_micro_usd for each in self.model.settled.values())
        assert len(self.run(self.store.sums(Days(), [By.PERSON]))) == bool(self.model.settled)


@pytest.mark.slow
def test_a_store_and_the_model_always_agree(kind: Kind, tmp_path: Path) -> None:
    numbers = iter(range(10_000))

    class OfThisKind(Ledger):
        def __init__(self) -> None:
            place = tmp_path / str(next(numbers))
            place.mkdir()
            super().__init__(kind, place)

    some = settings(
        max_examples=10, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run_state_machine_as_test(OfThisKind, settings=some)
