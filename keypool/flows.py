"""Flows and parties: a flow is one person in one class, a party is a group or an address to which flows belong.

The roster knows those who wait, run, or owe. A new one starts at V. One that is idle and owes nothing is like a new one
and is forgotten; a debtor is remembered until its time has caught up.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf

from keypool.flow_heap import FlowAccount, Lane
from keypool.ticket import Ticket, flow_of
from keypool.tier import HeadsTier

BEHIND = -inf  # where a new account stands until it is lifted to V
SWEEP = 2  # idle debtors that are looked at after each dispatch: memory follows the time at a bounded cost


@dataclass(slots=True, eq=False)
class Party(FlowAccount):
    """Several flows that have one share among them: inside they share by counters of their own."""

    tier: HeadsTier = field(kw_only=True)
    flows: int = 0

    def rests(self, lane: Lane) -> bool:
        """All of its flows that wait in a lane are at their caps."""
        return self.tier.order.first(lane) is None


@dataclass(slots=True, eq=False)
class Flow(FlowAccount):
    """All that one person wants in one class. `cap`: so many may be in flight; None is any number."""

    cap: int | None = None
    party: Party | None = None
    top: FlowAccount = field(init=False, repr=False)  # the one under which it stands in the order of all
    tiers: tuple[
        tuple[FlowAccount, HeadsTier], ...
    ] = ()  # the accounts that pay for it, each with those it is compared with
    queues: dict[Lane, deque[Ticket]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.top = self.party or self

    @property
    def parked(self) -> bool:
        """It has as much in flight as it may."""
        return self.cap is not None and self.running >= self.cap

    def rests(self, lane: Lane) -> bool:
        """It is parked."""
        return self.parked

    @property
    def queue(self) -> list[Ticket]:
        """Its tickets that wait, and those that were cancelled behind them."""
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


class Roster:
    """The flows and parties of one queue."""

    def __init__(self) -> None:
        self.flows: dict[str, Flow] = {}
        self.parties: dict[str, Party] = {}
        self.lost: set[str] = set()  # keys that serve nothing for a long time
        self.tier = HeadsTier(self.lost)  # of the parties, and of the flows that belong to none
        self._owing: deque[Flow] = deque()

    def flow(self, ticket: Ticket, lane: Lane, cap: int | None) -> Flow:
        """The flow of a ticket; a new one, with this cap, is to be lifted to V before it waits."""
        flow = self.flows.get(ticket.flow)
        if flow is None:
            party = self._party(ticket, lane) if ticket.party else None
            flow = self._enter(Flow(ticket.flow, ticket.weight, BEHIND, lane, cap=cap, party=party))
        return flow

    def continues(self, old: Flow, shift: float) -> None:
        """Have a flow like this one, which is in another queue whose time is behind by so much."""
        party = None if old.party is None else self._party_like(old.party, shift)
        counter, time = (old.counter + shift, self.tier) if party is None else (old.counter, party.tier)
        flow = self.flows.get(old.id)
        if flow is None:
            self._enter(Flow(old.id, old.weight, counter, old.last, cap=old.cap, party=party))
        else:
            flow.counter += counter - time.virtual_time

    def forget_if_idle(self, flow: Flow) -> None:
        """An idle flow that owes nothing goes; a debtor is looked at again later.

        It owes to the others of its party while one of them waits or runs, and with its party to the other parties
        afterwards: an idle party has no flows that could catch up with it.
        """
        if not flow.idle or flow.owing:
            return
        account, tier = flow.tiers[-1] if flow.top.idle else flow.tiers[0]
        if tier.is_ahead(account):
            flow.owing = True
            self._owing.append(flow)
        elif self.flows.pop(flow.id, None) is not None and flow.party is not None:
            flow.party.flows -= 1
            if not flow.party.flows:
                self.parties.pop(flow.party.id, None)

    def sweep(self) -> None:
        """Look at some debtors whether their time has caught up."""
        for _ in range(min(SWEEP, len(self._owing))):
            flow = self._owing.popleft()
            flow.owing = False
            self.forget_if_idle(flow)

    @property
    def owing(self) -> int:
        """The debtors that are remembered."""
        return len(self._owing)

    def _enter(self, flow: Flow) -> Flow:
        self.flows[flow.id] = flow
        if flow.party is None:
            flow.tiers = ((flow, self.tier),)
        else:
            flow.tiers = ((flow, flow.party.tier), (flow.party, self.tier))
            flow.party.flows += 1
        return flow

    def _party(self, ticket: Ticket, lane: Lane) -> Party:
        name = flow_of(ticket.party, batch=ticket.batch)
        party = self.parties.get(name)
        if party is None:
            tier = HeadsTier(self.lost)
            party = Party(name, ticket.party_weight, BEHIND, lane, tier=tier)
            self.parties[name] = party
        return party

    def _party_like(self, old: Party, shift: float) -> Party:
        party = self.parties.get(old.id)
        if party is None:
            tier = HeadsTier(self.lost)
            tier.continues(old.tier, 0.0)
            party = self.parties[old.id] = Party(old.id, old.weight, old.counter + shift, old.last, tier=tier)
        return party
