"""What is served before a request: the formula of `waiting.py`, added up by hand and by the queue itself."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypool.ahead import ahead, before
from keypool.backlog import Backlog
from keypool.fairqueue import FairQueue
from keypool.flow_heap import FlowAccount, Waits, lane_of
from keypool.flows import Flow
from keypool.ticket import Ticket
from tests.keypool.making import MODEL, OPENAI, a_key

LANE = lane_of(MODEL, frozenset())


def asked(name: str, person: str, cost: float, weight: float = 1.0, model: str = MODEL, party: str = "") -> Ticket:
    return Ticket(name, person, model, OPENAI, cost, 0.0, deadline=1e9, weight=weight, party=party)


def waiting(*tickets: Ticket) -> FairQueue:
    queue = FairQueue()
    for ticket in tickets:
        assert queue.submit(ticket) is None
    return queue


# Of the own flow

OWN = [asked(f"t{number}", "ann", float(2**number)) for number in range(4)]  # 1, 2, 4 and 8


@pytest.mark.parametrize(("number", "cost", "count"), [(0, 0.0, 0), (1, 1.0, 1), (2, 3.0, 2), (3, 7.0, 3)])
def test_of_the_own_flow_goes_before_a_request_what_came_before_it(number: int, cost: float, count: int) -> None:
    own = [asked(each.id, "ann", each.cost) for each in OWN]
    queue = waiting(*own, asked("b", "bob", 100.0))
    assert before(queue, own[number]) == (cost, count)
    assert before(queue, asked("new", "ann", 9.0)) == (15.0, 4)
    assert before(queue, asked("new", "eve", 9.0)) == (0.0, 0)


def test_what_has_left_is_not_before_anything() -> None:
    own = [asked(each.id, "ann", each.cost) for each in OWN]
    queue = waiting(*own)
    queue.cancel(own[1])
    assert [before(queue, own[number]) for number in (0, 2, 3)] == [(0.0, 0), (1.0, 1), (5.0, 2)]


def test_in_other_lanes_all_of_the_own_flow_goes_before() -> None:
    first, second = asked("m1", "ann", 1.0), asked("m2", "ann", 2.0)
    queue = waiting(first, second, asked("n1", "ann", 4.0, model="n"))
    assert (before(queue, first), before(queue, second)) == ((4.0, 1), (5.0, 2))


# Of the others


@st.composite
def accounts(draw: st.DrawFn) -> list[FlowAccount]:
    found = []
    for number in range(draw(st.integers(0, 6))):
        account = Flow(f"a{number}", draw(st.sampled_from([0.5, 1.0, 3.0])), draw(st.floats(0, 50)), LANE)
        account.waiting = draw(st.integers(0, 5))
        account.backlog = account.waiting * draw(st.sampled_from([0.0, 1.0, 7.0]))
        if account.waiting:
            account.lanes[LANE] = Waits(account.waiting, account.backlog)
        found.append(account)
    return found


def by_hand(some: Sequence[FlowAccount], counter: float) -> tuple[float, float]:
    cost = count = 0.0
    for account in some:
        if account.waiting and counter >= account.counter:
            each = account.backlog / account.waiting
            below = (counter - account.counter) * account.weight
            many = min(account.waiting, max(1.0, 0.5 + below / each)) if each else account.waiting
            cost, count = cost + many * each, count + many
    return cost, count


@settings(deadline=None, max_examples=60)
@given(accounts(), st.floats(-5, 90))
def test_the_skyline_is_the_sum_over_all_accounts(some: list[FlowAccount], counter: float) -> None:
    for group in (None, LANE.group):
        backlog = Backlog(some, 0.0, group)
        assert backlog.below((counter, inf)) == pytest.approx(by_hand(some, counter), abs=1e-6)
        for each in some:
            assert backlog.part_of(each, (counter, inf)) == pytest.approx(by_hand([each], counter), abs=1e-6)
    assert Backlog(some, 0.0, "another group").below((counter, inf)) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("own", "weight", "others", "others_weight", "cost", "count"),
    [
        # ann's own backlog; the backlog of bob and his weight; what goes before the next request of ann
        ([], 1.0, [1.0] * 10, 1.0, 1.0, 1),
        ([2.0, 2.0], 1.0, [1.0] * 10, 1.0, 4.0 + 4.5, 2 + 4),
        ([2.0, 2.0], 1.0, [1.0] * 10, 2.0, 4.0 + 8.5, 2 + 8),
        ([2.0, 2.0], 2.0, [1.0] * 10, 1.0, 4.0 + 2.5, 2 + 2),
        ([2.0] * 9, 1.0, [1.0] * 10, 1.0, 18.0 + 10.0, 9 + 10),
        ([2.0], 1.0, [], 1.0, 2.0, 1),
    ],
)
def test_the_others_are_served_until_they_had_as_much_by_weight(
    own: list[float], weight: float, others: list[float], others_weight: float, cost: float, count: int
) -> None:
    queue = waiting(
        *(asked(f"a{number}", "ann", each, weight) for number, each in enumerate(own)),
        *(asked(f"b{number}", "bob", each, others_weight) for number, each in enumerate(others)),
    )
    new = asked("new", "ann", 5.0, weight)
    assert ahead(queue, new, Backlog(queue.accounts(), 0.0)) == (pytest.approx(cost), count)


@pytest.mark.parametrize("parties", [False, True])
@pytest.mark.parametrize("own", [0, 3, 12])
def test_as_many_are_served_before_a_request_as_was_forecast(own: int, parties: bool) -> None:
    persons = {"ann": own, "bob": 9, "eve": 4, "joe": 20}
    queue = waiting(
        *(
            asked(f"{person}{number}", person, 1.0, party=f"of {person[0] > 'b'}" if parties else "")
            for person, many in persons.items()
            for number in range(many)
        )
    )
    new = asked("new", "ann", 1.0, party="of False" if parties else "")
    _, forecast = ahead(queue, new, Backlog(queue.accounts(), 0.0))
    queue.submit(new)
    key, served = a_key(slots=99), 0
    while (found := queue.dispatch(lambda ticket: key)) is not None and found[0] is not new:
        served += 1
    assert abs(served - forecast) <= len(persons)


@pytest.mark.parametrize("place", [0, 5, 11])
def test_of_those_who_stand_at_one_counter_goes_first_who_came_first(place: int) -> None:
    """Twelve newcomers start at the same counter. Each of them was once forecast to be the next."""
    tickets = [asked(f"t{number}", f"person {number}", 3.0) for number in range(12)]
    queue = waiting(*tickets)
    backlog = Backlog(queue.accounts(), 0.0)
    assert ahead(queue, tickets[place], backlog) == (pytest.approx(3.0 * place), place)
    assert ahead(queue, asked("new", "a newcomer", 3.0), backlog) == (pytest.approx(36.0), 12)


def test_a_flow_that_lies_a_little_lower_has_a_whole_request_served_first() -> None:
    queue = waiting(asked("a", "ann", 10.0), asked("b", "bob", 10.0), asked("b2", "bob", 10.0))
    queue.flows["ann"].counter = 0.1
    assert ahead(queue, asked("new", "ann", 10.0), Backlog(queue.accounts(), 0.0))[1] == 1 + 2
