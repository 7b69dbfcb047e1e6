"""Who leaves a full queue: the newest request of the largest flow of the largest account, or who comes."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest

from keypool.fairqueue import FairQueue
from keypool.flow_heap import FlowAccount
from keypool.ticket import Ticket
from tests.keypool.making import MODEL, OPENAI, a_key

SELF = "the one who comes"


@dataclass(frozen=True)
class Full:
    """Who waits ("person/party", each with a cost of 1), who comes with which cost, and who has to leave."""

    waits: str
    comes: str
    cost: float
    leaves: str


TABLE = {
    "the longest": Full("a a a b", "c", 1, "a3"),
    "the longest itself": Full("a a a b", "a", 1, SELF),
    "none of equals": Full("a b c", "d", 1, SELF),
    "none of those who have less": Full("a b", "c", 9, SELF),
    "one of those who have more": Full("a a a", "c", 2, "a3"),
    "none of those who have as much": Full("a a a", "c", 3, SELF),
    "of the largest party, though each in it has as little as who comes": Full("a/p b/p c/p d/q", "e/q", 1, "a1"),
    "the longest of the own party": Full("a/p a/p a/p b/p c/q", "b/p", 1, "a3"),
    "none of the own party who has as much with it": Full("a/p a/p b/p c/q", "b/p", 1, SELF),
    "none of the own party who has less": Full("a/p b/p c/q", "d/p", 2, SELF),
}


def a_ticket(name: str, who: str, cost: float, at: float, model: str = MODEL) -> Ticket:
    person, _, party = who.partition("/")
    return Ticket(name, person, model, OPENAI, cost, at, deadline=1e9, party=party)


@pytest.mark.parametrize("full", TABLE.values(), ids=TABLE)
def test_of_a_full_queue_leaves(full: Full) -> None:
    queue = FairQueue(total=len(full.waits.split()))
    count: dict[str, int] = {}
    for at, who in enumerate(full.waits.split()):
        person = who.partition("/")[0]
        count[person] = count.get(person, 0) + 1
        assert queue.submit(a_ticket(f"{person}{count[person]}", who, 1.0, float(at))) is None
    shed = queue.submit(a_ticket(SELF, full.comes, full.cost, 99.0))
    assert shed is not None
    assert shed.id == full.leaves


def test_of_several_models_the_newest_request_leaves() -> None:
    for order in (("m", "n", "o"), ("o", "n", "m"), ("n", "o", "m")):
        queue = FairQueue(total=3)
        for at, model in enumerate(order):
            queue.submit(a_ticket(model, "a", 1.0, float(at), model))
        shed = queue.submit(a_ticket("late", "b", 1.0, 9.0))
        assert shed is not None and shed.id == order[-1]


def length(account: FlowAccount, more: float = 0.0) -> float:
    return (account.backlog + more) / account.weight


def plainly(queue: FairQueue, ticket: Ticket) -> set[str]:
    """Who may leave for this ticket, found by looking at every flow: several where some are equal."""
    flows = [each for each in queue.flows.values() if each.waiting]
    mine = queue.flows.get(ticket.flow)
    party = queue.parties.get(ticket.party)
    top = party or mine
    most = max(length(each.top) for each in flows)
    others = [each.top for each in flows if each.top is not top and length(each.top) == most]
    found: set[str] = set()
    for account in {*others, *([top] if top is not None and length(top) == most else [])}:
        inside = [each for each in flows if each.top is account]
        if account is not top and most <= (ticket.cost if top is None else length(top, ticket.cost)):
            found.add(ticket.id)
            continue
        largest = max(map(length, inside))
        if account is top and largest <= (ticket.cost if mine is None else length(mine, ticket.cost)):
            found.add(ticket.id)
            continue
        for each in inside:
            if length(each) == largest:
                found.add(max((queue[-1] for queue in each.queues.values()), key=lambda it: it.submitted).id)
    return found


@pytest.mark.parametrize("parties", [0, 3])
@pytest.mark.parametrize("seed", range(4))
def test_whatever_has_happened_before_leaves_who_would_leave_by_the_rule(seed: int, parties: int) -> None:
    dice, queue, waits, runs = Random(seed), FairQueue(total=30, per_person=12), {}, []
    key = a_key(slots=1000)
    for number in range(1500):
        act = dice.random()
        if act < 0.6 or not waits:
            person = f"p{int(dice.paretovariate(0.8)) % 17}"
            who = f"{person}/q{int(person[1:]) % parties}" if parties else person
            ticket = a_ticket(f"t{number}", who, float(dice.randint(1, 5)), float(number), dice.choice("mn"))
            may_leave = plainly(queue, ticket) if queue.waiting >= queue.total else set()
            asked_too_much = sum(each.person == person for each in waits.values()) >= queue.per_person
            shed = queue.submit(ticket)
            if not asked_too_much and may_leave:
                assert shed is not None and shed.id in may_leave
            waits[ticket.id] = ticket
            if shed is not None:
                del waits[shed.id]
        elif act < 0.8 and (found := queue.dispatch(lambda ticket: key)) is not None:
            runs.append(waits.pop(found[0].id))
        elif act < 0.9:
            queue.cancel(waits.pop(dice.choice(sorted(waits))))
        elif runs:
            ticket = runs.pop()
            if dice.random() < 0.5:
                queue.finish(ticket, ticket.cost)
            else:
                queue.refund(ticket)
                waits[ticket.id] = ticket


def looks(persons: int) -> int:
    """How many lengths are asked for while a queue that one person has filled stays full of what others ask for."""
    counted = 0

    class Counted(float):
        def __truediv__(self, other: float) -> float:
            nonlocal counted
            counted += 1
            return float.__truediv__(self, other)

        def __add__(self, other: float) -> Counted:
            return Counted(float.__add__(self, other))

        __radd__ = __add__

    queue = FairQueue(total=persons + 60, per_person=60)
    for number in range(60):
        queue.submit(a_ticket(f"g{number}", "greedy", Counted(1.0), 0.0))
    for number in range(persons):
        queue.submit(a_ticket(f"t{number}", f"p{number}", Counted(1.0), 0.0))
    queue.submit(a_ticket("first", "first", Counted(1.0), 1.0))  # for which the heaps are made
    counted = 0
    for number in range(50):
        shed = queue.submit(a_ticket(f"n{number}", f"n{number}", Counted(1.0), 1.0))
        assert shed is not None and shed.person == "greedy"
    return counted


def test_thirty_times_the_persons_make_no_shed_request_dearer() -> None:
    few, many = looks(100), looks(3000)
    assert 0 < few <= many <= 2 * few
