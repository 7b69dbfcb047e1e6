"""How many requests may be sent twice.

Retries multiply load just when an upstream has least to spare. All retries of a pool share one budget: a tenth of what
was dispatched in the last minute, and three at least (Envoy's retry budget, with the providers' own 10 %). A person may
use at most a tenth of what was dispatched for them, or three; and when the budget is used up, a person who has had less
than an equal part of it still gets that. So requests that fail by their own fault leave the retries of others alone.
"""

from __future__ import annotations

from collections import OrderedDict, deque

RATIO = 0.1
FLOOR = 3
WINDOW = 60  # seconds


class Minute:
    """Counts events of the last minute, by whole seconds: memory does not grow with the load."""

    def __init__(self) -> None:
        self.last = 0.0  # the instant of the last event
        self._seconds: deque[list[int]] = deque()  # each with its count
        self._total = 0

    def add(self, now: float) -> None:
        self._expire(now)
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1][1] += 1
        else:
            self._seconds.append([second, 1])
        self._total += 1
        self.last = now

    def total(self, now: float) -> int:
        self._expire(now)
        return self._total

    def _expire(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - WINDOW:
            self._total -= self._seconds.popleft()[1]


class Minutes:
    """A `Minute` for each person. A person without an event for a minute is forgotten."""

    def __init__(self) -> None:
        self.all = Minute()
        self._persons: OrderedDict[str, Minute] = OrderedDict()  # the latest event last

    def add(self, person: str, now: float) -> None:
        minute = self._persons.get(person)
        if minute is None:
            minute = self._persons[person] = Minute()
        else:
            self._persons.move_to_end(person)
        minute.add(now)
        self.all.add(now)

    def of(self, person: str, now: float) -> int:
        found = self._persons.get(person)
        return found.total(now) if found is not None else 0

    def persons(self, now: float) -> int:
        """How many did something in the last minute."""
        while self._persons and next(iter(self._persons.values())).last <= now - WINDOW:
            self._persons.popitem(last=False)
        return len(self._persons)


class RetryBudget:
    """Says whether one more retry is allowed."""

    def __init__(self) -> None:
        self._dispatched, self._retried = Minutes(), Minutes()

    def dispatched(self, person: str, now: float) -> None:
        """A request of a person went out."""
        self._dispatched.add(person, now)
        self._dispatched.persons(now)

    def take(self, person: str, now: float) -> bool:
        """Spend one retry if the budget has one for this person."""
        if not self._may(person, now):
            return False
        self._retried.add(person, now)
        return True

    def spent(self, now: float) -> int:
        """The retries of the last minute."""
        return self._retried.all.total(now)

    def allowed(self, now: float) -> float:
        """The retries that there may be in this minute."""
        return max(FLOOR, RATIO * self._dispatched.all.total(now))

    def _may(self, person: str, now: float) -> bool:
        own = self._retried.of(person, now)
        if own >= max(FLOOR, RATIO * self._dispatched.of(person, now)):
            return False
        others = self._retried.persons(now) - (own > 0)
        return self.spent(now) < self.allowed(now) or own + 1 <= self.allowed(now) / (others + 1)
