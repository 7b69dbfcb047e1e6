"""Budgets that reach a threshold: each threshold makes one message a period, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.calendar import Calendar
from server.ledger.limits import Limit, LimitSet, LimitWindow, Scope, Unit
from server.notifications.budgets import BudgetWatch
from server.notifications.notifier import Notifier
from server.notifications.outbox import Outbox
from server.policy.notifications import (
    Cause,
    Channel,
    Delivery,
    DeliveryState,
    Event,
    Failure,
    Ways,
    addressed,
)
from server.store.base import Person
from tests.notifications.stores import MemoryStore
from tests.store.samples import ADA, BOB, token, usage_row

NOON = 1_795_262_400_000  # 2026-11-21T12:00Z
MONTH = "person:usr_ada/usd/*/month/2026-11"
EACH = Limit("l1", Scope.EVERYONE, "", Unit.USD, LimitWindow.MONTH, 1_000)
LIMITS = (
    EACH,
    Limit("l2", Scope.TOKEN, "tok_laptop", Unit.REQUESTS, LimitWindow.EVER, 10),
    Limit("l3", Scope.GROUP, "physics", Unit.TOKENS, LimitWindow.DAY, 100, "gpt-5*"),
    Limit("l4", Scope.MEMBER, "physics", Unit.USD, LimitWindow.DAY, 50),
    Limit("l5", Scope.UPSTREAM, "university", Unit.USD, LimitWindow.MONTH, 5_000),
    Limit("l6", Scope.EVERYONE, "", Unit.REQUESTS, LimitWindow.MINUTE, 5),
)
CALENDAR = Calendar(UTC)
ROW = usage_row("req_1")


def watch(store: MemoryStore, *limits: Limit) -> BudgetWatch:
    return BudgetWatch(store, lambda: LimitSet(limits or (EACH,)), CALENDAR, (50, 80, 95, 100), lambda: NOON)


async def all_events(looked: BudgetWatch) -> list[Event]:
    return [event async for events in looked.look_at_all() for event in events]


@pytest.mark.gen_test
async def test_both_looks_see_the_budgets_of_everyone_whom_they_may_be_of() -> None:
    member = replace(ADA, groups=("physics",))
    store = MemoryStore(member, replace(BOB, disabled=True), tokens=[token("laptop")])
    names = [
        *(MONTH, "token:tok_laptop/requests/*/ever/ever", "group:physics/tokens/gpt-5*/day/2026-11-21"),
        *("member:physics/usr_ada/usd/*/day/2026-11-21", "upstream:university/usd/*/month/2026-11"),
    ]
    store.counters = dict.fromkeys((*names, "person:usr_bob/usd/*/month/2026-11"), 10**6)
    looked = watch(store, *LIMITS)
    looked.observe(ROW)
    touched, every = await looked.look(), await all_events(looked)
    assert {each.id for each in touched} == {each.id for each in every}
    seen = {each.facts["scope"]: (each.facts["person"], each.facts["subject"]) for each in every}
    assert seen == {
        "everyone": ("usr_ada", ""),
        "token": ("usr_ada", "tok_laptop"),
        "group": ("", "physics"),
        "member": ("usr_ada", "physics"),
        "upstream": ("", "university"),
    }


@pytest.mark.gen_test
async def test_where_no_request_ended_the_store_is_not_asked() -> None:
    store = MemoryStore(ADA)
    looked = watch(store)
    assert await looked.look() == []
    assert store.jobs == 0
    store.counters = {MONTH: 500}
    looked.observe(ROW)
    assert len(await looked.look()) == 1
    assert len(await looked.look()) == 1  # what is written behind its answer is seen then
    assert await looked.look() == []
    assert store.jobs == 2


@pytest.mark.gen_test
async def test_an_outage_loses_nothing_that_was_touched() -> None:
    store = MemoryStore(ADA)
    looked = watch(store)
    looked.observe(ROW)
    store.away, store.counters = True, {MONTH: 800}
    for _ in range(3):
        with pytest.raises(Exception, match="away"):
            await looked.look()
    store.away = False
    assert [each.facts["threshold"] for each in await looked.look()] == [80]


@pytest.mark.gen_test
async def test_more_is_another_wall_and_so_is_a_new_period() -> None:
    store = MemoryStore(ADA)
    store.counters = {MONTH: 500, "person:usr_ada/usd/*/month/2026-12": 600}
    (before,) = await all_events(watch(store))
    (raised,) = await all_events(watch(store, replace(EACH, amount=900)))
    december = BudgetWatch(store, lambda: LimitSet([EACH]), CALENDAR, (50,), lambda: NOON + 20 * 86_400_000)
    (later,) = await all_events(december)
    assert len({before.id, raised.id, later.id}) == 3
    assert before.until == before.facts["resets_at"] == 1_796_083_200_000  # the first of December


class Gateway:
    """One of several on one store. `restart` forgets what it remembers."""

    def __init__(self, store: MemoryStore, sent: list[Delivery]) -> None:
        self._store, self._sent = store, sent
        self.now = NOON
        self.restart()

    def restart(self) -> None:
        self.budgets = watch(self._store)
        outbox = Outbox(
            self._store,  # type: ignore[arg-type]  # the verbs that are asked for
            {Channel.MAIL: self},
            lambda event: addressed(event, {}, Ways(mail=True)),
            lambda: self.now,
        )
        self.notifier = Notifier(self.budgets, lambda _: [], outbox, lambda: self.now)

    async def send(self, delivery: Delivery, now: int) -> Failure | None:
        if now % 3 == 0 and delivery.tries == 1:
            return Failure(Cause.UNREACHED)
        self._sent.append(delivery)
        return None


DO = st.tuples(st.sampled_from(["settle", "look", "restart", "away", "back", "wait"]), st.integers(0, 2))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(DO, st.integers(1, 300)), max_size=25))
def test_each_threshold_is_sent_at_most_once_and_the_last_one_never_missed(
    steps: list[tuple[tuple[str, int], int]],
) -> None:
    asyncio.run(_lived_through(steps))


async def _lived_through(steps: list[tuple[tuple[str, int], int]]) -> None:
    store, sent = MemoryStore(Person("usr_ada", "Ada", False, 0, email="ada@example.org")), list[Delivery]()
    gateways = [Gateway(store, sent) for _ in range(3)]
    for (what, which), amount in steps:
        gateway = gateways[which]
        if what == "settle":
            store.counters[MONTH] = store.counters.get(MONTH, 0) + amount
            gateway.budgets.observe(ROW)
        elif what == "restart":
            gateway.restart()
        elif what == "wait":
            gateway.now += amount * 1_000
        elif what == "look":
            await gateway.notifier.round()
        else:
            store.away = what == "away"
    store.away = False
    for gateway in gateways:
        gateway.restart()
        for _ in range(3):
            gateway.now += 3_600_000
            await gateway.notifier.round()
    thresholds = [each.facts["threshold"] for each in sent]
    used = store.counters.get(MONTH, 0)
    highest = max((each for each in (50, 80, 95, 100) if used * 100 >= each * 1_000), default=None)
    assert len(set(thresholds)) == len(thresholds)
    assert highest is None or highest in thresholds
    assert all(each.state is DeliveryState.SENT for each in store.kept.values())
    assert len(store.audits) == len(sent)
