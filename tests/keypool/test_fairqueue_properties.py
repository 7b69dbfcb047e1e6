"""What the fair queue promises, whatever happens to it.

The drill checks after each verb that the lowest eligible flow was served, that no slot idles while an eligible flow
waits, and that no counter moved without its reason. What is asserted here comes on top.
"""

from __future__ import annotations

from itertools import combinations
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypool.fairqueue import FairQueue
from keypool.flow_heap import Lane
from keypool.flows import Flow
from keypool.gap import gap
from keypool.keys import Key
from keypool.ticket import Ticket
from tests.keypool.drill import Drill
from tests.keypool.making import a_key, a_ticket

PERSONS = ("ann", "bob", "eve", "joe")
Op = tuple[str, int, float]

numbers = st.integers(0, 50)
factors = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 7.0])
submits = st.tuples(st.just("submit"), numbers, st.sampled_from([1.0, 3.0, 10.0, 100.0]))
others = st.tuples(st.sampled_from(["finish", "finish", "refund", "cancel", "progress"]), numbers, factors)
op_lists = st.lists(st.one_of(submits, others), min_size=30, max_size=120)
caps = st.sampled_from([None, 1, 2, 8])
cap_tables = st.dictionaries(st.sampled_from(PERSONS), st.sampled_from([1, 2, 5]))
weight_tables = st.fixed_dictionaries({person: st.sampled_from([1.0, 1.0, 2.0, 8.0]) for person in PERSONS})


def perform(drill: Drill, op: Op) -> None:
    verb, number, value = op
    if verb == "submit":
        drill.submit(PERSONS[number % len(PERSONS)], value)
    elif verb == "cancel" and drill.waiting:
        drill.cancel(drill.waiting[number % len(drill.waiting)])
    elif verb in ("finish", "refund", "progress") and drill.running:
        ticket = drill.running[number % len(drill.running)]
        if verb == "finish":
            drill.finish(ticket, max(ticket.cost * value, ticket.charged if number % 2 else 0.0))
        elif verb == "refund":
            drill.refund(ticket)
        else:
            drill.progress(ticket, ticket.cost * value)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(op_lists, caps, weight_tables, cap_tables, st.integers(1, 9))
def test_any_two_flows_that_wait_below_their_cap_stay_within_the_bound(
    ops: list[Op], cap: int | None, weights: dict[str, float], own_caps: dict[str, int], slots: int
) -> None:
    drill = Drill(FairQueue(cap=cap), slots, weights, own_caps)
    for op in ops:
        perform(drill, op)
        for one, other in combinations(drill.eligible(), 2):
            assert abs(one.counter - other.counter) <= drill.bound() + 1e-6
        assert gap(drill.queue) <= drill.bound() + 1e-6


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(op_lists, caps, cap_tables, st.integers(1, 9), st.integers(2, 12), st.integers(1, 5))
def test_every_ticket_ends_exactly_once_and_nothing_is_left(
    ops: list[Op], cap: int | None, own_caps: dict[str, int], slots: int, total: int, per_person: int
) -> None:
    drill = Drill(FairQueue(total, per_person, cap), slots, {"joe": 2.0}, own_caps)
    for op in ops:
        perform(drill, op)
        assert drill.queue.waiting == len(drill.waiting) == len(drill.queue.tickets()) <= total + slots
        assert drill.queue.running == len(drill.running) <= slots
        assert all(flow.waiting <= per_person + slots for flow in drill.queue.flows.values())
    drill.drain()
    drill.assert_empty()


@pytest.mark.slow
@settings(max_examples=75, deadline=None)
@given(st.lists(others, max_size=60), weight_tables, st.integers(1, 9))
def test_after_a_drain_every_flow_has_paid_exactly_what_it_used(
    ops: list[Op], weights: dict[str, float], slots: int
) -> None:
    drill = Drill(FairQueue(), 0, weights)
    for number in range(80):
        drill.submit(PERSONS[number % len(PERSONS)], 1.0 + number % 7)
    drill.key.slots = slots
    drill.pump()
    flows: list[Flow] = list(drill.queue.flows.values())
    for op in ops:
        if op[0] != "cancel" and all(flow.waiting for flow in flows):
            perform(drill, op)
    drill.drain()
    for flow in flows:
        assert isclose(flow.counter * flow.weight, drill.spent[flow.id], rel_tol=1e-9)


