"""The work that waits, as a function of the counter: a picture of all accounts at one instant.

What an account g contributes to the work ahead of the counter F begins with one request at c_g, and grows with slope
w_g from the middle of the next one on, until its backlog is used up. The sum over all is piecewise linear, so its
corners are kept and a question costs O(log accounts). An account that waits in several lanes stands in each under the
counter that counts there; what it has in them is added up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from keypool.flow_heap import FlowAccount

Place = tuple[float, float]  # in the order: a counter, and among equal counters who came first


class Backlog:
    """The corners of that sum, perhaps only of the lanes of one group. `at`: when it was taken, seconds, monotonic."""

    def __init__(self, accounts: Iterable[FlowAccount], now: float, group: str | None = None) -> None:
        self.at, self.group = now, group
        # at a place: more requests, and a change of their slope; both in cost, too
        steps: list[tuple[Place, float, float, float, float]] = []
        for account in accounts:
            if account.waiting:
                steps += _waits(account, group).steps()
        steps.sort()
        self._corners = [step[0] for step in steps]
        self._sums: list[tuple[float, float, float, float]] = []  # at each corner: cost, requests, and their slopes
        cost = count = slope = rate = last = 0.0
        for (counter, _), much, many, more, faster in steps:
            cost, count = cost + slope * (counter - last) + much, count + rate * (counter - last) + many
            slope, rate, last = slope + more, rate + faster, counter
            self._sums.append((cost, count, slope, rate))

    def below(self, place: Place) -> tuple[float, float]:
        """The cost and the number of the requests that are served before an account at this place has its turn."""
        index = bisect_right(self._corners, place) - 1
        if index < 0:
            return 0.0, 0.0
        cost, count, slope, rate = self._sums[index]
        beyond = place[0] - self._corners[index][0]
        return cost + slope * beyond, count + rate * beyond

    def part_of(self, account: FlowAccount, place: Place) -> tuple[float, float]:
        """The account's own part of `below`: its cost, and its requests."""
        waits = _waits(account, self.group)
        count = waits.before(place)
        return count * waits.each, count


class AccountWaits(NamedTuple):
    """What an account has waiting: how much, how many, from which place on it has its turn, and its weight."""

    cost: float
    requests: int
    place: Place
    weight: float

    @property
    def each(self) -> float:
        """The cost of one of them."""
        return self.cost / self.requests if self.requests else 0.0

    def before(self, place: Place) -> float:
        """How many of them go before an account at a place."""
        if not self.requests or place < self.place:
            return 0.0
        if self.each <= 0.0:
            return float(self.requests)
        return min(float(self.requests), max(1.0, 0.5 + (place[0] - self.place[0]) * self.weight / self.each))

    def steps(self) -> list[tuple[Place, float, float, float, float]]:
        if not self.requests:
            return []
        if self.requests == 1 or self.each <= 0.0:
            return [(self.place, self.cost, float(self.requests), 0.0, 0.0)]
        start, step = self.place[0], self.each / self.weight
        return [
            (self.place, self.each, 1.0, 0.0, 0.0),
            ((start + 0.5 * step, 0.0), 0.0, 0.0, self.weight, 1.0 / step),
            ((start + (self.requests - 0.5) * step, 0.0), 0.0, 0.0, -self.weight, -1.0 / step),
        ]


def _waits(account: FlowAccount, group: str | None) -> AccountWaits:
    if group is None and not account.offsets:
        return AccountWaits(account.backlog, account.waiting, (account.counter, account.came), account.weight)
    mine = [(lane, waits) for lane, waits in account.lanes.items() if group is None or lane.group == group]
    cost, count = sum(waits.cost for _, waits in mine), sum(waits.count for _, waits in mine)
    counter = min((account.at(lane) for lane, _ in mine), default=account.counter)
    return AccountWaits(cost, count, (counter, account.came), account.weight)
