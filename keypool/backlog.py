"""The work that waits, as a function of the counter: a picture of all accounts at one instant.

What an account g contributes to the work ahead of the counter F grows from c_g, with slope w_g, until its backlog is
used up. The sum over all is piecewise linear, so its corners are kept and a question costs O(log accounts). An account
that waits in several lanes stands in each under the counter that counts there; what it has in them is added up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from keypool.flow_heap import FlowAccount


class Backlog:
    """The corners of that sum, perhaps only of the lanes of one group. `at`: when it was taken, seconds, monotonic."""

    def __init__(self, accounts: Iterable[FlowAccount], now: float, group: str | None = None) -> None:
        self.at, self.group = now, group
        steps: list[tuple[float, float, float]] = []  # (counter, change of slope in cost, the same in requests)
        for account in accounts:
            if account.waiting:
                steps += _steps(account, group)
        steps.sort()
        self._corners = [step[0] for step in steps]
        self._sums: list[tuple[float, float, float, float]] = []  # at each corner: cost, requests, and their slopes
        cost = count = slope = rate = last = 0.0
        for corner, more, faster in steps:
            cost, count = cost + slope * (corner - last), count + rate * (corner - last)
            slope, rate, last = slope + more, rate + faster, corner
            self._sums.append((cost, count, slope, rate))

    def below(self, counter: float) -> tuple[float, float]:
        """The cost and the number of the requests that are served before a flow at this counter has its turn."""
        index = bisect_right(self._corners, counter) - 1
        if index < 0:
            return 0.0, 0.0
        cost, count, slope, rate = self._sums[index]
        beyond = counter - self._corners[index]
        return cost + slope * beyond, count + rate * beyond

    def part_of(self, account: FlowAccount, counter: float) -> tuple[float, float]:
        """The account's own part of `below`: its cost, and its requests."""
        cost, count, start = _waits(account, self.group)
        mine = min(cost, max(0.0, counter - start) * account.weight)
        return mine, count * mine / cost if cost > 0.0 else 0.0


def _steps(account: FlowAccount, group: str | None) -> list[tuple[float, float, float]]:
    cost, count, start = _waits(account, group)
    if not count:
        return []
    each = count / cost if cost > 0.0 else 0.0
    weight = account.weight
    return [(start, weight, weight * each), (start + cost / weight, -weight, -weight * each)]


def _waits(account: FlowAccount, group: str | None) -> tuple[float, int, float]:
    """The cost and number of what an account has waiting, and the counter from which on it has its turn."""
    if group is None and not account.offsets:
        return account.backlog, account.waiting, account.counter
    mine = [(lane, waits) for lane, waits in account.lanes.items() if group is None or lane.group == group]
    cost, count = sum(waits.cost for _, waits in mine), sum(waits.count for _, waits in mine)
    return cost, count, min((account.at(lane) for lane, _ in mine), default=account.counter)
