"""How far apart those are who wait, and what that may be by the rules of `fairqueue.py`."""

from __future__ import annotations

from keypool.fairqueue import FairQueue
from keypool.flow_heap import Lane


def gap(fair: FairQueue) -> float:
    """The largest difference between the counters of two flows that wait below their cap, in cost per weight.

    Only those who wait in one lane are compared: whom a key of their own carries ahead takes nothing from others.
    """
    spans: dict[Lane, tuple[float, float]] = {}
    for account in {flow.top for flow in fair.flows.values() if flow.waiting and not flow.parked}:
        for lane in account.lanes:
            counter = account.at(lane)
            low, high = spans.get(lane, (counter, counter))
            spans[lane] = min(low, counter), max(high, counter)
    return max((high - low for low, high in spans.values()), default=0.0)


def bound(fair: FairQueue, slots: int) -> float:
    """The highest `gap` by the rules: one flow's requests in flight, guessed wrong, and the credit of rule 3."""
    flows = [flow for flow in fair.flows.values() if flow.waiting]
    most = max((slots if flow.cap is None else flow.cap for flow in flows), default=fair.cap or slots)
    return (1 + 2 * most) * fair.largest.value / min((flow.top.weight for flow in flows), default=1.0)
