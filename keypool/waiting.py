"""How long a request will wait: an estimate for this person, not an average over all.

The queue serves the lowest counter first, and among equal ones who came first. Before a request of flow f at counter F
is dispatched, every other flow g that waits below it will have been served until its own counter has reached F: at
least one request, and about one more for each cost of a request by which it lies below. So what goes before it is

    ahead = what f itself has waiting before it  +  sum over g of min(g's backlog, (1/2 + (F - c_g) * w_g / x_g) * x_g)

where x_g is the cost of one of g's requests. (Without the first one, twelve newcomers at one counter were all forecast
to be the next.) What follows from that depends on what keeps the request waiting:

* slots: all are taken. `occupancy.py` says when they will be free, and so when so many others have started;
* limits: slots are free. The wait is the work over the rate at which such requests were served while others waited;
* its own flow, which has had something waiting for half a minute: the pace at which this flow itself is served, which
  needs no model of the others.

Rates are learnt per open slot: a key that rests now does not serve, and what was learnt while all keys rested is
nothing. What the model leaves out is learnt in `calibration.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, inf
from typing import NamedTuple

MEMORY = 120.0  # seconds: how fast old service is forgotten
USUAL_ANSWER = 10.0  # seconds, before any was seen
EXPERIENCE = 30.0  # seconds of observed service from which a forecast may refuse a request


class Opening(NamedTuple):
    """A key that serves from so many seconds on, with how many slots; `free` of them are not held now."""

    at: float
    slots: int
    key: str = ""
    free: int = 0


@dataclass(slots=True)
class ServiceRate:
    """Cost served per second and open slot, while requests wait. Times are seconds, monotonic."""

    cost: float = 0.0
    work: float = 0.0  # slot seconds
    seconds: float = 0.0
    ends: float = 0.0
    at: float | None = None
    slots: int = 1  # that have been open since then
    clock: float = 0.0  # all slot seconds so far

    def idle(self, now: float) -> None:
        """No request has waited until now: the time since the last end says nothing about the rate."""
        self.at = now

    def look(self, slots: int, now: float) -> None:
        """So many slots are open from now on."""
        self._pass(now)
        self.slots = slots

    def ended(self, cost: float, now: float) -> None:
        """A request has ended while others waited."""
        if self.at is not None:
            self._pass(now)
            self.cost += cost
            self.ends += 1.0
        self.at = now

    def wasted(self, seconds: float) -> None:
        """A slot was held for so long by an attempt that failed: it would have served in that time."""
        self.work = max(0.0, self.work - seconds)

    def per_slot(self, typical: float) -> float:
        """The rate of one slot; before anything was seen, that of an answer of usual length."""
        if self.work <= 0.0 or self.cost <= 0.0:
            return max(1.0, typical) / USUAL_ANSWER
        return self.cost / self.work

    def per_second(self, slots: int, typical: float) -> float:
        return max(1, slots) * self.per_slot(typical)

    def gap(self) -> float:
        """Mean slot seconds between two ends: how long a full slot takes to be free, of one slot."""
        return self.work / self.ends if self.ends else 0.0

    def ends_per_slot(self) -> float:
        """Requests that end in a slot second."""
        return self.ends / self.work if self.work else 0.0

    def _pass(self, now: float) -> None:
        if self.at is None or now <= self.at:
            return
        passed, self.at = now - self.at, now
        if not self.slots:
            return
        fade = exp(-passed / MEMORY)
        self.cost *= fade
        self.ends *= fade
        self.work = self.work * fade + passed * self.slots
        self.seconds = self.seconds * fade + passed
        self.clock += passed * self.slots


@dataclass(slots=True)
class QueuePace:
    """How fast one flow is served while it waits: cost and slot seconds, both fading."""

    at: float  # the instant of the last look
    clock: float  # the slot seconds then
    cost: float = 0.0
    work: float = 0.0
    count: float = 0.0
    seconds: float = 0.0

    def served(self, cost: float, clock: float, now: float) -> None:
        """One of its requests was dispatched."""
        self.passes(clock, now)
        self.cost += cost
        self.count += 1.0

    def passes(self, clock: float, now: float) -> None:
        fade = exp(-(now - self.at) / MEMORY)
        self.cost, self.count = self.cost * fade, self.count * fade
        self.work = self.work * fade + clock - self.clock
        self.seconds = self.seconds * fade + now - self.at
        self.at, self.clock = now, clock

    @property
    def experienced(self) -> bool:
        return self.seconds >= EXPERIENCE and self.cost > 0.0 and self.work > 0.0

    @property
    def per_slot(self) -> float:
        return self.cost / self.work


def served_after(cost: float, per_slot: float, openings: Iterable[Opening]) -> float:
    """Seconds until so much has been served by keys that open one after the other; infinite if none does."""
    now = speed = 0.0
    for at, slots, *_ in sorted(openings):
        if speed and cost <= speed * (at - now):
            break
        cost -= speed * (at - now)
        now, speed = at, speed + per_slot * slots
    return now + cost / speed if speed else inf
