"""The fair queue of one model.

Theory. Every person is a flow, and what a person marks as batch work is another one of an eighth of the weight: the two
share nothing but the bound on what may wait. A flow has a virtual counter: the cost served so far, divided by the
flow's weight. The next request comes from the waiting flow with the lowest counter (virtual token counter, Sheng et
al., OSDI 2024; start-time fair queueing, Goyal et al., 1996). What a request costs is guessed when it is dispatched,
raised while its answer outgrows the guess, and settled when it is known (as in Kubernetes' priority and fairness).

`V`, the highest counter dispatched so far, is the virtual time; it never falls. It is kept for each key, because not
everybody may use every key: a flow's own virtual time is the highest among the keys that it can reach. So those who
have a key of their own do not carry time away from those who have not.

Five rules keep that fair; each was found by measuring what happens without it:

1. LIFT. A flow that comes back from idleness starts at V: idleness banks no credit. Debt stays.
2. STRICT HEAD. If the lowest flow's request does not fit yet, everyone waits. Letting others pass "meanwhile" starves
   large requests (gap between persons 1.6 -> 143 times the largest request). Others may pass only to keys that the
   waiting request can NEVER use.
3. BOUNDED CREDIT. A flow parked at its in-flight cap keeps a low counter while others move on. When it re-enters, it
   may be behind V by at most what its cap could hold: cap * largest cost / weight. Without this there is no bound.
4. REFUND. A dispatch that failed before its first byte leaves the counters as if it had never been.
5. SHED THE LONGEST. When the queue is full, the flow with the largest backlog per weight, the arrival counted in,
   loses its newest request: never a polite arrival, and never one who waits for an equal who comes later.

The bound that the property tests hold: for two flows that wait, |c_f - c_g| <= (E + K*(d+ + d-) + K*E) / w, with E the
largest cost, K the larger cap and w the smaller weight, d+ and d- the largest under- and overestimate.

A request costs O(log flows). The order of the flows is kept in `order.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from keypool.keys import Key
from keypool.order import Entry, Flow, Order, Reach
from keypool.skyline import Skyline
from keypool.ticket import Ticket, flow_of

__all__ = ["Chooser", "FairQueue", "Fence", "Flow", "Ticket"]

LOOK_AHEAD = 16  # heads that are looked past for a free key which they do not compete for
NEWCOMER = 1.0  # the weight of the one person for whom room is kept

# A chooser says which free key a ticket may have now, perhaps only of some (None: none fits yet).
Chooser = Callable[[Ticket, Reach | None], Key | None]
# A fence says on which free keys others may pass a head that waits: those that it could never use.
Fence = Callable[[Ticket], Reach]


class FairQueue:
    """Decides whose request is next. Knows nothing of keys except through the chooser that it is handed."""

    def __init__(self, total: int = 5000, per_person: int = 100, cap: int | None = None) -> None:
        self.total, self.per_person, self.cap = total, per_person, cap
        self.virtual_time = 0.0
        self.largest_cost = 0.0
        self.waiting = 0
        self.running = 0
        self.backlog = 0.0  # cost of all that waits
        self.active_weight = 0.0  # of the flows that wait or run
        self.flows: dict[str, Flow] = {}
        self._times: dict[str, float] = {}  # the virtual time of each key
        self._order = Order(self._parked)
        self._debtors: list[Entry] = []

    def submit(self, ticket: Ticket) -> Ticket | None:
        """Take a ticket in. Returns the ticket that has to leave for it (perhaps itself), or None."""
        if self._waiting_of(ticket.person) >= self.per_person:
            return ticket
        flow, shed = self._flow(ticket), None
        if self.waiting >= self.total:
            longest = max(self.flows.values(), key=lambda each: each.backlog / each.weight)
            if longest.backlog / longest.weight <= (flow.backlog + ticket.cost) / flow.weight:
                self._forget_if_idle(flow)
                return ticket
            shed = longest.queue[-1]
            self.cancel(shed)
        self._adapt(flow, ticket)
        if not flow.waiting:
            flow.counter = max(flow.counter, self._time_of(flow))
        self.largest_cost = max(self.largest_cost, ticket.cost)
        flow.queue.append(ticket)
        self._wait(flow, ticket)
        return shed

    def dispatch(self, choose: Chooser, fence: Fence) -> tuple[Ticket, Key] | None:
        """The next request that may go now and its key; None when the lowest flow's request does not fit (rule 2)."""
        flow = self._order.lowest()
        if flow is None:
            return None
        key = choose(flow.head(), None)
        return self._pass(choose, fence) if key is None else (self._take(flow, key), key)

    def progress(self, ticket: Ticket, cost: float) -> None:
        """Charge what an answer that is still coming has cost so far beyond what was charged."""
        if cost > ticket.charged and ticket.key is not None:
            flow = self.flows[ticket.flow]
            flow.counter += (cost - ticket.charged) / flow.weight
            ticket.charged = cost
            self.largest_cost = max(self.largest_cost, cost)

    def finish(self, ticket: Ticket, cost: float) -> None:
        """Settle a ticket that was in flight at what it really cost."""
        flow = self.flows[ticket.flow]
        self._settle(flow, ticket, cost)
        self.largest_cost = max(self.largest_cost, cost)
        if not flow.waiting:
            self._forget_if_idle(flow)
        elif flow.live is None and flow.cap is not None:  # it was parked
            self._reenter(flow, flow.cap * self.largest_cost)
        elif flow.live is None or flow.counter < flow.live:
            self._order.push(flow)

    def refund(self, ticket: Ticket) -> None:
        """A ticket failed before its first byte: give everything back and put it first in its own queue (rule 4)."""
        flow = self.flows[ticket.flow]
        parked = flow.waiting and flow.live is None and flow.cap is not None
        self._settle(flow, ticket, 0.0)
        if parked:
            self._reenter(flow, max((flow.cap or 0) * self.largest_cost, ticket.lag * flow.weight))
        elif not flow.waiting:  # it was idle but for this ticket, and idleness banks no credit
            flow.counter = max(flow.counter, self._time_of(flow) - max(ticket.cost / flow.weight, ticket.lag))
        flow.queue.appendleft(ticket)
        self._wait(flow, ticket)

    def cancel(self, ticket: Ticket) -> None:
        """Drop a ticket that waits. It stays in its queue, dead, until it is the first or the last there."""
        flow = self.flows[ticket.flow]
        self._wait_no_longer(flow, ticket)
        while flow.queue and not flow.queue[-1].waiting:
            flow.queue.pop()
        self._forget_if_idle(flow)

    # What is seen from outside

    def head(self) -> Ticket | None:
        """The request for which everybody waits."""
        flow = self._order.lowest()
        return None if flow is None else flow.head()

    def tickets(self) -> list[Ticket]:
        """All that wait, in no particular order."""
        return [ticket for flow in self.flows.values() for ticket in flow.queue if ticket.waiting]

    def gap(self) -> float:
        """The largest difference between the counters of two flows that wait below their cap, in cost per weight."""
        counters = [flow.counter for flow in self.flows.values() if flow.waiting and not self._parked(flow)]
        return max(counters) - min(counters) if counters else 0.0

    def bound(self, slots: int) -> float:
        """What `gap` may be: what one flow may have in flight, guessed wrong, and the credit of rule 3."""
        flows = [flow for flow in self.flows.values() if flow.waiting]
        most = max((slots if flow.cap is None else flow.cap for flow in flows), default=self.cap or slots)
        return (1 + 2 * most) * self.largest_cost / min((flow.weight for flow in flows), default=1.0)

    def typical_cost(self) -> float:
        """The mean cost of what waits."""
        return self.backlog / self.waiting if self.waiting else self.largest_cost

    def has_its_share(self, ticket: Ticket, slots: int) -> bool:
        """Does its flow run a fair share of the slots already, with one newcomer counted in?"""
        flow = self.flows.get(ticket.flow)
        return flow is not None and flow.running >= slots * flow.weight / (self.active_weight + NEWCOMER)

    def is_near(self, ticket: Ticket, head: Ticket) -> bool:
        """Has its flow been served no more than the head's, but for one request like this?"""
        flow = self.flows[ticket.flow]
        return flow.counter - self.flows[head.flow].counter <= ticket.cost / flow.weight

    def ahead(self, ticket: Ticket, skyline: Skyline) -> tuple[float, int]:
        """The cost and the number of the requests that will go before this one, which may not be here yet.

        The skyline is a moment old and knows this flow, too: what the flow has there is not counted again.
        """
        flow = self.flows.get(ticket.flow) or Flow(ticket.flow, ticket.weight, 0.0, ticket.reach)
        own_cost, own_count = self._before(flow, ticket)
        start = flow.counter if flow.waiting else max(flow.counter, self._time_of(flow))
        until = start + own_cost / flow.weight
        cost, count = skyline.below(until)
        mine = min(flow.backlog, max(0.0, until - flow.counter) * flow.weight)
        others = max(0.0, count - (flow.waiting * mine / flow.backlog if flow.backlog else 0.0))
        return own_cost + max(0.0, cost - mine), own_count + round(others)

    def __repr__(self) -> str:
        return f"<FairQueue waiting={self.waiting} running={self.running} flows={len(self.flows)}>"

    # How it is kept

    def _flow(self, ticket: Ticket) -> Flow:
        flow = self.flows.get(ticket.flow)
        if flow is None:
            flow = self.flows[ticket.flow] = Flow(ticket.flow, ticket.weight, 0.0, ticket.reach, self._cap_of(ticket))
            flow.counter = self._time_of(flow)
        elif not flow.waiting and not flow.running:
            flow.weight, flow.reach, flow.cap, flow.live = ticket.weight, ticket.reach, self._cap_of(ticket), None
        return flow

    def _adapt(self, flow: Flow, ticket: Ticket) -> None:
        """Its person may use other keys now, or has another cap; who was parked at the old one re-enters by rule 3."""
        was_parked, credit = self._parked(flow), (flow.cap or 0) * self.largest_cost
        flow.cap = self._cap_of(ticket)
        if flow.reach != ticket.reach:
            flow.reach, flow.live = ticket.reach, None
        if was_parked and flow.waiting and flow.live is None and not self._parked(flow):
            self._reenter(flow, credit)

    def _cap_of(self, ticket: Ticket) -> int | None:
        """The lower one of the queue's cap and the flow's own."""
        if self.cap is None or ticket.running_cap is None:
            return ticket.running_cap if self.cap is None else self.cap
        return min(self.cap, ticket.running_cap)

    def _waiting_of(self, person: str) -> int:
        """The requests of a person that wait, in both classes."""
        flows = (self.flows.get(flow_of(person, batch=batch)) for batch in (False, True))
        return sum(flow.waiting for flow in flows if flow is not None)

    def _time_of(self, flow: Flow) -> float:
        """The virtual time among the keys that a flow can reach."""
        if not flow.reach:
            return self.virtual_time
        return max(self._times.get(key, 0.0) for key in flow.reach)

    def _before(self, flow: Flow, ticket: Ticket) -> tuple[float, int]:
        """The cost and the number of what its own flow has waiting before it."""
        if not ticket.waiting or flow.queue[-1] is ticket:
            mine = ticket.cost if ticket.waiting else 0.0
            return flow.backlog - mine, flow.waiting - ticket.waiting
        cost, count = 0.0, 0
        for each in flow.queue:
            if each is ticket:
                break
            if each.waiting:
                cost, count = cost + each.cost, count + 1
        return cost, count

    def _wait(self, flow: Flow, ticket: Ticket) -> None:
        if not flow.waiting and not flow.running:
            self.active_weight += flow.weight
        ticket.waiting = True
        flow.waiting += 1
        self.waiting += 1
        flow.backlog += ticket.cost
        self.backlog += ticket.cost
        if not self._parked(flow) and (flow.live is None or flow.counter < flow.live):
            self._order.push(flow)

    def _wait_no_longer(self, flow: Flow, ticket: Ticket) -> None:
        ticket.waiting = False
        flow.waiting -= 1
        self.waiting -= 1
        flow.backlog = flow.backlog - ticket.cost if flow.waiting else 0.0
        self.backlog = self.backlog - ticket.cost if self.waiting else 0.0
        if not flow.waiting and not flow.running:
            self.active_weight -= flow.weight

    def _take(self, flow: Flow, key: Key) -> Ticket:
        ticket = flow.queue.popleft()
        flow.running += 1
        self.running += 1
        self._wait_no_longer(flow, ticket)
        ticket.key = key
        self.virtual_time = max(self.virtual_time, flow.counter)
        self._times[key.id] = max(self._times.get(key.id, 0.0), flow.counter)
        ticket.lag = self._time_of(flow) - flow.counter
        ticket.charged = ticket.cost
        flow.counter += ticket.cost / flow.weight
        self._release_debtors()
        return ticket

    def _settle(self, flow: Flow, ticket: Ticket, cost: float) -> None:
        flow.counter += (cost - ticket.charged) / flow.weight
        ticket.charged = cost
        ticket.key = None
        flow.running -= 1
        self.running -= 1
        if not flow.waiting and not flow.running:
            self.active_weight -= flow.weight

    def _reenter(self, flow: Flow, credit: float) -> None:
        """A flow comes back from its cap with no more than `credit`, in cost (rule 3)."""
        flow.counter = max(flow.counter, self._time_of(flow) - credit / flow.weight)
        self._order.push(flow)

    def _parked(self, flow: Flow) -> bool:
        return flow.cap is not None and flow.running >= flow.cap

    def _pass(self, choose: Chooser, fence: Fence) -> tuple[Ticket, Key] | None:
        """Let a later flow use a key that no head before it could ever use."""
        held: list[Entry] = []
        allowed: Reach | None = None
        found = None
        while len(held) < LOOK_AHEAD and (flow := self._order.lowest(allowed)) is not None:
            key = None if allowed is None else choose(flow.head(), allowed)
            if key is not None:
                found = self._take(flow, key), key
                break
            free = fence(flow.head())
            allowed = free if allowed is None else allowed & free
            if not allowed:
                break
            held.append(self._order.take_out(flow))
        for entry in held:
            self._order.put_back(entry)
        return found

    def _forget_if_idle(self, flow: Flow) -> None:
        """An idle flow that owes nothing is like a new one; a debtor is remembered until its time has caught up."""
        if flow.waiting or flow.running or flow.owing:
            return
        if flow.counter <= self._time_of(flow):
            self.flows.pop(flow.id, None)
        else:
            flow.owing = True
            heappush(self._debtors, (flow.counter, id(flow), flow))

    def _release_debtors(self) -> None:
        due = []
        while self._debtors and self._debtors[0][0] <= self.virtual_time:
            due.append(heappop(self._debtors)[2])
        for flow in due:
            flow.owing = False
            self._forget_if_idle(flow)
