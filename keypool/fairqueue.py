"""The fair queue over everything that shares limits.

Theory. Every person is a flow, and what a person marks as batch work is another one of an eighth of the weight: the two
share nothing but the bound on what may wait. A flow has one virtual counter for all models whose keys share slots or
limits (an area, see `areas.py`): the cost served so far, divided by the flow's weight. The next request comes from the
waiting flow with the lowest counter (virtual token counter, Sheng et al., OSDI 2024; start-time fair queueing, Goyal et
al., 1996). What a request costs is guessed when it is dispatched, raised while its answer outgrows the guess, and
settled when it is known (as in Kubernetes' priority and fairness).

A flow waits in a lane for each model (and set of keys) that it asks for. With a queue and a counter for each model,
taking turns, a person who asks for eight models has eight shares, and one who is alone with a model has as much as
fifteen who share another one (measured: 2.9 and 7.4 times a fair share). With one counter both have one share.

`V`, the virtual time, is where an idle flow starts; `tier.py` says how it moves. It is kept for each key.

Seven rules keep that fair; each was found by measuring what happens without it:

1. LIFT. A flow that comes back from idleness starts at V: idleness banks no credit. Debt stays. A flow that waits in
   one lane and comes to another one later starts there at V, too, and keeps its place in the first.
2. STRICT HEAD. If the lowest flow's request does not fit yet, all wait that compete for the same limits. Letting
   others pass "meanwhile" starves large requests (gap between persons 1.6 -> 143 times the largest request). Others may
   pass where they take nothing from the one that waits: on keys and limits that it cannot use.
3. BOUNDED CREDIT. A flow parked at its in-flight cap keeps a low counter while others move on. When it re-enters, it
   may be behind V by at most what its cap could hold: cap * largest cost / weight. Without this there is no bound.
4. REFUND. A dispatch that failed before its first byte leaves the counters as if it had never been.
5. SHED THE LONGEST. When the queue is full, the account with the largest backlog per weight, the arrival counted in,
   loses its newest request: never a polite arrival, and never one who waits for an equal who comes later.
6. WEIGHT. A new weight counts from the next dispatch on, and keeps what the flow is ahead or behind: in cost, not in
   counter. Else a flow that used to be heavy is served for years as if it still were.
7. LOSS. A flow whose own key goes away is ahead of the others by what that key served. This debt is capped at one
   request, else a contributor would be starved (45 minutes) for having contributed.

Parties. Where identities are cheap, flows belong to a party (a group, an address), which has one share: the order of
all is that of the parties' counters, and inside a party that of its flows'. Everything above holds on both tiers. A
person who takes a new identity for each request then shares with the others of the same party only.

The bound that the property tests hold: for two flows that wait, |c_f - c_g| <= (E + K*(d+ + d-) + K*E) / w, with E the
largest cost, K the larger cap and w the smaller weight, d+ and d- the largest under- and overestimate.

A request costs O(log flows + lanes). Where to look: flows and parties in `flows.py`, their order in `flow_heap.py`,
the virtual time in `tier.py`, the moves of counters in `counters.py`, shedding in `shedding.py`, the bound in `gap.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from heapq import heapify, heappop, heappush

from keypool.counters import Largest, forgive, lift, move, reweigh
from keypool.flow_heap import Entry, FlowAccount, Lane, Reach, Waits
from keypool.flows import Flow, Party, Roster
from keypool.keys import Key
from keypool.shedding import Backlogs
from keypool.ticket import ALONE, Ticket

LOOK_AHEAD = 16  # heads of one lane that are looked past; a person who fills a lane closes no other one
MOST_PASSED = 256  # in all lanes
NEWCOMER = 1.0  # the weight of the one person for whom room is kept

# A chooser says which free key a ticket may have now (None: none fits yet, and it keeps its claim to those that it
# competes for). It is asked in the order of the counters.
Chooser = Callable[[Ticket], Key | None]
# Whether a head of a lane may still go, after those who were asked before and had to wait.
Opening = Callable[[Lane], bool]


class FairQueue:
    """Decides whose request is next. Knows nothing of keys except through the chooser that it is handed."""

    def __init__(self, total: int = 5000, per_person: int = 100, cap: int | None = None) -> None:
        self.total, self.per_person, self.cap = total, per_person, cap
        self.largest = Largest()
        self.now = 0.0  # of the latest dispatch, seconds, monotonic
        self.waiting = 0
        self.running = 0
        self.backlog = 0.0  # cost of all that waits
        self.active_weight = 0.0  # of the parties, and flows without one, that wait or run
        self.roster = Roster()
        self.flows, self.parties, self.lost = self.roster.flows, self.roster.parties, self.roster.lost
        self._tier = self.roster.tier
        self._persons: dict[str, int] = {}  # the requests of each that wait, in all their flows
        self._backlogs = Backlogs()

    @property
    def virtual_time(self) -> float:
        return self._tier.virtual_time

    def submit(self, ticket: Ticket) -> Ticket | None:
        """Take a ticket in. Returns the ticket that has to leave for it (perhaps itself), or None."""
        if self._persons.get(ticket.person, 0) >= self.per_person:
            return ticket
        lane = ticket.lane
        flow, shed = self.roster.flow(ticket, lane, self._cap_of(ticket)), None
        if self.waiting >= self.total:
            shed = self._backlogs.to_shed(self.flows.values(), flow, ticket)
            if shed is ticket:
                self.roster.forget_if_idle(flow)
                return ticket
            self.cancel(shed)
            flow = self.roster.flow(ticket, lane, self._cap_of(ticket))
        self._adapt(flow, ticket)
        lift(flow, lane)
        queue = flow.queues.get(lane)
        if queue is None:
            queue = flow.queues[lane] = deque()
        queue.append(ticket)
        self._wait(flow, ticket)
        return shed

    def resume(self, ticket: Ticket, key: Key) -> None:
        """Take in a ticket that another queue has dispatched, and that has not waited here."""
        flow = self.roster.flow(ticket, ticket.lane, self._cap_of(ticket))
        self._adapt(flow, ticket)
        lift(flow, ticket.lane)
        ticket.key = key
        ticket.charged, ticket.known = ticket.cost, min(ticket.cost, ticket.least)
        self._run(flow, ticket)
        move(flow, ticket.cost, 0.0)
        self.largest.note(ticket.cost, self.now)

    def adapt(self, ticket: Ticket) -> None:
        """The weights, or the cap, of a ticket that waits or runs have changed: so do those of its flow (rule 6)."""
        self._adapt(self.flows[ticket.flow], ticket)

    def dispatch(self, choose: Chooser, is_open: Opening | None = None, now: float = 0.0) -> tuple[Ticket, Key] | None:
        """The next request that may go now and its key; None when no request may.

        Without `is_open` no request passes a head that has to wait.
        """
        self.now = max(self.now, now)
        passed: list[Entry] = []
        found = self._first_that_may(choose, is_open, passed)
        for entry in passed:
            self._tier.order.put_back(entry)
        if found is None:
            return None
        flow, lane, key = found
        return self._take(flow, lane, key, passed), key

    def _first_that_may(
        self, choose: Chooser, is_open: Opening | None, passed: list[Entry]
    ) -> tuple[Flow, Lane, Key] | None:
        """The first flow, in the order of the counters, that has a key. Those before it are taken out of the order."""
        order = self._tier.order
        looked_past: dict[Lane, int] = {}
        firsts = order.firsts()
        heapify(firsts)
        while firsts and len(passed) < MOST_PASSED:
            entry = heappop(firsts)
            lane = entry[3]
            if is_open is not None and not is_open(lane):
                continue
            flow = _leaf(entry)
            if (key := choose(flow.head(lane))) is not None:
                return flow, lane, key
            if is_open is None:
                break
            order.take_out(entry)
            passed.append(entry)
            looked_past[lane] = past = looked_past.get(lane, 0) + 1
            if past < LOOK_AHEAD and (behind := order.first(lane)) is not None:
                heappush(firsts, behind)
        return None

    def charge(self, ticket: Ticket, cost: float) -> None:
        """Raise what a ticket in flight is charged; never lowers it."""
        if cost > ticket.charged and ticket.key is not None:
            flow = self.flows[ticket.flow]
            move(flow, cost - ticket.charged, cost - ticket.charged)
            ticket.charged = cost
            self.largest.note(cost, self.now)

    def progress(self, ticket: Ticket, cost: float) -> None:
        """Charge what an answer that is still coming has cost so far beyond what was charged."""
        self.charge(ticket, cost)
        if ticket.key is not None and cost - ticket.doubt > ticket.known:
            move(self.flows[ticket.flow], 0.0, ticket.known - (cost - ticket.doubt))
            ticket.known = cost - ticket.doubt

    def finish(self, ticket: Ticket, cost: float) -> None:
        """Settle a ticket that was in flight at what it really cost."""
        flow, was_parked = self.flows[ticket.flow], self.flows[ticket.flow].parked
        self._settle(flow, ticket, cost)
        self.largest.note(cost, self.now)
        if not flow.waiting:
            self.roster.forget_if_idle(flow)
        elif was_parked:
            self._reenter(flow, (flow.cap or 0) * self.largest.value)

    def refund(self, ticket: Ticket) -> None:
        """A ticket failed before its first byte: give everything back and put it first in its own queue (rule 4)."""
        flow, lane = self.flows[ticket.flow], ticket.lane
        was_parked = flow.waiting and flow.parked
        self._settle(flow, ticket, 0.0)
        if was_parked:
            self._reenter(flow, max((flow.cap or 0) * self.largest.value, ticket.lag * flow.weight))
        elif not flow.waiting:  # it was idle but for this ticket, and idleness banks no credit
            for account, tier in flow.tiers:
                credit = max(ticket.cost / account.weight, ticket.lag)
                account.counter = max(account.counter, tier.time_of(lane) - credit)
        flow.queues.setdefault(lane, deque()).appendleft(ticket)
        self._wait(flow, ticket)

    def cancel(self, ticket: Ticket) -> None:
        """Drop a ticket that waits. It stays in its queue, dead, until it is the first or the last there."""
        flow = self.flows[ticket.flow]
        self._wait_no_longer(flow, ticket)
        flow.trim(ticket.lane)
        self.roster.forget_if_idle(flow)

    def lose(self, key: str) -> None:
        """A key serves no requests for a long time: flows that it carried ahead of the others are forgiven (rule 7)."""
        if key in self.lost:
            return
        self.lost.add(key)
        if not self._tier.leads(key, self.largest.value):
            return
        times: dict[tuple[int, Lane], float] = {}
        for flow in self.flows.values():
            for account, tier in flow.tiers:
                if key in account.last.reach and not account.last.reach <= self.lost:
                    place = id(tier), account.last
                    if place not in times:
                        times[place] = tier.time_of(account.last)
                    forgive(account, tier, times[place] + self.largest.value / account.weight)

    def regain(self, key: str) -> None:
        """A key can be used again."""
        self.lost.discard(key)

    def take_over(self, old: FairQueue, tickets: Iterable[Ticket]) -> None:
        """Continue what these tickets, and its debtors, had in another queue, which is not used any more.

        Their counters move with its time; a flow that has been in both queues is ahead, or behind, by the sum.
        """
        shift = self.virtual_time - old.virtual_time if self.flows else 0.0
        self._tier.continues(old._tier, shift)
        self.largest.note(old.largest.value, old.now)
        self.lost |= old.lost
        mine = sorted(tickets, key=lambda ticket: ticket.submitted)
        names = {ticket.flow for ticket in mine}
        for flow in old.flows.values():
            if flow.id in names or flow.idle:
                self.roster.continues(flow, shift)
        for ticket in mine:
            flow = self.flows[ticket.flow]
            lane = ticket.lane
            for account, _ in flow.tiers:
                account.last = lane
            if ticket.key is None:
                flow.queues.setdefault(lane, deque()).append(ticket)
                self._wait(flow, ticket)
            else:
                self._run(flow, ticket)
        for flow in list(self.flows.values()):
            self.roster.forget_if_idle(flow)

    # What is seen from outside

    def is_awaited(self, reach: Reach) -> bool:
        """Does a flow below its cap wait for one of these keys?"""
        lanes = (entry[3] for entry in self._tier.order.firsts())
        return any(not reach or not lane.reach or not reach.isdisjoint(lane.reach) for lane in lanes)

    def accounts(self) -> Collection[FlowAccount]:
        """Those that share by counter: the parties, and the flows that belong to none."""
        return {flow.top for flow in self.flows.values()} if self.parties else self.flows.values()

    def tickets(self) -> list[Ticket]:
        """All that wait, in no particular order."""
        return [ticket for flow in self.flows.values() for ticket in flow.queue if ticket.waiting]

    def typical_cost(self) -> float:
        """The mean cost of what waits."""
        return self.backlog / self.waiting if self.waiting else self.largest.value

    def has_its_share(self, ticket: Ticket, slots: int) -> bool:
        """Does its account run a fair share of the slots already, with one newcomer counted in?"""
        flow = self.flows.get(ticket.flow)
        if flow is None:
            return False
        top = flow.top
        return top.running >= slots * top.weight / (self.active_weight + NEWCOMER)

    def is_near(self, ticket: Ticket, head: Ticket) -> bool:
        """Has its account been served no more than the head's, but for one request like this?"""
        mine, other = self.flows[ticket.flow], self.flows[head.flow]
        one, two = (mine, other) if mine.party is other.party else (mine.top, other.top)
        return one.at(ticket.lane) - two.at(head.lane) <= ticket.cost / one.weight

    def __repr__(self) -> str:
        return f"<FairQueue waiting={self.waiting} running={self.running} flows={len(self.flows)}>"

    # How it is kept

    def _run(self, flow: Flow, ticket: Ticket) -> None:
        """Go on with a ticket that is in flight and has been charged."""
        if flow.top.idle:
            self.active_weight += flow.top.weight
        self.running += 1
        for account, _ in flow.tiers:
            account.running += 1
            account.guessed += ticket.charged - ticket.known

    def _adapt(self, flow: Flow, ticket: Ticket) -> None:
        """Its person has another weight or cap now; a flow that was parked at the old cap re-enters by rule 3."""
        if flow.weight != ticket.weight or (flow.party is not None and flow.party.weight != ticket.party_weight):
            idle = flow.top.idle
            self.active_weight += 0.0 if idle else -flow.top.weight
            reweigh(flow, ticket)
            self._backlogs.note(flow)
            self.active_weight += 0.0 if idle else flow.top.weight
        cap = self._cap_of(ticket)
        if cap != flow.cap:
            was_parked, credit = flow.parked, (flow.cap or 0) * self.largest.value
            flow.cap = cap
            if was_parked and flow.waiting and not flow.parked:
                self._reenter(flow, credit)

    def _reenter(self, flow: Flow, credit: float) -> None:
        """A flow comes back from its cap with no more than `credit`, in cost (rule 3)."""
        for account, tier in flow.tiers:
            if account is flow or account.waiting == flow.waiting:  # a party may have gone on without this flow
                floors = [tier.floor_of(lane, credit / account.weight) for lane in account.lanes]
                account.counter = max(account.counter, min(floors))
            tier.sort_in(account)

    def _cap_of(self, ticket: Ticket) -> int | None:
        """The lower one of the queue's cap and the flow's own; of that, what is this gateway's."""
        if self.cap is None or ticket.running_cap is None:
            cap = ticket.running_cap if self.cap is None else self.cap
        else:
            cap = min(self.cap, ticket.running_cap)
        return cap if cap is None or ticket.spread is ALONE else ticket.spread.of(cap)

    def _wait(self, flow: Flow, ticket: Ticket) -> None:
        top = flow.top
        if top.idle:
            self.active_weight += top.weight
        ticket.waiting = True
        self.waiting += 1
        self._persons[ticket.person] = self._persons.get(ticket.person, 0) + 1
        self.backlog += ticket.cost
        lane, cost, parked = ticket.lane, ticket.cost, flow.parked
        for account, tier in flow.tiers:
            account.waiting += 1
            account.backlog += cost
            waits = account.lanes.get(lane)
            if waits is None:
                waits = account.lanes[lane] = Waits()
            waits.count += 1
            waits.cost += cost
            if not parked:
                tier.order.push(account, lane)
        self._backlogs.note(flow)

    def _wait_no_longer(self, flow: Flow, ticket: Ticket) -> None:
        ticket.waiting = False
        self.waiting -= 1
        if (others := self._persons[ticket.person] - 1) > 0:
            self._persons[ticket.person] = others
        else:
            del self._persons[ticket.person]
        lane, cost = ticket.lane, ticket.cost
        self.backlog = self.backlog - cost if self.waiting else 0.0
        for account, _ in flow.tiers:
            account.waiting -= 1
            account.backlog = account.backlog - cost if account.waiting else 0.0
            waits = account.lanes[lane]
            waits.count -= 1
            waits.cost -= cost
            if not waits.count:
                del account.lanes[lane]
        top = flow.top
        if top.idle:
            self.active_weight -= top.weight

    def _take(self, flow: Flow, lane: Lane, key: Key, passed: list[Entry]) -> Ticket:
        queue = flow.queues[lane]
        ticket = queue.popleft()
        if not queue:
            del flow.queues[lane]
        for account, tier in flow.tiers:
            tier.dispatched(account, lane, key.id, passed if tier is self._tier else ())
            account.running += 1
        ticket.lag = self._tier.times.get(key.id, 0.0) - flow.top.counter
        self.running += 1
        self._wait_no_longer(flow, ticket)
        ticket.key = key
        ticket.charged, ticket.known = ticket.cost, min(ticket.cost, ticket.least)
        move(flow, ticket.cost, ticket.cost - ticket.known)
        self.largest.note(ticket.cost, self.now)
        self.roster.sweep()
        return ticket

    def _settle(self, flow: Flow, ticket: Ticket, cost: float) -> None:
        move(flow, cost - ticket.charged, ticket.known - ticket.charged)
        ticket.charged = ticket.known = cost
        ticket.key = None
        self.running -= 1
        for account, _ in flow.tiers:
            account.running -= 1
            if not account.running:
                account.guessed = 0.0  # what rounding has left
        if flow.top.idle:
            self.active_weight -= flow.top.weight


def _leaf(entry: Entry) -> Flow:
    """The flow whose turn it is: that of the entry, or the lowest one of the party."""
    account = entry[2]
    if isinstance(account, Party):
        inner = account.tier.order.first(entry[3])
        assert inner is not None, "a party without a waiting flow is resting"
        account = inner[2]
    assert isinstance(account, Flow), "parties do not nest"
    return account
