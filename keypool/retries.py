"""How many requests may be sent twice.

Retries multiply load just when an upstream has least to spare. All retries of a pool share one budget: a tenth of what
was dispatched in the last minute, and three at least (Envoy's retry budget, with the providers' own 10 %).
"""

from __future__ import annotations

from collections import deque

RATIO = 0.1
FLOOR = 3
WINDOW = 60  # seconds


class Minute:
    """Counts events of the last minute, by whole seconds: memory does not grow with the load."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque()
        self._total = 0

    def add(self, now: float) -> None:
        self._expire(now)
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))
        self._total += 1

    def total(self, now: float) -> int:
        self._expire(now)
        return self._total

    def _expire(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - WINDOW:
            self._total -= self._seconds.popleft()[1]


class RetryBudget:
    """Says whether one more retry is allowed."""

    def __init__(self) -> None:
        self.dispatched = Minute()
        self.retried = Minute()

    def take(self, now: float) -> bool:
        """Spend one retry if the budget has one."""
        if self.retried.total(now) >= self.allowed(now):
            return False
        self.retried.add(now)
        return True

    def allowed(self, now: float) -> float:
        """The retries that there may be in this minute."""
        return max(FLOOR, RATIO * self.dispatched.total(now))
