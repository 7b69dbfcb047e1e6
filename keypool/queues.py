"""The queue of one model as people see it: who waits for it, how long, and what a request has to expect.

The order of service is the area's (`areas.py`): the requests for all its models have one. Here is what belongs to a
model alone, and the forecast. Where every slot is busy, a request waits for all who wait in the area and were served
less; where slots are free and limits keep it waiting, only for those who wait for the same limits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from keypool.ahead import ahead, before
from keypool.areas import FRESH, Area
from keypool.backlog import Backlog
from keypool.flow_heap import lane_of
from keypool.ticket import Ticket
from keypool.waiting import EXPERIENCE, Opening, QueuePace, ServiceRate, learn_bias, served_after

REMEMBERED_WAITS = 1000
FARTHEST = 86_400.0  # seconds: a forecast of more than a day, or of no end, is reported as a day


class Forecast(NamedTuple):
    """A place in the queue, from 1 (0: no wait), and the seconds until it is reached."""

    position: int
    seconds: float


class ModelQueue:
    """One model's part of an area. Times are seconds, monotonic."""

    def __init__(self, model: str, area: Area) -> None:
        self.area, self.fair = area, area.fair
        self.group = lane_of(model, frozenset()).group
        self.rate = ServiceRate()  # of this model alone
        self.waits: deque[float] = deque(maxlen=REMEMBERED_WAITS)
        self.waiting = self.running = 0
        self._bias: dict[str, float] = {}
        self._paces: dict[str, QueuePace] = {}
        self._backlog: Backlog | None = None

    def join(self, area: Area) -> None:
        """The model belongs to another area now."""
        self.area, self.fair = area, area.fair

    @property
    def experienced(self) -> bool:
        """It has been watched long enough to believe its forecasts."""
        return self.area.rate.seconds >= EXPERIENCE

    def forecast(self, ticket: Ticket, openings: Sequence[Opening], now: float, *, full: bool = True) -> Forecast:
        """The forecast for a ticket, whether it waits here already or only might.

        `openings`: when how many slots open that may serve it. `full`: all of them are busy.
        """
        return self._forecast(ticket, openings, now, full)[0]

    def foresee(self, ticket: Ticket, openings: Sequence[Opening], now: float, *, full: bool) -> Forecast:
        """Note for a ticket that has just begun to wait what it has to expect, to learn from it later."""
        forecast, ticket.predicted = self._forecast(ticket, openings, now, full)
        ticket.position = forecast.position
        return forecast

    def arrived(self, ticket: Ticket, now: float) -> None:
        if self.fair.waiting <= 1:
            self.area.rate.idle(now)
        self.waiting += 1
        if self.waiting == 1:
            self.rate.idle(now)
        self.area.shares.waits(ticket.flow, now)
        if ticket.flow not in self._paces:
            self._paces[ticket.flow] = QueuePace(now, self.area.rate.clock)

    def resumed(self) -> None:
        """A ticket runs that has not waited here."""
        self.running += 1

    def granted(self, ticket: Ticket, now: float) -> None:
        waited = now - ticket.submitted
        self.waits.append(waited)
        self.waiting -= 1
        self.running += 1
        if 0.0 < ticket.predicted < FARTHEST:
            bias = self._bias.get(ticket.flow, 1.0)
            self._bias[ticket.flow] = learn_bias(bias, ticket.predicted, waited)
        self.area.shares.served(ticket.flow, ticket.cost, ticket.weight, now)
        if (pace := self._paces.get(ticket.flow)) is not None:
            pace.served(ticket.cost, self.area.rate.clock, now)
        self._if_content(ticket.flow, now)

    def left(self, ticket: Ticket, now: float) -> None:
        """A ticket that waited has gone without a key."""
        self.waiting -= 1
        self._if_content(ticket.flow, now)

    def ended(self, cost: float, now: float) -> None:
        self.running -= 1
        if self.fair.waiting:
            self.area.rate.ended(cost, now)
        if self.waiting:
            self.rate.slots = self.area.rate.slots
            self.rate.ended(cost, now)

    def failed(self, ticket: Ticket, now: float) -> None:
        """An attempt has failed: the time that it took is none in which the slot has served."""
        self.running -= 1
        if self.fair.waiting:
            self.area.rate.wasted(now - ticket.granted)
        if self.waiting:
            self.rate.wasted(now - ticket.granted)

    def _if_content(self, name: str, now: float) -> None:
        flow = self.fair.flows.get(name)
        if flow is None or not flow.waiting:
            self.area.shares.content(name, now)
            self._paces.pop(name, None)
        if flow is None:
            self._bias.pop(name, None)

    def _forecast(self, ticket: Ticket, openings: Sequence[Opening], now: float, full: bool) -> tuple[Forecast, float]:
        """The forecast, and its seconds without the learnt factor."""
        rate = self.area.rate if full or self.rate.seconds < EXPERIENCE else self.rate
        cost, count = before(self.fair, ticket)
        pace = self._paces.get(ticket.flow)
        if pace is not None and pace.experienced and cost > 0.0:
            seconds = min(FARTHEST, served_after(cost + ticket.cost / 2, pace.per_slot, openings))
            return Forecast(max(count + 1, round(cost / pace.per_slot * rate.ends_per_slot())), seconds), seconds
        cost, others = ahead(self.fair, ticket, self._picture(now, full))
        slots = max(1, max((slots for _, slots in openings), default=1))
        seconds = served_after(cost, rate.per_slot(self.fair.typical_cost()), openings) + rate.gap() / slots
        seconds = min(FARTHEST, seconds)
        return Forecast(others + 1, min(FARTHEST, self._bias.get(ticket.flow, 1.0) * seconds)), seconds

    def _picture(self, now: float, full: bool) -> Backlog:
        if full:
            return self.area.backlog(now)
        if self._backlog is None or not 0.0 <= now - self._backlog.at < FRESH:
            self._backlog = Backlog(self.fair.accounts(), now, self.group)
        return self._backlog
