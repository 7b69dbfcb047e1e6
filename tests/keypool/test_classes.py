"""A person's batch work stands beside their interactive requests, and people may have caps of their own."""

from __future__ import annotations

import pytest

from keypool.fairqueue import FairQueue
from keypool.flows import Flow
from keypool.gap import bound, gap
from keypool.messages import Grant, QueueLimits, Reason
from keypool.pool import Pool
from keypool.ticket import BATCH_WEIGHT, Ticket, flow_of
from tests.keypool.drill import Drill
from tests.keypool.making import a_key, a_ticket, an_ask, simulator

LONG = 1000


# Batch work


def test_while_both_wait_batch_work_gets_one_part_in_nine() -> None:
    sim = simulator(a_key(slots=1))
    for number in range(100):
        sim.ask(0.0, an_ask(f"i{number}", "ann"), service=1.0)
        sim.ask(0.0, an_ask(f"b{number}", "bob", batch=True), service=1.0)
    sim.run(until=89.5)
    assert sum(context.ticket.batch for context in sim.order) == 10
    sim.run()
    sim.assert_empty()


def test_batch_work_has_all_slots_that_are_free_otherwise() -> None:
    sim = simulator(a_key(slots=2))
    for number in range(20):
        sim.ask(0.0, an_ask(f"b{number}", "bob", batch=True), service=1.0)
    sim.run()
    assert sim.now == 10.0


def test_a_persons_own_batch_work_does_not_delay_what_they_sit_and_wait_for() -> None:
    sim = simulator(a_key(slots=1))
    for number in range(50):
        sim.ask(0.0, an_ask(f"b{number}", "ann", batch=True), service=1.0)
    sim.ask(20.5, an_ask("now", "ann"), service=1.0)
    sim.run()
    assert sim.requests["now"].wait <= 1.0
    sim.assert_empty()


def test_the_two_flows_of_a_person_have_counters_of_their_own() -> None:
    drill = Drill(FairQueue(), slots=1)
    for _ in range(4):
        drill.submit("ann")
        drill.submit("ann", batch=True)
    interactive, batch = (drill.queue.flows[flow_of("ann", batch=batch)] for batch in (False, True))
    drill.finish(drill.running[0], 7.0)
    assert (interactive.counter, batch.counter) == (7.0, 1.0)


def test_whatever_weight_a_person_has_their_batch_work_has_an_eighth_of_it() -> None:
    pool = Pool([a_key()])
    for batch, weight in ((False, 4.0), (True, 4.0 * BATCH_WEIGHT)):
        assert pool.submit(an_ask(f"r{batch}", "ann", weight=4.0, batch=batch), 0.0)[0].weight == weight


def test_what_a_person_may_have_waiting_counts_both_classes() -> None:
    pool = Pool([a_key(slots=0)], QueueLimits(per_person=3))
    for number, batch in enumerate((True, False, True)):
        assert pool.submit(an_ask(f"r{number}", "ann", batch=batch), 0.0)[1] == []
    for batch in (True, False):
        (refusal,) = pool.submit(an_ask(f"late{batch}", "ann", batch=batch), 0.0)[1]
        assert not isinstance(refusal, Grant)
        assert refusal.ticket.id == f"late{batch}"
    assert pool.tally.refusals == {Reason.QUEUE_FULL: 2}
    assert pool.submit(an_ask("other", "bob"), 0.0)[1] == []


def test_the_forecast_of_batch_work_knows_that_others_go_first() -> None:
    pool = Pool([a_key(slots=1)])
    for number in range(41):
        pool.submit(an_ask(f"r{number}", f"p{number}"), 0.0)
    for number in range(3):
        pool.submit(an_ask(f"b{number}", "ann", batch=True), 0.0)
    late = pool.admission.forecast(an_ask("b", "ann", batch=True), 0.0)
    soon = pool.admission.forecast(an_ask("i", "zoe"), 0.0)
    assert late.position > soon.position
    assert late.seconds > soon.seconds


def test_the_bound_that_is_shown_knows_the_lightest_flow() -> None:
    queue = FairQueue()
    queue.submit(a_ticket("one", "ann"))
    plain = bound(queue, 4)
    queue.submit(a_ticket("two", "ann", weight=BATCH_WEIGHT, batch=True))
    assert bound(queue, 4) == plain / BATCH_WEIGHT


# Caps


def in_flight(drill: Drill, person: str) -> int:
    return sum(ticket.person == person for ticket in drill.running)


@pytest.mark.parametrize(("cap", "own", "most"), [(None, 2, 2), (4, 2, 2), (2, 4, 2), (3, None, 3), (None, None, 8)])
def test_the_lower_one_of_two_caps_holds(cap: int | None, own: int | None, most: int) -> None:
    drill = Drill(FairQueue(cap=cap), 8, caps={} if own is None else {"ann": own})
    for _ in range(10):
        drill.submit("ann")
    assert in_flight(drill, "ann") == most


