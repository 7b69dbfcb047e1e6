"""The queue of one model with what is learnt about it: how fast it is served, how long people wait, how fair it is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from keypool.fairqueue import FairQueue
from keypool.shares import Shares
from keypool.skyline import Skyline
from keypool.ticket import Ticket
from keypool.waiting import ServiceRate, learn_bias

REMEMBERED_WAITS = 1000
FRESH = 1.0  # seconds for which a picture of all flows serves, since taking one looks at each of them
EXPERIENCE = 30.0  # seconds of observed service from which a forecast may turn somebody away


@dataclass(frozen=True, slots=True)
class Forecast:
    """A place in the queue, from 1 (0: no wait), and the seconds until it is reached."""

    position: int
    seconds: float


class ModelQueue:
    """A fair queue and its statistics. Times are seconds, monotonic."""

    def __init__(self, fair: FairQueue) -> None:
        self.fair = fair
        self.rate = ServiceRate()
        self.shares = Shares()
        self.waits: deque[float] = deque(maxlen=REMEMBERED_WAITS)
        self._bias: dict[str, float] = {}
        self._skyline: Skyline | None = None

    @property
    def experienced(self) -> bool:
        """It has been watched long enough to believe its forecasts."""
        return self.rate.seconds >= EXPERIENCE

    def forecast(self, ticket: Ticket, slots: int, now: float) -> Forecast:
        """What a ticket has to expect, whether it waits here already or only might."""
        seconds, count = self._ahead(ticket, slots, now)
        return Forecast(count + 1, self._bias.get(ticket.flow, 1.0) * seconds)

    def foresee(self, ticket: Ticket, slots: int, now: float) -> Forecast:
        """Note for a ticket that has just begun to wait what it has to expect, to learn from it later."""
        ticket.predicted, count = self._ahead(ticket, slots, now)
        ticket.position = count + 1
        return Forecast(ticket.position, self._bias.get(ticket.flow, 1.0) * ticket.predicted)

    def arrived(self, ticket: Ticket, now: float) -> None:
        if self.fair.waiting <= 1:
            self.rate.idle(now)
        self.shares.waits(ticket.flow, now)

    def granted(self, ticket: Ticket, now: float) -> None:
        waited = now - ticket.submitted
        self.waits.append(waited)
        if ticket.predicted:
            bias = self._bias.get(ticket.flow, 1.0)
            self._bias[ticket.flow] = learn_bias(bias, ticket.predicted, waited)
        self.shares.served(ticket.flow, ticket.cost, ticket.weight, now)
        self._if_content(ticket.flow, now)

    def left(self, ticket: Ticket, now: float) -> None:
        """A ticket that waited has gone without a key."""
        self._if_content(ticket.flow, now)

    def ended(self, cost: float, now: float) -> None:
        if self.fair.waiting:
            self.rate.ended(cost, now)

    def _if_content(self, name: str, now: float) -> None:
        flow = self.fair.flows.get(name)
        if flow is None or not flow.waiting:
            self.shares.content(name, now)
        if flow is None:
            self._bias.pop(name, None)

    def _ahead(self, ticket: Ticket, slots: int, now: float) -> tuple[float, int]:
        """Seconds of service and number of requests before a ticket, without the learnt factor."""
        if self._skyline is None or not 0.0 <= now - self._skyline.at < FRESH:
            self._skyline = Skyline(self.fair.flows.values(), now)
        cost, count = self.fair.ahead(ticket, self._skyline)
        per_second = self.rate.per_second(slots, self.fair.typical_cost())
        return cost / per_second + self.rate.gap(), count