@pytest.mark.slow
@settings(max_examples=75, deadline=None)
@given(op_lists, caps, weight_tables)
def test_flows_are_forgotten_once_they_are_idle_and_owe_nothing(
    ops: list[Op], cap: int | None, weights: dict[str, float]
) -> None:
    drill = Drill(FairQueue(cap=cap), 4, weights)
    for op in ops:
        perform(drill, op)
    drill.drain()
    highest = max((flow.counter for flow in drill.queue.flows.values()), default=0.0)
    while drill.queue.virtual_time < highest:
        drill.submit("last", 1000.0)
        drill.submit("last", 1000.0)
        drill.drain()
    drill.submit("last")
    drill.drain()
    assert set(drill.queue.flows) <= {"last"}


@pytest.mark.slow
@settings(max_examples=75, deadline=None)
@given(op_lists, caps, weight_tables)
def test_who_comes_back_from_idleness_stands_where_a_newcomer_stands_unless_in_debt(
    ops: list[Op], cap: int | None, weights: dict[str, float]
) -> None:
    drill = Drill(FairQueue(cap=cap), 4, weights)
    for op in ops:
        perform(drill, op)
    drill.drain()
    queue = drill.queue
    debts = {person: flow.counter for person, flow in queue.flows.items()}
    drill.key.slots = 0
    for person in (*PERSONS, "newcomer"):
        drill.submit(person)
        assert queue.flows[person].counter == max(queue.virtual_time, debts.get(person, 0.0))


@pytest.mark.slow
@settings(max_examples=75, deadline=None)
@given(op_lists, caps, weight_tables)
def test_a_dispatch_that_fails_before_its_first_byte_leaves_the_queue_as_it_was(
    ops: list[Op], cap: int | None, weights: dict[str, float]
) -> None:
    drill = Drill(FairQueue(cap=cap), 3, weights)
    for op in ops:
        perform(drill, op)
    drill.submit("ann")
    drill.submit("bob")
    drill.key.slots = drill.key.running
    queue = drill.queue
    before = {flow.id: (flow.counter, flow.waiting, flow.running) for flow in queue.flows.values()}
    found = queue.dispatch(lambda ticket: drill.key)
    if found is None:
        return
    queue.refund(found[0])
    after = {flow.id: (flow.counter, flow.waiting, flow.running) for flow in queue.flows.values()}
    assert set(after) <= set(before)
    for person, (counter, waiting, running) in after.items():
        assert (waiting, running) == before[person][1:]
        assert isclose(counter, before[person][0], rel_tol=1e-9, abs_tol=1e-9)
    assert next(iter(queue.flows[found[0].person].queue)) is found[0], "it is first in its own queue again"


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(op_lists, caps, weight_tables)
def test_the_heap_holds_one_live_entry_for_each_flow_that_waits_below_its_cap(
    ops: list[Op], cap: int | None, weights: dict[str, float]
) -> None:
    drill = Drill(FairQueue(cap=cap), 2, weights)
    for op in ops:
        perform(drill, op)
        live = {
            flow.id
            for counter, _, flow, lane in drill.queue.roster.tier.order.entries()
            if flow.live.get(lane) == counter
        }
        assert {flow.id for flow in drill.eligible()} <= live
        assert len(drill.queue.roster.tier.order) <= len(ops)
        assert drill.queue.roster.owing <= len(PERSONS)


@pytest.mark.parametrize("weight", [1.0, 2.0, 8.0])
@pytest.mark.parametrize("slots", [1, 4, 7])
def test_twice_the_weight_is_twice_the_share(weight: float, slots: int) -> None:
    drill = Drill(FairQueue(), slots, {"ann": weight, "bob": 2 * weight})
    for person in ("ann", "bob") * 100:
        drill.submit(person, 10.0)
    for _ in range(90):
        drill.finish(drill.running[0])
    assert abs(drill.served["bob"] - 2 * drill.served["ann"]) <= slots + 2


