"""Until when those who wait may wait."""

from __future__ import annotations

import pytest

from keypool.deadlines import SPARE, Deadlines
from keypool.flow_heap import lane_of
from keypool.health import FOREVER
from keypool.ticket import Ticket
from tests.keypool.making import MODEL, a_ticket

LANE, OTHER = lane_of(MODEL, frozenset()), lane_of("n", frozenset())


def waits(number: int, deadline: float) -> Ticket:
    ticket = a_ticket(f"t{number}", "ann")
    ticket.deadline, ticket.lane, ticket.waiting = deadline, LANE, True
    return ticket


@pytest.mark.parametrize("many", [1, SPARE, 3 * SPARE + 1])
def test_all_who_wait_come_due_in_the_order_of_their_deadlines(many: int) -> None:
    deadlines = Deadlines()
    for number in range(many):
        deadlines.add(waits(number, float(number * 7 % many)))
    assert deadlines.first() == 0.0
    assert [ticket.deadline for ticket in deadlines.due(many / 2)] == sorted(
        number * 7 % many for number in range(many) if number * 7 % many <= many / 2
    )
    assert deadlines.first() > many / 2


def test_who_waits_no_longer_or_elsewhere_does_not_come_due_and_takes_no_room_for_long() -> None:
    deadlines = Deadlines()
    staying = waits(0, 5.0)
    deadlines.add(staying)
    for number in range(1, 10 * SPARE):
        ticket = waits(number, 1.0)
        deadlines.add(ticket)
        if number % 2:
            ticket.waiting = False
        else:
            ticket.lane = OTHER
    assert len(deadlines._heaps[LANE]) <= 2 * SPARE
    assert deadlines.first() == 5.0
    assert list(deadlines.due(9.0)) == [staying]
    assert (deadlines.first(), deadlines.lanes()) == (FOREVER, [])


def test_a_deadline_at_the_instant_is_due_and_not_before_it() -> None:
    deadlines = Deadlines()
    ticket = waits(0, 5.0)
    deadlines.add(ticket)
    assert list(deadlines.before(LANE, 5.0)) == list(deadlines.due(4.9)) == []
    assert list(deadlines.due(5.0)) == [ticket]
    deadlines.add(ticket)
    assert list(deadlines.before(LANE, 5.1)) == [ticket]
