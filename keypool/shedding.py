"""Which request has to leave a full queue (rule 5 of `fairqueue.py`)."""

from __future__ import annotations

from collections.abc import Iterable

from keypool.flow_heap import FlowAccount
from keypool.flows import Flow
from keypool.ticket import Ticket


def to_shed(flows: Iterable[Flow], flow: Flow, ticket: Ticket) -> Ticket:
    """The newest request of the account with the most waiting, or the ticket of this flow that comes now."""
    flows = [each for each in flows if each.waiting]
    if not flows:
        return ticket
    longest = max((each.top for each in flows), key=_length)
    if longest is not flow.top and _length(longest) <= _length(flow.top, ticket.cost):
        return ticket
    inside = [each for each in flows if each.top is longest]
    greedy = max(inside, key=_length)
    if longest is flow.top and _length(greedy) <= _length(flow, ticket.cost):
        return ticket
    return max((queue[-1] for queue in greedy.queues.values()), key=lambda each: each.submitted)


def _length(account: FlowAccount, more: float = 0.0) -> float:
    return (account.backlog + more) / account.weight
