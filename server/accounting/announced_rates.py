"""What a worker takes of limits per minute, as the other workers of its machine hear it: many takings in one message.

A message for each taking would wake every worker for every request of all. So what is taken is kept for up to
`LATEST_SECONDS`, while that is at most one part in `PART * workers` of what is left of its counter. What is more is
said at once, and so is what becomes more because others take.

**Why no limit is exceeded by that.** A worker believes more to be left of a limit than is true, by what the others keep
to themselves. Each of `n` workers keeps at most `1 / (4 n)` of what it believes, so all of them keep at most a quarter
of what is left in truth and what is kept: kept <= (true + kept) / 4, that is, kept <= true / 3. So something is left in
truth whenever something is kept, and a worker that believes in nothing is right. What remains is the time of a message,
as ever (`server/ledger/ratelimit.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from server.ledger.ratelimit import RateLimits

LATEST_SECONDS = 0.05
PART = 4
SECOND = 1.0  # takings of two seconds stay two: gateways speak of whole seconds to each other


class Taking(NamedTuple):
    """So much was taken of a counter from `first` to `last`; less than 0: given back of what was taken then."""

    counter: str
    amount: int
    first: float
    last: float


class AnnouncedRates:
    """`announce` says takings to the others; `later` calls a function after so many seconds. `clock`: monotonic."""

    def __init__(
        self,
        limits: RateLimits,
        clock: Callable[[], float],
        workers: int,
        announce: Callable[[list[Taking]], None],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._limits, self._clock, self._part = limits, clock, PART * workers
        self._announce, self._later = announce, later
        self._takings: dict[str, list[Taking]] = {}
        self._kept: dict[str, int] = {}  # of each counter: the sum of those
        self._due = False

    def took(self, counter: str, by: int, at: float) -> None:
        """So much was taken here just now; or at that instant, what becomes known later."""
        takings = self._takings.setdefault(counter, [])
        if by > 0 and takings and _joins(takings[-1], at):
            takings[-1] = takings[-1]._replace(amount=takings[-1].amount + by, last=at)
        else:
            takings.append(Taking(counter, by, at, at))
        self._kept[counter] = self._kept.get(counter, 0) + by
        self._look(counter)
        if self._takings and not self._due:
            self._due = True
            self._later(LATEST_SECONDS, self._ring)

    def heard(self, takings: Iterable[tuple[str, int, float, float]]) -> None:
        """Others have taken so much (`Taking`)."""
        now = self._clock()
        for counter, amount, first, last in takings:
            self._limits.note(counter, amount, last, now, first)
            self._look(counter)

    def say(self) -> None:
        """Let the others hear all."""
        takings = [taking for each in self._takings.values() for taking in each]
        self._takings.clear()
        self._kept.clear()
        if takings:
            self._announce(takings)

    def _look(self, counter: str) -> None:
        kept = self._kept.get(counter, 0)
        if kept > 0 and kept * self._part > self._limits.room(counter):
            self.say()

    def _ring(self) -> None:
        self._due = False
        self.say()


def _joins(taking: Taking, at: float) -> bool:
    """Whether what is taken at that instant may be said with it."""
    return taking.amount > 0 and taking.last <= at and taking.first // SECOND == at // SECOND