def test_a_flow_of_small_requests_and_one_of_large_ones_are_served_the_same_amount() -> None:
    drill = Drill(FairQueue(), 4)
    for _ in range(100):
        drill.submit("small", 1.0)
    for _ in range(10):
        drill.submit("large", 10.0)
    for _ in range(55):
        drill.finish(drill.running[0])
    assert abs(drill.spent["small"] - drill.spent["large"]) <= 2 * 10.0


def test_idleness_banks_no_credit() -> None:
    """A flow that was idle while others worked shares evenly on return; the others do not make room for its past."""
    drill = Drill(FairQueue(), 1)
    for _ in range(60):
        drill.submit("bob")
    for _ in range(30):
        drill.finish(drill.running[0])
    for _ in range(20):
        drill.submit("ann")
    for _ in range(20):
        drill.finish(drill.running[0])
    assert abs(drill.served["ann"] - 10) <= 1


def test_overruns_are_charged_while_the_answer_still_comes() -> None:
    drill = Drill(FairQueue(), 2)
    talker = drill.submit("ann", 1.0)
    drill.submit("bob", 1.0)
    for person in ("ann", "bob") * 5:
        drill.submit(person, 1.0)
    drill.progress(talker, 4.0)
    for _ in range(3):
        drill.finish(next(ticket for ticket in drill.running if ticket is not talker))
    assert dict(drill.served) == {"bob": 3}


def test_progress_never_lowers_what_was_charged() -> None:
    drill = Drill(FairQueue(), 1)
    ticket = drill.submit("ann", 10.0)
    drill.progress(ticket, 3.0)
    assert ticket.charged == 10.0


def test_progress_that_comes_after_the_end_is_ignored() -> None:
    drill = Drill(FairQueue(), 1)
    ticket = drill.submit("ann", 10.0)
    drill.finish(ticket)
    drill.queue.progress(ticket, 99.0)
    assert ticket.charged == 10.0


def test_a_full_queue_sheds_the_newest_of_the_longest_flow() -> None:
    drill = Drill(FairQueue(total=5), slots=0)
    greedy = [drill.submit("greedy") for _ in range(5)]
    drill.submit("polite")
    assert drill.ended == {greedy[-1].id: 1}
    assert {ticket.person for ticket in drill.waiting} == {"greedy", "polite"}


def test_a_full_queue_refuses_the_longest_flow_itself() -> None:
    drill = Drill(FairQueue(total=5), slots=0)
    for _ in range(5):
        drill.submit("greedy")
    late = drill.submit("greedy")
    assert drill.ended == {late.id: 1}


def test_no_waiting_request_is_shed_for_one_of_a_flow_that_asks_for_as_much() -> None:
    """Otherwise a newcomer would throw out the oldest of equals, whose client comes back and throws out the next."""
    drill = Drill(FairQueue(total=3), slots=0)
    for person in ("ann", "bob", "eve"):
        drill.submit(person)
    late = drill.submit("joe")
    assert drill.ended == {late.id: 1}


def test_a_small_request_is_not_shed_for_a_large_one() -> None:
    drill = Drill(FairQueue(total=2), slots=0)
    drill.submit("ann", 1.0)
    drill.submit("bob", 1.0)
    late = drill.submit("joe", 100.0)
    assert drill.ended == {late.id: 1}


def test_weight_counts_when_the_longest_flow_is_looked_for() -> None:
    drill = Drill(FairQueue(total=6), 0, {"heavy": 8.0})
    for person in ("heavy", "heavy", "heavy", "heavy", "light", "light"):
        drill.submit(person)
    drill.submit("polite")
    assert [ticket.person for ticket in drill.waiting].count("light") == 1


def test_one_person_may_have_so_many_waiting_and_no_more() -> None:
    drill = Drill(FairQueue(per_person=2), slots=0)
    drill.submit("ann")
    drill.submit("ann")
    late = drill.submit("ann")
    drill.submit("bob")
    assert drill.ended == {late.id: 1}


