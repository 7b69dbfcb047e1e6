"""What a decision costs: comparisons are counted, microseconds only printed (`pytest -s -m slow`)."""

from __future__ import annotations

from random import Random
from time import perf_counter

import pytest

from keypool.fairqueue import FairQueue
from keypool.keys import Key
from keypool.ticket import Ticket
from tests.keypool.making import a_key, a_ticket

KEY = a_key(slots=1)


class Counted(float):
    """A counter that counts how often it is compared."""

    comparisons = 0

    def __lt__(self, other: float) -> bool:
        Counted.comparisons += 1
        return float.__lt__(self, other)

    def __add__(self, other: float) -> Counted:
        return Counted(float.__add__(self, other))


def choose(ticket: Ticket) -> Key | None:
    return KEY


def full_queue(persons: int, each: int) -> FairQueue:
    """Each person has `each` requests of mixed sizes waiting."""
    dice = Random(persons)
    queue = FairQueue(total=persons * each, per_person=each)
    for number in range(persons * each):
        queue.submit(a_ticket(f"t{number}", f"p{number % persons}", dice.uniform(1, 100)))
    return queue


def serve(queue: FairQueue) -> None:
    found = queue.dispatch(choose)
    assert found is not None
    queue.finish(found[0], found[0].cost * 1.1)


def comparisons(persons: int, each: int, decisions: int = 500) -> float:
    """Comparisons of counters for one decision, on average."""
    queue = full_queue(persons, each)
    for flow in queue.flows.values():
        flow.counter = Counted(flow.counter)
    for _ in range(persons):
        serve(queue)
    Counted.comparisons = 0
    for _ in range(decisions):
        serve(queue)
    return Counted.comparisons / decisions


def test_ten_times_the_persons_cost_a_few_comparisons_more() -> None:
    few, many = comparisons(100, 8), comparisons(1000, 3)
    assert 0 < few < many <= few + 20


def test_how_much_a_person_has_waiting_costs_nothing() -> None:
    assert comparisons(100, 50) <= 1.25 * comparisons(100, 8)


def test_what_many_cancel_is_forgotten_when_the_queue_moves_on() -> None:
    queue = full_queue(10, 2)
    queue.total = 5000
    for number in range(1000):
        ticket = a_ticket(f"c{number}", f"gone{number}")
        queue.submit(ticket)
        queue.cancel(ticket)
    assert len(queue.flows) == 10
    for _ in range(20):
        serve(queue)
    assert queue.dispatch(choose) is None
    assert len(queue.roster.tier.order) == 0


def test_what_one_person_cancels_is_not_kept() -> None:
    """A head that cannot go yet must not let its person's cancelled requests pile up behind it."""
    queue = FairQueue()
    queue.submit(a_ticket("head", "ann"))
    for number in range(1000):
        ticket = a_ticket(f"t{number}", "ann")
        queue.submit(ticket)
        queue.cancel(ticket)
    assert len(queue.flows["ann"].queue) == 1
    assert len(queue.roster.tier.order) == 1


@pytest.mark.slow
def test_microseconds_of_a_decision_are_printed() -> None:
    queue = full_queue(1000, 10)
    taken = []
    for _ in range(5000):
        start = perf_counter()
        serve(queue)
        taken.append((perf_counter() - start) * 1e6)
    taken.sort()
    print(f"\n10,000 queued of 1,000 persons: dispatch and settle p50 {taken[2500]:.1f} us, p99 {taken[4950]:.1f} us")
    assert queue.waiting == 5000
