"""Who asks: a flow is one person in one class, a party is a group or an address to which flows belong."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from keypool.order import Account, Lane
from keypool.ticket import Ticket
from keypool.tier import Tier

HALF = 300.0  # seconds


@dataclass(slots=True, eq=False)
class Party(Account):
    """Several flows that have one share among them: inside they share by counters of their own."""

    tier: Tier = field(kw_only=True)
    flows: int = 0


@dataclass(slots=True, eq=False)
class Flow(Account):
    """All that one person wants in one class. `cap`: so many may be in flight; None is any number."""

    cap: int | None = None
    party: Party | None = None
    queues: dict[Lane, deque[Ticket]] = field(default_factory=dict)

    @property
    def top(self) -> Account:
        """The account under which it stands in the order of all."""
        return self.party or self

    @property
    def parked(self) -> bool:
        """It has as much in flight as it may."""
        return self.cap is not None and self.running >= self.cap

    @property
    def queue(self) -> list[Ticket]:
        """What it has waiting, and what was cancelled behind it."""
        return [ticket for queue in self.queues.values() for ticket in queue]

    def head(self, lane: Lane) -> Ticket:
        """Its first live ticket in a lane."""
        queue = self.queues[lane]
        while not queue[0].waiting:
            queue.popleft()
        return queue[0]

    def trim(self, lane: Lane) -> None:
        """Forget what was cancelled at the end of a queue, and the queue when it is empty."""
        queue = self.queues[lane]
        while queue and not queue[-1].waiting:
            queue.pop()
        if not queue:
            del self.queues[lane]


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
