"""The requests of this moment, one by one, for an administrator.

The public snapshot names no persons; this view names them by their ids, and only administrators see it. A place in the
queue is found anew for each request that waits, at O(log flows), so a view shows at most `MOST` of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from keypool.pool import Pool
from keypool.ticket import Ticket

MOST = 200


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """One request that waits or runs. Times are seconds.

    `position`: its place in the queue now, from 1; 0 while it runs. `waited`: until now, or until it got its key.
    `expected`: the wait that is left, as forecast. `running`: since it got the key `key`, which is one of `upstream`.
    `tokens_in`: of its prompt, as counted or guessed.
    """

    id: str
    person: str
    model: str
    batch: bool
    position: int
    waited: float
    expected: float
    running: float
    key: str | None
    attempts: int
    upstream: str = ""
    tokens_in: int = 0

    @property
    def state(self) -> str:
        return "queued" if self.key is None else "running"


def live(pool: Pool, now: float, most: int = MOST) -> list[LiveRequest]:
    """At most so many requests: those in flight, then those that wait, each from the oldest on."""
    tickets = sorted(pool.tickets.values(), key=lambda ticket: (ticket.key is None, ticket.submitted))
    return [_seen(pool, ticket, now) for ticket in tickets[:most]]


def _seen(pool: Pool, ticket: Ticket, now: float) -> LiveRequest:
    outlook = pool.admission.outlook(ticket, now) if ticket.waiting else None
    return LiveRequest(
        id=ticket.id,
        person=ticket.person,
        model=ticket.model,
        batch=ticket.batch,
        position=outlook.position if outlook else 0,
        waited=(ticket.granted if ticket.key else now) - ticket.submitted,
        expected=outlook.seconds if outlook else 0.0,
        running=now - ticket.granted if ticket.key else 0.0,
        key=ticket.key.id if ticket.key else None,
        attempts=ticket.attempts,
        upstream=ticket.key.upstream if ticket.key else "",
        tokens_in=ticket.need.input,
    )
