"""Which request has to leave a full queue (rule 5 of `fairqueue.py`).

A queue that is full stays so for thousands of requests, and each that comes asks. So the accounts stand in heaps by
what they have waiting: of all, and of each party. An entry is stale when its length is not the account's `live` one,
and is dropped when it surfaces; an account that has less by then is sorted in again. The heaps are made when a queue
is full, and are given up after as many waits as there were flows: what is stale costs no memory for long.
"""

from __future__ import annotations

from collections.abc import Collection
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
    """What waits in a queue: kept while it is full, and some time longer."""

    def __init__(self) -> None:
        self._all = Longest()
        self._inside: dict[FlowAccount, Longest] = {}
        self._waits = 0  # that are noted yet; 0 while nothing is kept

    def note(self, flow: Flow) -> None:
        """A flow has more waiting per weight than before."""
        if not self._waits:
            return
        self._waits -= 1
        if self._waits:
            self._push(flow)
        else:
            self._all, self._inside = Longest(), {}

    def to_shed(self, flows: Collection[Flow], flow: Flow, ticket: Ticket) -> Ticket:
        """The newest request of the account with the most waiting, or the ticket of this flow that comes now."""
        if not self._waits:
            self._waits = SPARE + len(flows)
            for each in flows:
                self._push(each)
        longest = self._all.first()
        if longest is None or (longest is not flow.top and _length(longest) <= _length(flow.top, ticket.cost)):
            return ticket
        greedy = longest if isinstance(longest, Flow) else self._inside[longest].first()
        assert isinstance(greedy, Flow), "a party that waits has a flow that waits"
        if longest is flow.top and _length(greedy) <= _length(flow, ticket.cost):
            return ticket
        return max((queue[-1] for queue in greedy.queues.values()), key=lambda each: each.submitted)

    def _push(self, flow: Flow) -> None:
        self._all.push(flow.top)
        if flow.top is not flow:
            inside = self._inside.get(flow.top)
            if inside is None:
                inside = self._inside[flow.top] = Longest()
            inside.push(flow)


def _length(account: FlowAccount, more: float = 0.0) -> float:
    return (account.backlog + more) / account.weight
