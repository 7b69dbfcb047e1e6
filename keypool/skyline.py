"""The work that waits, as a function of the counter: a picture of all flows at one instant.

What a flow g contributes to the work ahead of the counter F grows from c_g, with slope w_g, until its backlog is used
up. The sum over all flows is piecewise linear, so its corners are kept and a question costs O(log flows).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from keypool.order import Flow


class Skyline:
    """The corners of that sum. `at` is when it was taken, seconds, monotonic."""

    def __init__(self, flows: Iterable[Flow], now: float) -> None:
        self.at = now
        steps: list[tuple[float, float, float]] = []  # (counter, change of slope in cost, the same in requests)
        for flow in flows:
            if flow.waiting:
                each = flow.waiting / flow.backlog if flow.backlog else 0.0
                steps.append((flow.counter, flow.weight, flow.weight * each))
                steps.append((flow.counter + flow.backlog / flow.weight, -flow.weight, -flow.weight * each))
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
