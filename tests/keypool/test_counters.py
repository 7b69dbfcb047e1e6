"""How counters move: when a flow comes to a lane (rule 1), and when a weight changes (rule 6)."""

from __future__ import annotations

from collections import Counter

import pytest

from keypool.fairqueue import FairQueue
from keypool.flow_heap import lane_of
from keypool.ticket import Ticket
from tests.keypool.drill import Drill
from tests.keypool.making import MODEL, OPENAI, a_key


@pytest.mark.parametrize(
    ("time", "there", "here"),
    [(100.0, 100.0, 7.0), (7.0, 7.0, 7.0), (3.0, 7.0, 7.0)],
    ids=["ahead", "as far", "behind"],
)
def test_who_waits_already_starts_in_another_lane_at_its_time_and_stays_what_they_are_in_the_first(
    time: float, there: float, here: float
) -> None:
    queue = FairQueue()
    first, second = (
        Ticket(name, "ann", name, OPENAI, 1.0, 0.0, deadline=1e9, reach=frozenset((key,)))
        for name, key in (("m", "k1"), ("n", "k2"))
    )
    queue.submit(first)
    flow = queue.flows["ann"]
    flow.counter = 7.0
    queue.roster.tier.times["k2"] = time
    queue.submit(second)
    assert (flow.at(second.lane), flow.at(first.lane)) == (there, here)


@pytest.mark.parametrize("times", [{}, {"k1": 0.25}, {"k1": 0.25, "k2": 0.5}, {"k1": 9.0}, {"k2": 9.0}])
def test_the_time_of_a_lane_is_that_of_the_key_which_is_farthest(times: dict[str, float]) -> None:
    queue = FairQueue()
    queue.roster.tier.times.update(times)
    assert queue.roster.tier.time_of(lane_of(MODEL, frozenset(("k1", "k2")))) == max(times.values(), default=0.0)
    assert queue.roster.tier.time_of(lane_of(MODEL, frozenset(("k1",)))) == times.get("k1", 0.0)


@pytest.mark.parametrize("time", [100.0, 3.0])
def test_who_comes_with_nothing_waiting_starts_at_the_time_and_never_falls_back(time: float) -> None:
    queue = FairQueue()
    first, second = (
        Ticket(name, "ann", MODEL, OPENAI, 1.0, 0.0, deadline=1e9, reach=frozenset(("k1",))) for name in ("a", "b")
    )
    queue.submit(first)
    assert queue.dispatch(lambda ticket: a_key()) is not None
    queue.flows["ann"].counter = 7.0
    queue.roster.tier.times["k1"] = time
    queue.submit(second)
    assert queue.flows["ann"].counter == max(7.0, time)


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
