"""Who is active at this gateway, and what each of the flows may have here.

A flow is active while something of it waits or runs, and for some seconds afterwards: between two requests a person
reads. It is named with its area (`areas.py`), because it has one counter in each. Where flows belong to a party, the
party has the weight, and its flows are named only to be divided.

A flow that is active at k gateways has a kth of its weight at each, so that it has one share in all. The cap of what it
may have in flight is divided, too; where it does not divide evenly the gateways take turns with the rest, and the sum
is never above the cap. A gateway hears of the others with the next heartbeat: until then, and while requests from
before a turn are running, a flow may have more in flight than its cap, by what one gateway may have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from keypool.arrangement import Arrangement
from keypool.flow_heap import Lane
from keypool.holding import Load
from keypool.keyring import Keyring
from keypool.ticket import ALONE, Spread, Ticket, flow_of

LINGERING = 5.0  # seconds for which a flow counts after its last request

Capacities = frozenset[str]  # names of capacities that a flow may use


class Active(NamedTuple):
    """A flow's weight (0 where its party has it), and the capacities that it may use."""

    weight: float
    capacities: Capacities


class Activity:
    """The flows that are active in a pool or were so lately. `spreads`: of those that are active elsewhere, too."""

    def __init__(self, keyring: Keyring, areas: Arrangement, tickets: Mapping[str, Ticket]) -> None:
        self._keyring, self._areas, self._tickets = keyring, areas, tickets
        self._seen: dict[str, tuple[Active, float]] = {}
        self.spreads: Mapping[str, Spread] = {}

    def look(self, now: float) -> dict[str, Active]:
        """All that is active now, by name."""
        reach: dict[Lane, Capacities] = {}
        found: dict[str, Active] = {}
        for ticket in self._tickets.values():
            capacities = reach.get(ticket.lane)
            if capacities is None:
                capacities = reach[ticket.lane] = self._keyring.capacities(ticket)
            for name, weight in self._names(ticket):
                known = found.get(name)
                if known is None or not capacities <= known.capacities:
                    found[name] = Active(weight, capacities if known is None else capacities | known.capacities)
        self._seen |= {name: (active, now) for name, active in found.items()}
        self._seen = {name: each for name, each in self._seen.items() if now - each[1] <= LINGERING}
        return {name: active for name, (active, _) in self._seen.items()}

    def loads(self, now: float) -> dict[str, Load]:
        """Every capacity as it stands here, by name."""
        lanes = {ticket.lane: ticket for ticket in self._tickets.values() if ticket.waiting}
        awaited = {name for ticket in lanes.values() for name in self._keyring.capacities(ticket)}
        return {name: load._replace(waits=name in awaited) for name, load in self._keyring.loads(now).items()}

    def split(self, spreads: Mapping[str, Spread]) -> bool:
        """So the flows and parties are spread from now on. Returns whether that is new."""
        if spreads == self.spreads:
            return False
        self.spreads = spreads
        for ticket in self._tickets.values():
            if self.divide(ticket):
                self._areas.area(ticket.model).fair.adapt(ticket)
        return True

    def divide(self, ticket: Ticket) -> bool:
        """Give a ticket what of its flow's weight and cap is this gateway's. Returns whether that is new."""
        names = [name for name, _ in self._names(ticket)]
        flow, party = (self.spreads.get(name, ALONE) for name in (names[0], names[-1]))
        return ticket.divide(flow, party if ticket.party else ALONE)

    def _names(self, ticket: Ticket) -> list[tuple[str, float]]:
        """The names under which a ticket's flow and party are active, with the whole weight of each that counts."""
        area = self._areas.area(ticket.model).name
        flow = f"{ticket.flow} at {area}"
        if not ticket.party:
            return [(flow, ticket.weight * ticket.spread.gateways)]
        party = f"party {flow_of(ticket.party, batch=ticket.batch)} at {area}"
        return [(flow, 0.0), (party, ticket.party_weight * ticket.party_spread.gateways)]


def weights(activity: Mapping[str, Active], spreads: Mapping[str, Spread]) -> dict[str, float]:
    """The weight that is active here, by capacity; of a flow that is active at k gateways a kth."""
    by_reach: dict[Capacities, float] = {}
    for name, active in activity.items():
        if active.weight:
            gateways = spreads[name].gateways if name in spreads else 1
            by_reach[active.capacities] = by_reach.get(active.capacities, 0.0) + active.weight / gateways
    found: dict[str, float] = {}
    for capacities, weight in by_reach.items():
        for each in capacities:
            found[each] = found.get(each, 0.0) + weight
    return found
