"""What holds the slots of an area, how long answers take there, and so when its slots will be free.

Persons differ: the answers of one take a fifth of a second and those of another a minute. Where enough answers of a
flow are known, its own distribution counts, for what it runs and for its part of what waits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from keypool.departures import SCENARIOS, Departures
from keypool.durations import Durations, SurvivalCurve, mixed
from keypool.flow_heap import Lane
from keypool.ticket import Ticket
from keypool.waiting import Opening

REMEMBERED, OWN = 200, 20  # answers of an area, and of a flow
ENOUGH = 5  # answers of a flow, for a distribution of its own
MOST_FLOWS, MOST_TABLES = 1000, 64
MIXED, EACH = 64, 7  # flows that are looked at for what waits, and the strata of each


class Holder(NamedTuple):
    """A request that holds a slot: since when, of which key, and its flow."""

    since: float
    key: str
    flow: str


class Table(NamedTuple):
    """The departures as they were foreseen at an instant, when so many requests had been started."""

    at: float
    started: int
    departures: Departures


class Occupancy:
    """The slots of an area. Times are seconds, monotonic. `started`: requests that ever took a slot."""

    def __init__(self) -> None:
        self.started = 0
        self._holders: dict[str, Holder] = {}  # by ticket
        self._durations = Durations(REMEMBERED)
        self._own: OrderedDict[str, Durations] = OrderedDict()  # by flow
        self._tables: dict[Lane, Table] = {}

    def starts(self, ticket: Ticket, key: str, now: float) -> None:
        """A request takes a slot of this key."""
        self.started += 1
        self._holders[ticket.id] = Holder(now, key, ticket.flow)

    def ends(self, ticket: Ticket, now: float) -> None:
        """A request leaves its slot, with a whole answer or without."""
        holder = self._holders.pop(ticket.id, None)
        if holder is None:
            return
        self._durations.learn(now - holder.since)
        own = self._own.pop(holder.flow, None) or Durations(OWN)
        own.learn(now - holder.since)
        self._own[holder.flow] = own
        if len(self._own) > MOST_FLOWS:
            self._own.popitem(last=False)

    def table(self, lane: Lane, openings: Sequence[Opening], flows: Iterable[str], now: float, fresh: float) -> Table:
        """The departures of a lane, not older than `fresh` seconds. `openings`: its keys; `flows`: those that wait."""
        table = self._tables.get(lane)
        if table is None or not 0.0 <= now - table.at < fresh:
            if table is None and len(self._tables) >= MOST_TABLES:
                self._tables.clear()
            table = self._tables[lane] = Table(now, self.started, self._departures(openings, flows, now))
        return table

    def continues(self, old: Occupancy, keys: Iterable[str]) -> None:
        """Take over what holds slots of these keys."""
        mine = set(keys)
        self._holders |= {name: holder for name, holder in old._holders.items() if holder.key in mine}

    def remembers(self, old: Occupancy) -> None:
        """Take over how long answers take."""
        self._durations, self._own = old._durations, old._own

    def _departures(self, openings: Sequence[Opening], flows: Iterable[str], now: float) -> Departures:
        common = self._durations.curve([now - holder.since for holder in self._holders.values()])
        opens = {each.key: each.at for each in openings}
        slots = [
            _not_before(opens[holder.key], self._left(holder, common, now))
            for holder in self._holders.values()
            if holder.key in opens
        ]
        slots += [[each.at] * SCENARIOS for each in openings for _ in range(each.free)]
        waiting = [self._curve(flow, common).strata(EACH) for flow in islice(flows, MIXED)]
        answers = mixed(waiting, SCENARIOS) if waiting else common.strata(SCENARIOS)
        return Departures(answers, slots or [[0.0] * SCENARIOS])

    def _left(self, holder: Holder, common: SurvivalCurve, now: float) -> Sequence[float]:
        return self._curve(holder.flow, common).strata(SCENARIOS, now - holder.since)

    def _curve(self, flow: str, common: SurvivalCurve) -> SurvivalCurve:
        own = self._own.get(flow)
        return common if own is None or len(own) < ENOUGH else own.of_ended()


def _not_before(opening: float, left: Sequence[float]) -> Sequence[float]:
    return [max(opening, seconds) for seconds in left] if opening > 0.0 else left
