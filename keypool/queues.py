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
from keypool.calibration import Calibration, ForecastScore, Foreseen, WaitKind
from keypool.departures import Wait
from keypool.flow_heap import lane_of
from keypool.keys import Key
from keypool.ticket import Ticket
from keypool.waiting import EXPERIENCE, USUAL_ANSWER, Opening, QueuePace, ServiceRate, served_after

REMEMBERED_WAITS = 1000
STILL_FRESH = 0.1  # seconds
FARTHEST = 86_400.0  # seconds: a forecast of more than a day, or of no end, is reported as a day


COVERED, UNKNOWN = 0.9, 2.0  # of the waits, and what the longest is of the usual one before any was seen


class Forecast(NamedTuple):
    """A place in the queue, from 1 (0: no wait), and the seconds until it is reached.

    In one half of all cases it takes no longer than `seconds`, in nine of ten no longer than `latest`.
    """

    position: int
    seconds: float
    latest: float


class ModelQueue:
    """One model's part of an area. Times are seconds, monotonic."""

    def __init__(self, model: str, area: Area) -> None:
        self.area, self.fair = area, area.fair
        self.group = lane_of(model, frozenset()).group
        self.rate = ServiceRate()  # of this model alone
        self.waits: deque[float] = deque(maxlen=REMEMBERED_WAITS)
        self.waiting = self.running = 0
        self.score = ForecastScore()
        self._calibrations = {kind: Calibration() for kind in WaitKind}
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
        forecast, kind, modelled = self._forecast(ticket, openings, now, full)
        ticket.position = forecast.position
        if forecast.seconds < FARTHEST:
            ticket.predicted, ticket.foreseen = forecast.seconds, Foreseen(kind, modelled, forecast.latest)
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

    def resumed(self, ticket: Ticket, key: Key, granted: float) -> None:
        """A ticket runs that has not waited here."""
        self.running += 1
        self.area.occupancy.starts(ticket, key.id, granted)

    def granted(self, ticket: Ticket, key: Key, now: float) -> None:
        waited = now - ticket.submitted
        self.waits.append(waited)
        self.waiting -= 1
        self.running += 1
        self.area.occupancy.starts(ticket, key.id, now)
        if (foreseen := ticket.foreseen) is not None and ticket.attempts == 1:  # of a further one nothing was foreseen
            self._calibrations[foreseen.kind].learn(foreseen.modelled, waited)
            self.score = self.score.with_one(ticket.predicted, foreseen.latest, waited)
        self.area.shares.served(ticket.flow, ticket.cost, ticket.weight, now)
        if (pace := self._paces.get(ticket.flow)) is not None:
            pace.served(ticket.cost, self.area.rate.clock, now)
        self._if_content(ticket.flow, now)

    def left(self, ticket: Ticket, now: float) -> None:
        """A ticket that waited has gone without a key."""
        self.waiting -= 1
        self._if_content(ticket.flow, now)

    def ended(self, ticket: Ticket, cost: float, now: float) -> None:
        self.area.occupancy.ends(ticket, now)
        self.running -= 1
        if self.fair.waiting:
            self.area.rate.ended(cost, now)
        if self.waiting:
            self.rate.slots = self.area.rate.slots
            self.rate.ended(cost, now)

    def failed(self, ticket: Ticket, now: float) -> None:
        """An attempt has failed: the time that it took is none in which the slot has served."""
        self.area.occupancy.ends(ticket, now)
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

    def _forecast(
        self, ticket: Ticket, openings: Sequence[Opening], now: float, full: bool
    ) -> tuple[Forecast, WaitKind, float]:
        """The forecast, and the model's own word on which it rests: of which kind, and how many seconds."""
        own, count = before(self.fair, ticket)
        pace = self._paces.get(ticket.flow)
        cost, others = ahead(self.fair, ticket, self._picture(now, full))
        if pace is not None and pace.experienced and own > 0.0:
            rate = self.area.rate if full or self.rate.seconds < EXPERIENCE else self.rate
            others = max(count, round(own / pace.per_slot * rate.ends_per_slot()) - 1)
            usual = served_after(own + ticket.cost / 2, pace.per_slot, openings)
            wait, kind = Wait(usual, usual), WaitKind.PACE
        elif full:
            wait, kind = self._departure(ticket, others, openings, now), WaitKind.SLOTS
        else:
            usual = self._until_limits_allow(cost, openings)
            wait, kind = Wait(usual, usual), WaitKind.LIMITS
        usual = min(FARTHEST, wait.usual)
        ratio = self._calibrations[kind]
        seconds = min(FARTHEST, usual * ratio.quantile(0.5, 1.0)) if kind is not WaitKind.PACE else usual
        latest = max(seconds, wait.latest, usual * ratio.quantile(COVERED, UNKNOWN))
        return Forecast(others + 1, seconds, min(FARTHEST, latest)), kind, usual

    def _departure(self, ticket: Ticket, others: int, openings: Sequence[Opening], now: float) -> Wait:
        """The wait for a slot, where all are taken and so many others go first."""
        occupancy = self.area.occupancy
        for fresh in FRESH, STILL_FRESH:  # a wait that should be over, and is not, is looked at once more
            flows = (name for name, flow in self.fair.flows.items() if flow.waiting)
            table = occupancy.table(ticket.lane, openings, flows, now, fresh)
            wait, passed = table.departures.wait(others + occupancy.started - table.started), now - table.at
            if wait.usual > passed:
                break
        return Wait(max(0.0, wait.usual - passed), max(0.0, wait.latest - passed))

    def _until_limits_allow(self, cost: float, openings: Sequence[Opening]) -> float:
        """Seconds until so much has been served, at the rate at which the limits let this model's requests through."""
        rate = self.rate if self.rate.seconds >= EXPERIENCE else self.area.rate
        slots = max(1, max((each.slots for each in openings), default=1))
        return (
            served_after(cost, rate.per_slot(self.fair.typical_cost()), openings) + (rate.gap() or USUAL_ANSWER) / slots
        )

    def _picture(self, now: float, full: bool) -> Backlog:
        if full:
            return self.area.backlog(now)
        if self._backlog is None or not 0.0 <= now - self._backlog.at < FRESH:
            self._backlog = Backlog(self.fair.accounts(), now, self.group)
        return self._backlog
