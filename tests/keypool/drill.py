"""A fair queue on a bench: some slots, four verbs, and a watch on every counter.

After each verb the drill checks what must hold whatever was done: only the flow that was touched has moved, by exactly
what the verb costs (or up to V, where a rule lifts it), V has not fallen, and the lowest eligible flow was served.
"""

from __future__ import annotations

from collections import Counter
from math import isclose

from keypool.fairqueue import FairQueue
from keypool.flows import Flow
from keypool.keys import Key
from keypool.ticket import Ticket
from tests.keypool.making import a_key, a_ticket


class Drill:
    """Drives `queue` over one key of `slots` slots that all persons may use."""

    def __init__(
        self,
        queue: FairQueue,
        slots: int = 4,
        weights: dict[str, float] | None = None,
        caps: dict[str, int] | None = None,
    ) -> None:
        self.queue, self.key = queue, a_key(slots=slots)
        self.weights, self.caps = weights or {}, caps or {}
        self.waiting: list[Ticket] = []
        self.running: list[Ticket] = []
        self.ended: Counter[str] = Counter()
        self.served: Counter[str] = Counter()  # by flow, like `spent`
        self.submitted = 0
        self.spent: dict[str, float] = {}  # what the ended tickets of each flow did cost
        self.largest = self.under = self.over = 0.0
        self.most_running = 1

    # The verbs

    def submit(self, person: str, cost: float = 1.0, *, batch: bool = False) -> Ticket:
        self.submitted += 1
        weight, cap = self.weights.get(person, 1.0), self.caps.get(person)
        ticket = a_ticket(f"t{self.submitted}", person, cost, weight, batch=batch, running_cap=cap)
        self.largest = max(self.largest, cost)
        before = self._counters()
        shed = self.queue.submit(ticket)
        self._check_moves(before, ticket.flow, 0.0, lift=True)
        if shed is not ticket:
            self.waiting.append(ticket)
        if shed is not None:
            self.ended[shed.id] += 1
            if shed is not ticket:
                self.waiting.remove(shed)
        self.pump()
        return ticket

    def finish(self, ticket: Ticket, cost: float | None = None) -> None:
        cost, charged = ticket.cost if cost is None else cost, ticket.charged
        self._note(cost, ticket)
        self._leave_slot(ticket)
        before = self._counters()
        self.queue.finish(ticket, cost)
        self._check_moves(before, ticket.flow, cost - charged, lift=True)
        self.spent[ticket.flow] = self.spent.get(ticket.flow, 0.0) + cost
        self.ended[ticket.id] += 1
        self.served[ticket.flow] += 1
        self.pump()

    def refund(self, ticket: Ticket) -> None:
        charged = ticket.charged
        self.over = max(self.over, charged)
        self._leave_slot(ticket)
        before = self._counters()
        self.queue.refund(ticket)
        self._check_moves(before, ticket.flow, -charged, lift=True)
        self.waiting.append(ticket)
        self.pump()

    def cancel(self, ticket: Ticket) -> None:
        before = self._counters()
        self.queue.cancel(ticket)
        self._check_moves(before, ticket.flow, 0.0, lift=False)
        self.waiting.remove(ticket)
        self.ended[ticket.id] += 1
        self.pump()

    def progress(self, ticket: Ticket, cost: float) -> None:
        before, charged = self._counters(), ticket.charged
        self.queue.progress(ticket, cost)
        self._note(cost, ticket)
        self._check_moves(before, ticket.flow, max(0.0, cost - charged), lift=False)

    def pump(self) -> None:
        while self._dispatch():
            pass
        if self.key.running < self.key.slots:
            assert not self.eligible(), "a slot is free and a flow that may use it waits"

    def drain(self) -> None:
        """Let everything end at its estimate."""
        while self.running:
            self.finish(self.running[0])

    # What it sees

    def eligible(self) -> list[Flow]:
        """The flows that wait below their cap."""
        flows = [flow for flow in self.queue.flows.values() if flow.waiting]
        return [flow for flow in flows if flow.cap is None or flow.running < flow.cap]

    def bound(self) -> float:
        """The bound of the theory for what this drill has seen."""
        cap = self.queue.cap or max(self.most_running, *self.caps.values(), 1)
        lightest = min(self.weights.values(), default=1.0)
        return (self.largest + cap * (self.under + self.over) + cap * self.largest) / lightest

    def assert_empty(self) -> None:
        queue = self.queue
        assert (queue.waiting, queue.running, self.key.running, self.waiting, self.running) == (0, 0, 0, [], [])
        assert queue.tickets() == []
        assert all(flow.owing and not flow.queue for flow in queue.flows.values()), "only debtors are remembered"
        assert set(self.ended.values()) <= {1}, "a ticket ended twice"
        assert len(self.ended) == self.submitted, "a ticket was lost"

    # How it does it

    def _choose(self, ticket: Ticket) -> Key | None:
        return self.key if self.key.running < self.key.slots else None

    def _dispatch(self) -> bool:
        before, virtual_time, eligible = self._counters(), self.queue.virtual_time, self.eligible()
        known = {flow.id: flow.counter - flow.guessed / flow.weight for flow in eligible}
        lowest = min((flow.counter for flow in eligible), default=None)
        found = self.queue.dispatch(self._choose)
        if found is None:
            return False
        ticket = found[0]
        flow = self.queue.flows[ticket.flow]
        assert before[ticket.flow][1] == lowest, "a lower flow waited"
        assert self.queue.virtual_time == max(virtual_time, known[ticket.flow]), "V is moved by what is known"
        assert ticket.charged == ticket.cost
        self._check_moves(before, ticket.flow, ticket.cost, lift=False)
        self.key.running += 1
        self.waiting.remove(ticket)
        self.running.append(ticket)
        self.most_running = max(self.most_running, flow.running)
        assert flow.cap is None or flow.running <= flow.cap
        return True

    def _leave_slot(self, ticket: Ticket) -> None:
        self.running.remove(ticket)
        self.key.running -= 1

    def _note(self, cost: float, ticket: Ticket) -> None:
        self.largest = max(self.largest, cost)
        self.under = max(self.under, cost - ticket.cost)
        self.over = max(self.over, ticket.charged - cost)

    def _counters(self) -> dict[str, tuple[Flow, float]]:
        return {flow.id: (flow, flow.counter) for flow in self.queue.flows.values()}

    def _check_moves(self, before: dict[str, tuple[Flow, float]], own: str, cost: float, *, lift: bool) -> None:
        for name, (flow, counter) in before.items():
            if name != own:
                assert flow.counter == counter, "another flow's counter moved"
                continue
            due = counter + cost / flow.weight
            if not isclose(flow.counter, due, rel_tol=1e-9, abs_tol=1e-9):
                assert lift, "only a flow that comes back is lifted"
                assert due < flow.counter <= self.queue.virtual_time, "a lift goes up, and at most to V"
