"""How counters move: by what is charged, and by rules 1, 6 and 7 of `fairqueue.py`. All act on both tiers."""

from __future__ import annotations

from keypool.flow_heap import FlowAccount, Lane
from keypool.flows import Flow
from keypool.ticket import Ticket
from keypool.tier import HeadsTier

HALF = 300.0  # seconds


class Largest:
    """The largest of the last five to ten minutes. Times are seconds, monotonic."""

    def __init__(self) -> None:
        self._now = self._before = self._since = 0.0

    def note(self, value: float, now: float) -> None:
        if now - self._since >= HALF:
            self._before = self._now if now - self._since < 2 * HALF else 0.0
            self._now, self._since = 0.0, now
        self._now = max(self._now, value)

    @property
    def value(self) -> float:
        return max(self._now, self._before)


def lift(flow: Flow, lane: Lane) -> None:
    """An account with nothing waiting in a lane starts there at V (rule 1)."""
    for account, tier in flow.tiers:
        if lane in account.lanes:
            continue
        time = tier.time_of(lane)
        if not account.waiting:
            account.offsets.clear()
            account.counter = max(account.counter, time)
        elif account.at(lane) < time:
            account.offsets[lane] = time - account.counter
        account.last = lane


def reweigh(flow: Flow, ticket: Ticket) -> None:
    """The person, or the party, has another weight now (rule 6)."""
    for (account, tier), weight in zip(flow.tiers, (ticket.weight, ticket.party_weight), strict=False):
        if account.weight != weight:
            tier.reweigh(account, weight)


def move(flow: Flow, cost: float, guessed: float) -> None:
    """Charge a flow, or give back to it. `guessed`: by how much more of its charges may be given back now."""
    for account, tier in flow.tiers:
        account.counter += cost / account.weight
        account.guessed += guessed
        if cost < 0.0 and not flow.parked:
            tier.sort_in(account)


def forgive(account: FlowAccount, tier: HeadsTier, most: float) -> None:
    """Lower an account that a lost key has carried ahead to this counter (rule 7)."""
    if account.counter > most:
        account.counter = most
        tier.sort_in(account)
