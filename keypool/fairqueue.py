"""The fair queue of one model.

Theory. Every person is a flow with a virtual counter: the cost served so far, divided by the flow's weight. The next
request comes from the waiting flow with the lowest counter (virtual token counter, Sheng et al., OSDI 2024; start-time
fair queueing, Goyal et al., 1996). What a request costs is guessed when it is dispatched, raised while its answer
outgrows the guess, and settled when it is known (as in Kubernetes' priority and fairness). `V`, the counter of the flow
dispatched last, is the queue's virtual time; it never falls.

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
largest cost, K the cap, d+ and d- the largest under- and overestimate.

Costs are O(log flows) a request. Heap entries are never searched for: an entry whose counter is not the flow's `live`
one is stale and is dropped when it surfaces.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush, heapreplace

from keypool.keys import Key

LOOK_AHEAD = 16  # flows that may be asked to pass a head which can never use the free keys


@dataclass(slots=True, eq=False)
class Ticket:
    """One request in the queue or in flight. Times are seconds, monotonic; costs are in the unit of `estimates`."""

    id: str
    person: str
    model: str
    dialect: str
    cost: float
    submitted: float
    deadline: float
    weight: float = 1.0
    groups: frozenset[str] = frozenset()
    attempts: int = 0  # grants
    retries: int = 0  # of these, the ones that the retry budget paid
    tried: frozenset[str] = frozenset()  # keys that failed it
    input_tokens: int = 0
    charged: float = 0.0  # what the flow has paid for it so far
    key: Key | None = None  # set while in flight
    granted: float = 0.0
    waiting: bool = False


@dataclass(slots=True, eq=False)
class Flow:
    """All that one person wants from one model."""

    id: str
    weight: float
    counter: float
    queue: deque[Ticket] = field(default_factory=deque)
    waiting: int = 0  # live tickets in `queue`
    running: int = 0
    backlog: float = 0.0  # cost of what waits
    live: float | None = None  # the counter under which it stands in the heap
    owing: bool = False  # idle, but remembered because its counter is above V


# A chooser says which free key a ticket may have now, perhaps only of some (None: none fits yet).
Chooser = Callable[[Ticket, frozenset[str] | None], Key | None]
# A fence says which free keys a waiting head could never use: the only ones on which others may pass it.
Fence = Callable[[Ticket], frozenset[str]]


class FairQueue:
    """Decides whose request is next. Knows nothing of keys except through the chooser that it is handed."""

    def __init__(self, total: int = 5000, per_person: int = 100, cap: int | None = None) -> None:
        self.total, self.per_person, self.cap = total, per_person, cap
        self.virtual_time = 0.0
        self.largest_cost = 0.0
        self.waiting = 0
        self.running = 0
        self.flows: dict[str, Flow] = {}
        self._heap: list[tuple[float, int, Flow]] = []
        self._debtors: list[tuple[float, int, Flow]] = []
        self._pushes = 0

    def submit(self, ticket: Ticket) -> Ticket | None:
        """Take a ticket in. Returns the ticket that has to leave for it (perhaps itself), or None."""
        flow = self._flow(ticket)
        if flow.waiting >= self.per_person:
            self._forget_if_idle(flow)
            return ticket
        shed = None
        if self.waiting >= self.total:
            longest = max(self.flows.values(), key=lambda each: each.backlog / each.weight)
            if longest.backlog / longest.weight <= (flow.backlog + ticket.cost) / flow.weight:
                self._forget_if_idle(flow)
                return ticket
            shed = longest.queue[-1]
            self.cancel(shed)
        if not flow.waiting and flow.counter < self.virtual_time:
            flow.counter = self.virtual_time
        self.largest_cost = max(self.largest_cost, ticket.cost)
        flow.queue.append(ticket)
        self._wait(flow, ticket)
        return shed

    def dispatch(self, choose: Chooser, fence: Fence) -> tuple[Ticket, Key] | None:
        """The next request that may go now and its key; None when the lowest flow's request does not fit (rule 2)."""
        flow = self._top()
        if flow is None:
            return None
        key = choose(flow.queue[0], None)
        return self._pass(choose, fence) if key is None else (self._take(flow, key), key)

    def progress(self, ticket: Ticket, cost: float) -> None:
        """Charge what an answer that is still coming has cost so far beyond what was charged."""
        if cost > ticket.charged and ticket.key is not None:
            flow = self.flows[ticket.person]
            flow.counter += (cost - ticket.charged) / flow.weight
            ticket.charged = cost
            self.largest_cost = max(self.largest_cost, cost)

    def finish(self, ticket: Ticket, cost: float) -> None:
        """Settle a ticket that was in flight at what it really cost."""
        flow = self.flows[ticket.person]
        self._settle(flow, ticket, cost)
        self.largest_cost = max(self.largest_cost, cost)
        if not flow.waiting:
            self._forget_if_idle(flow)
        elif flow.live is None and self.cap is not None:  # it was parked
            self._reenter(flow, self.cap * self.largest_cost)
        elif flow.live is None or flow.counter < flow.live:
            self._push(flow)

    def refund(self, ticket: Ticket) -> None:
        """A ticket failed before its first byte: give everything back and put it first in its own queue (rule 4)."""
        flow = self.flows[ticket.person]
        parked = flow.waiting and flow.live is None and self.cap is not None
        self._settle(flow, ticket, 0.0)
        if parked:
            self._reenter(flow, (self.cap or 0) * self.largest_cost)
        elif not flow.waiting:  # it was idle but for this ticket, and idleness banks no credit
            flow.counter = max(flow.counter, self.virtual_time - ticket.cost / flow.weight)
        flow.queue.appendleft(ticket)
        self._wait(flow, ticket)

    def cancel(self, ticket: Ticket) -> None:
        """Drop a ticket that waits. It stays in its queue, dead, until it is the first or the last there."""
        flow = self.flows[ticket.person]
        ticket.waiting = False
        flow.waiting -= 1
        self.waiting -= 1
        flow.backlog = flow.backlog - ticket.cost if flow.waiting else 0.0
        while flow.queue and not flow.queue[-1].waiting:
            flow.queue.pop()
        self._forget_if_idle(flow)

    def tickets(self) -> list[Ticket]:
        """All that wait, in no particular order."""
        return [ticket for flow in self.flows.values() for ticket in flow.queue if ticket.waiting]

    def gap(self) -> float:
        """The largest difference between the counters of two flows that wait below their cap, in cost."""
        counters = [flow.counter for flow in self.flows.values() if flow.waiting and not self._parked(flow)]
        return max(counters) - min(counters) if counters else 0.0

    def __repr__(self) -> str:
        return f"<FairQueue waiting={self.waiting} running={self.running} flows={len(self.flows)}>"

    def _flow(self, ticket: Ticket) -> Flow:
        flow = self.flows.get(ticket.person)
        if flow is None:
            flow = self.flows[ticket.person] = Flow(ticket.person, ticket.weight, self.virtual_time)
        elif not flow.waiting and not flow.running:
            flow.weight = ticket.weight
        return flow

    def _wait(self, flow: Flow, ticket: Ticket) -> None:
        ticket.waiting = True
        flow.waiting += 1
        self.waiting += 1
        flow.backlog += ticket.cost
        if not self._parked(flow) and (flow.live is None or flow.counter < flow.live):
            self._push(flow)

    def _take(self, flow: Flow, key: Key) -> Ticket:
        ticket = flow.queue.popleft()
        ticket.waiting = False
        ticket.key = key
        flow.waiting -= 1
        flow.running += 1
        self.waiting -= 1
        self.running += 1
        flow.backlog = flow.backlog - ticket.cost if flow.waiting else 0.0
        self.virtual_time = max(self.virtual_time, flow.counter)
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

    def _reenter(self, flow: Flow, credit: float) -> None:
        """A flow comes back from its cap with no more than `credit`, in cost (rule 3)."""
        flow.counter = max(flow.counter, self.virtual_time - credit / flow.weight)
        self._push(flow)

    def _parked(self, flow: Flow) -> bool:
        return self.cap is not None and flow.running >= self.cap

    def _push(self, flow: Flow) -> None:
        self._pushes += 1
        flow.live = flow.counter
        heappush(self._heap, (flow.counter, self._pushes, flow))

    def _top(self) -> Flow | None:
        """The waiting flow with the lowest counter. Stale entries are dropped, risen counters are re-sorted."""
        while self._heap:
            counter, _, flow = self._heap[0]
            if flow.live != counter:
                heappop(self._heap)
            elif not flow.waiting or self._parked(flow):
                heappop(self._heap)
                flow.live = None
            elif counter < flow.counter:
                self._pushes += 1
                flow.live = flow.counter
                heapreplace(self._heap, (flow.counter, self._pushes, flow))
            else:
                while not flow.queue[0].waiting:
                    flow.queue.popleft()
                return flow
        return None

    def _pass(self, choose: Chooser, fence: Fence) -> tuple[Ticket, Key] | None:
        """Let a later flow use a key that no head before it could ever use."""
        held: list[tuple[float, int, Flow]] = []
        allowed: frozenset[str] | None = None
        found = None
        while len(held) < LOOK_AHEAD and (flow := self._top()) is not None:
            key = choose(flow.queue[0], allowed) if allowed else None
            if key is not None:
                found = self._take(flow, key), key
                break
            free = fence(flow.queue[0])
            allowed = free if allowed is None else allowed & free
            if not allowed:
                break
            held.append(heappop(self._heap))
        for entry in held:
            heappush(self._heap, entry)
        return found

    def _forget_if_idle(self, flow: Flow) -> None:
        """A flow that is idle and owes nothing is like a new one; a debtor is remembered until V has caught up."""
        if flow.waiting or flow.running or flow.owing:
            return
        if flow.counter <= self.virtual_time:
            self.flows.pop(flow.id, None)
        else:
            flow.owing = True
            self._pushes += 1
            heappush(self._debtors, (flow.counter, self._pushes, flow))

    def _release_debtors(self) -> None:
        while self._debtors and self._debtors[0][0] <= self.virtual_time:
            flow = heappop(self._debtors)[2]
            flow.owing = False
            self._forget_if_idle(flow)
