"""Who leaves a full queue: the newest request of the largest flow of the largest account, or who comes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from keypool.fairqueue import FairQueue
from keypool.ticket import Ticket
from tests.keypool.making import MODEL, OPENAI

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
