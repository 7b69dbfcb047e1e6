"""The work that is served before a request: that of its own flow, and of the flows that were served less."""

from __future__ import annotations

from math import inf

from keypool.backlog import Backlog
from keypool.fairqueue import FairQueue
from keypool.flow_heap import FlowAccount, Lane
from keypool.flows import Flow, Party
from keypool.ticket import Ticket, flow_of
from keypool.tier import HeadsTier


def before(fair: FairQueue, ticket: Ticket) -> tuple[float, int]:
    """The cost and the number of what its own flow has waiting before it, in all lanes."""
    flow = fair.flows.get(ticket.flow)
    if flow is None:
        return 0.0, 0
    if not ticket.waiting:
        return flow.backlog, flow.waiting
    if flow.queues[ticket.lane][-1] is ticket:
        return flow.backlog - ticket.cost, flow.waiting - 1
    cost, count = flow.backlog, flow.waiting
    for each in reversed(flow.queues[ticket.lane]):
        if each.waiting:
            cost, count = cost - each.cost, count - 1
        if each is ticket:
            break
    return cost, count


def ahead(fair: FairQueue, ticket: Ticket, backlog: Backlog) -> tuple[float, int]:
    """The cost and the number of the requests that will go before this one, which may not be here yet.

    The backlog, of the upper tier, is a moment old and knows this flow, too: what it has there is not counted
    again.
    """
    lane, flow = ticket.lane, fair.flows.get(ticket.flow)
    party = flow.party if flow is not None else fair.parties.get(flow_of(ticket.party, batch=ticket.batch))
    account: FlowAccount = flow or Flow(ticket.flow, ticket.weight, 0.0, lane)
    cost, count = before(fair, ticket)
    if party is not None:
        members = {entry[2] for entry in party.tier.order.entries()}
        cost, count = _among(account, party.tier, lane, Backlog(members, fair.now), cost, count)
        account = party
    elif flow is None and ticket.party:
        account = Party(ticket.party, ticket.party_weight, 0.0, lane, tier=fair.roster.tier)
    return _among(account, fair.roster.tier, lane, backlog, cost, count)


def _among(
    account: FlowAccount, tier: HeadsTier, lane: Lane, backlog: Backlog, cost: float, count: int
) -> tuple[float, int]:
    """The cost that a tier serves of all its accounts until one of them has been served so much of its own."""
    start = account.at(lane) if lane in account.lanes else max(account.at(lane), tier.time_of(lane))
    place = (start, account.came) if lane in account.lanes and not count else (start + cost / account.weight, inf)
    (below, number), (mine, own) = backlog.below(place), backlog.part_of(account, place)
    return cost + max(0.0, below - mine), count + round(max(0.0, number - own))