def test_a_refused_request_leaves_no_trace_of_its_person() -> None:
    queue = FairQueue(total=0)
    ticket = a_ticket("t", "ann")
    assert queue.submit(ticket) is ticket
    assert queue.flows == {}


# Requests that may not use every key


class TwoKeys:
    """Keys `a` and `b`; a ticket's dialect names the keys it may use: "a", "b" or "ab"."""

    def __init__(self, slots: int) -> None:
        self.queue = FairQueue()
        self.keys = {name: a_key(name, slots) for name in "ab"}
        self.running: list[tuple[Ticket, Key]] = []
        self.claimed: set[str] = set()

    def free(self) -> list[Key]:
        return [key for key in self.keys.values() if key.running < key.slots]

    def choose(self, ticket: Ticket) -> Key | None:
        for key in self.free():
            if key.id in ticket.dialect and key.id not in self.claimed:
                return key
        self.claimed |= set(ticket.dialect)
        return None

    def is_open(self, lane: Lane) -> bool:
        return any(key.id not in self.claimed for key in self.free())

    def pump(self) -> None:
        while True:
            heads = {flow.id: (flow.counter, flow.queue[0]) for flow in self.queue.flows.values() if flow.waiting}
            self.claimed.clear()
            found = self.queue.dispatch(self.choose, self.is_open)
            if found is None:
                break
            ticket, key = found
            lower = [head for counter, head in heads.values() if counter < heads[ticket.person][0]]
            assert not any(key.id in head.dialect for head in lower), "a lower head could have used that key"
            key.running += 1
            self.running.append((ticket, key))
        self.check_busy()

    def check_busy(self) -> None:
        heads = sorted((flow.counter, flow.queue[0].dialect) for flow in self.queue.flows.values() if flow.waiting)
        for key in self.free():
            assert not any(key.id in may for _, may in heads), f"{key.id} idles though a head may use it"


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), numbers), max_size=60), st.integers(1, 3))
def test_a_head_is_passed_only_on_keys_it_can_never_use_and_no_such_key_idles(
    ops: list[tuple[bool, int]], slots: int
) -> None:
    bench = TwoKeys(slots)
    for count, (arrive, number) in enumerate(ops):
        if arrive:
            may = ("a", "b", "ab")[number % 3]
            bench.queue.submit(a_ticket(f"t{count}", f"{may}{number % 5}", 1.0 + number % 4, dialect=may))
        elif bench.running:
            ticket, key = bench.running.pop(number % len(bench.running))
            key.running -= 1
            bench.queue.finish(ticket, 1.0)
        bench.pump()


@pytest.mark.parametrize("one_lane", [True, False])
def test_who_fits_goes_though_many_who_do_not_stand_before_them(one_lane: bool) -> None:
    """In the order of their counters, over heads of one lane and of several; with the others nothing has happened."""
    queue, key = FairQueue(), a_key(slots=9)
    for number in range(6):
        reach = frozenset() if one_lane else frozenset((f"k{number}",))
        ticket = Ticket(f"t{number}", f"p{number}", "m", "openai", 1.0, 0.0, deadline=1e9, reach=reach)
        queue.submit(ticket)
        queue.flows[ticket.flow].counter = float(number)
    asked: list[str] = []

    def only_the_last(ticket: Ticket) -> Key | None:
        asked.append(ticket.id)
        return key if ticket.id in ("t4", "t5") else None

    found = [queue.dispatch(only_the_last, lambda lane: True) for _ in range(2)]
    assert [each[0].id for each in found if each is not None] == ["t4", "t5"]
    assert asked[:5] == ["t0", "t1", "t2", "t3", "t4"]
    assert [queue.flows[f"p{number}"].counter for number in range(4)] == [0.0, 1.0, 2.0, 3.0]
    assert queue.dispatch(lambda ticket: key) is not None, "and the first is first again"
    assert queue.flows["p0"].running == 1
