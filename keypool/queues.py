"""The queue of one model with what is learnt about it: how fast it is served, how long people wait, how fair it is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from keypool.fairqueue import FairQueue, Flow
from keypool.shares import Shares
from keypool.ticket import Ticket
from keypool.waiting import ServiceRate, learn_bias

REMEMBERED_WAITS = 1000
FRESH = 1.0  # seconds for which a flow's forecast is extended instead of made anew: it looks at every flow
EXPERIENCE = 30.0  # seconds of observed service from which a forecast may turn somebody away


@dataclass(frozen=True, slots=True)
class Forecast:
    """A place in the queue, from 1 (0: no wait), and the seconds until it is reached."""

    position: int
    seconds: float


@dataclass(slots=True)
class _Seen:
    """A forecast as it was made for a flow: when, for how much of its own work, and what came out."""

    at: float
    own: float
    seconds: float
    position: float


class ModelQueue:
    """A fair queue and its statistics. Times are seconds, monotonic."""

    def __init__(self, fair: FairQueue) -> None:
        self.fair = fair
        self.rate = ServiceRate()
        self.shares = Shares()
        self.waits: deque[float] = deque(maxlen=REMEMBERED_WAITS)
        self._bias: dict[str, float] = {}
        self._seen: dict[str, _Seen] = {}

    @property
    def experienced(self) -> bool:
        """It has been watched long enough to believe its forecasts."""
        return self.rate.seconds >= EXPERIENCE

    def forecast(self, ticket: Ticket, slots: int, now: float) -> Forecast:
        """What a ticket has to expect, whether it waits here already or only might."""
        cost, count = self.fair.ahead(ticket)
        return Forecast(count + 1, self._bias.get(ticket.person, 1.0) * self._seconds(cost, slots))

    def foresee(self, ticket: Ticket, slots: int, now: float) -> Forecast:
        """Note for a ticket that has just begun to wait what it has to expect, to learn from it later."""
        flow = self.fair.flows[ticket.person]
        seen = self._seen.get(ticket.person)
        if seen is None or now - seen.at >= FRESH:
            cost, count = self.fair.ahead(ticket)
            seen = self._seen[ticket.person] = _Seen(now, flow.backlog, self._seconds(cost, slots), count + 1)
        growth = flow.backlog / seen.own if seen.own else 1.0
        ticket.predicted, ticket.position = seen.seconds * growth, max(1, round(seen.position * growth))
        return Forecast(ticket.position, self._bias.get(ticket.person, 1.0) * ticket.predicted)

    def arrived(self, ticket: Ticket, now: float) -> None:
        if self.fair.waiting <= 1:
            self.rate.idle(now)
        self.shares.waits(ticket.person, now)

    def granted(self, ticket: Ticket, now: float) -> None:
        waited = now - ticket.submitted
        self.waits.append(waited)
        if ticket.predicted:
            bias = self._bias.get(ticket.person, 1.0)
            self._bias[ticket.person] = learn_bias(bias, ticket.predicted, waited)
        self.shares.served(ticket.person, ticket.cost, ticket.weight, now)
        self._if_content(ticket.person, now)

    def left(self, ticket: Ticket, now: float) -> None:
        """A ticket that waited has gone without a key."""
        self._if_content(ticket.person, now)

    def ended(self, cost: float, now: float) -> None:
        if self.fair.waiting:
            self.rate.ended(cost, now)

    def _if_content(self, person: str, now: float) -> None:
        flow: Flow | None = self.fair.flows.get(person)
        if flow is None or not flow.waiting:
            self.shares.content(person, now)
            self._seen.pop(person, None)
        if flow is None:
            self._bias.pop(person, None)

    def _seconds(self, cost: float, slots: int) -> float:
        typical = self.fair.typical_cost()
        return cost / self.rate.per_second(slots, typical) + self.rate.gap()