def test_one_persons_cap_does_not_bind_another_person() -> None:
    drill = Drill(FairQueue(), 8, caps={"ann": 1})
    for person in ("ann", "bob") * 9:
        drill.submit(person)
    assert (in_flight(drill, "ann"), in_flight(drill, "bob")) == (1, 7)
    drill.drain()
    drill.assert_empty()


def test_a_pool_keeps_to_the_cap_of_each_person() -> None:
    sim = simulator(a_key(slots=8))
    for number in range(12):
        sim.ask(0.0, an_ask(f"a{number}", "ann", running_cap=2), service=1.0)
    sim.run()
    assert sim.now == 6.0
    sim.assert_empty()


def test_a_lower_cap_holds_from_the_next_request_on() -> None:
    drill = Drill(FairQueue(), 8)
    for _ in range(12):
        drill.submit("ann")
    assert in_flight(drill, "ann") == 8
    drill.caps["ann"] = 2
    drill.submit("ann")
    for _ in range(7):
        drill.finish(drill.running[0])
    assert in_flight(drill, "ann") == 2


def test_a_higher_cap_lets_those_go_who_waited_for_it() -> None:
    drill = Drill(FairQueue(), 8, caps={"ann": 1})
    for _ in range(4):
        drill.submit("ann")
    drill.caps["ann"] = 3
    drill.submit("ann")
    assert in_flight(drill, "ann") == 3


class UnboundedCredit(FairQueue):
    """Rule 3 left out: who comes back from the cap keeps the low counter."""

    def _reenter(self, flow: Flow, credit: float) -> None:
        self.roster.tier.sort_in(flow)


def others_work(drill: Drill, times: int) -> None:
    """Ann and Bob take turns on the slots that the others leave free, always with more waiting."""
    for person in ("ann", "bob") * 2:
        drill.submit(person)
    for _ in range(times):
        ticket = next(ticket for ticket in drill.running if ticket.person in ("ann", "bob"))
        drill.submit(ticket.person)
        drill.finish(ticket)


def parked(queue: FairQueue) -> tuple[Drill, list[Ticket]]:
    """Two adversaries at different caps, whose jobs last for as long as others take a thousand turns."""
    drill = Drill(queue, 7, caps={"eve": 1, "joe": 5})
    jobs = [drill.submit("eve"), *(drill.submit("joe") for _ in range(5))]
    for _ in range(40):
        drill.submit("eve")
        drill.submit("joe")
    others_work(drill, LONG)
    return drill, jobs


def test_each_comes_back_with_the_credit_of_their_own_cap() -> None:
    drill, jobs = parked(FairQueue())
    now = drill.queue.virtual_time
    assert now > 20 * drill.bound(), "the others have gone far ahead"
    for job in jobs[:2]:
        drill.key.slots -= 1  # no ticket may take the slot before we have looked
        drill.finish(job)
    behind = {name: now - drill.queue.flows[name].counter for name in ("eve", "joe")}
    assert behind == {"eve": 1.0, "joe": 5.0}
    assert gap(drill.queue) <= min(drill.bound(), bound(drill.queue, 7))


def test_without_the_rule_of_bounded_credit_both_break_the_bound() -> None:
    drill, jobs = parked(UnboundedCredit())
    for job in jobs[:2]:
        drill.key.slots -= 1
        drill.finish(job)
    assert gap(drill.queue) > 20 * drill.bound()


def test_who_is_given_a_higher_cap_brings_no_more_credit_than_the_old_one_held() -> None:
    """Else a flow that was parked for long would be owed the past on the day on which the operator raises its cap."""
    drill, _ = parked(FairQueue())
    now, drill.key.slots = drill.queue.virtual_time, drill.key.running
    drill.caps["eve"] = 50
    drill.submit("eve")
    assert now - drill.queue.flows["eve"].counter == 1.0


def test_no_cap_of_their_own_helps_those_whose_requests_hang_and_fail() -> None:
    drill, jobs = parked(FairQueue())
    for job in jobs:
        drill.key.slots -= 1
        drill.refund(job)
    assert gap(drill.queue) <= bound(drill.queue, 7)


def test_a_refused_request_takes_no_flow_out_of_the_order() -> None:
    """It may come with other keys than those before it; what waits must be found all the same when a slot is free."""
    queue, key = FairQueue(per_person=1), a_key("k1")
    first, second = a_ticket("first", "ann"), a_ticket("second", "ann")
    first.reach, second.reach = frozenset(("k1",)), frozenset(("k1", "k2"))
    assert queue.submit(first) is None
    assert queue.submit(second) is second
    assert queue.dispatch(lambda ticket: key) == (first, key)
