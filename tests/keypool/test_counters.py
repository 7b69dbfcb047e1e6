"""How counters move when a weight changes (rule 6)."""

from __future__ import annotations

from collections import Counter

import pytest

from keypool.fairqueue import FairQueue
from keypool.ticket import Ticket
from tests.keypool.drill import Drill
from tests.keypool.making import MODEL, OPENAI


@pytest.mark.parametrize(("weight", "share"), [(1.0, 10), (3.0, 15), (1 / 3, 5)])
def test_another_weight_holds_from_the_next_request_on(weight: float, share: int) -> None:
    """Of twenty requests that are served then, with another person waiting whose weight is 1."""
    drill = Drill(FairQueue(), 1)
    for person in ("ann", "bob") * 40:
        drill.submit(person)
    for _ in range(20):
        drill.finish(drill.running[0])
    before = Counter(drill.served)
    drill.queue.submit(Ticket("last", "ann", MODEL, OPENAI, 1.0, 0.0, deadline=1e9, weight=weight))
    for _ in range(20):
        drill.finish(drill.running[0])
    assert abs((drill.served - before)["ann"] - share) <= 1
    assert drill.queue.active_weight == pytest.approx(weight + 1)


@pytest.mark.parametrize("weight", [0.5, 4.0])
def test_what_an_account_is_ahead_stays_the_same_cost_and_so_it_is_of_its_party(weight: float) -> None:
    def asked(number: int, own: float, partys: float) -> Ticket:
        return Ticket(
            f"t{number}", "ann", MODEL, OPENAI, 1.0, 0.0, deadline=1e9, weight=own, party="p", party_weight=partys
        )

    queue = FairQueue()
    first = asked(1, 1.0, 1.0)
    queue.submit(first)
    queue.flows[first.flow].top.counter += 12.0
    queue.flows[first.flow].counter += 6.0
    queue.submit(asked(2, weight, 2 * weight))
    flow = queue.flows[first.flow]
    assert (flow.weight, flow.counter) == (weight, 6.0 / weight)
    assert (flow.top.weight, flow.top.counter) == (2 * weight, 12.0 / (2 * weight))
    assert queue.active_weight == 2 * weight
