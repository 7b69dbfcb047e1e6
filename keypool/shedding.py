"""Which request has to leave a full queue (rule 5 of `fairqueue.py`).

A queue that is full stays so for thousands of requests, and each that comes asks. So the accounts stand in heaps by
what they have waiting: of all, and of each party. An entry is stale when its length is not the account's `live` one,
and is dropped when it surfaces; an account that has less by then is sorted in again. The heaps are made when a queue
is full, and are given up after as many waits as there were flows: what is stale costs no memory for long.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush, heapreplace

from keypool.flow_heap import FlowAccount
from keypool.flows import Flow
from keypool.ticket import Ticket

SPARE = 1_000  # waits that are noted at least, however few flows there are


class Longest:
    """Finds the account with the most waiting."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, FlowAccount]] = []
        self._live: dict[FlowAccount, float] = {}
        self._pushes = 0

    def push(self, account: FlowAccount) -> None:
        """It waits for more than before."""
        length = _length(account)
        if length > self._live.get(account, 0.0):
            self._live[account] = length
            self._pushes += 1
            heappush(self._heap, (-length, self._pushes, account))

    def first(self) -> FlowAccount | None:
        """The account with the most waiting per weight."""
        heap, live = self._heap, self._live
        while heap:
            negative, number, account = heap[0]
            length = _length(account)
            if live.get(account) != -negative:
                heappop(heap)
            elif length == -negative:
                return account
            elif length:
                live[account] = length
                heapreplace(heap, (-length, number, account))
            else:
                heappop(heap)
                del live[account]
        return None


class Backlogs:
    """What waits in a full queue with these flows."""

    def __init__(self, flows: Iterable[Flow]) -> None:
        self._all = Longest()
        self._inside: dict[FlowAccount, Longest] = {}
        self._waits = SPARE
        for flow in flows:
            self._waits += 2
            self.note(flow)

    def note(self, flow: Flow) -> bool:
        """A flow has more waiting per weight than before. False: what is known here is not to be kept any longer."""
        self._waits -= 1
        self._all.push(flow.top)
        if flow.top is not flow:
            inside = self._inside.get(flow.top)
            if inside is None:
                inside = self._inside[flow.top] = Longest()
            inside.push(flow)
        return self._waits > 0

    def to_shed(self, flow: Flow, ticket: Ticket) -> Ticket:
        """The newest request of the account with the most waiting, or the ticket of this flow that comes now."""
        longest = self._all.first()
        if longest is None or (longest is not flow.top and _length(longest) <= _length(flow.top, ticket.cost)):
            return ticket
        greedy = longest if isinstance(longest, Flow) else self._inside[longest].first()
        assert isinstance(greedy, Flow), "a party that waits has a flow that waits"
        if longest is flow.top and _length(greedy) <= _length(flow, ticket.cost):
            return ticket
        return max((queue[-1] for queue in greedy.queues.values()), key=lambda each: each.submitted)


def _length(account: FlowAccount, more: float = 0.0) -> float:
    return (account.backlog + more) / account.weight
