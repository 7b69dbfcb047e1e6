"""Reserve, then settle: how budgets are kept without ever being overspent.

A *counter* is one limit in one window: its name says whose, of what, and when ("person:usr_1/usd/*/month/2026-11"). A
new window is a new counter, so nothing has to be reset. What a counter holds is `taken`: what was settled there plus
what is held by requests that are under way.

A *reservation* takes all that a request may need from all counters that apply, in one step and all or none: a counter
admits a hold only while `taken + amount <= limit`. A *settlement* gives the holds back and takes what was really used;
that may be more than was held, since the model has answered already: then the counter is over its limit, and the one
who comes next is refused.

Both are idempotent by request id: a journal may be replayed, a call repeated after a doubt. A reservation whose
process died is given back at the next start or when it expires, whichever is first.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.ledger.usage import UsageRow


@dataclass(frozen=True, slots=True)
class Hold:
    """So much of a counter is kept for a request, if the counter does not exceed `limit` by it."""

    counter: str
    amount: int  # micro-USD, tokens or requests; at least 0
    limit: int


@dataclass(frozen=True, slots=True)
class Charge:
    """So much of a counter was used in the end."""

    counter: str
    amount: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is kept for a request. `holder` names the process that answers for it; times are UTC milliseconds."""

    request_id: str
    holder: str
    holds: tuple[Hold, ...]  # each counter once
    expires_at: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """Everything is held. `taken` is what each counter has taken now, in the order of the holds."""

    taken: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Exceeded:
    """Nothing is held: this counter, which has `taken` so much already, does not admit it."""

    counter: str
    taken: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """A request's row, and what it takes from which counters in place of what was held."""

    row: UsageRow
    charges: tuple[Charge, ...] = ()
