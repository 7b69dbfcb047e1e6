"""Reserve, then settle: how budgets are kept without ever being overspent.

A *counter* is one limit in one window: its name says whose, of what, and when ("person:usr_1/usd/*/month/2026-11"). A
new window is a new counter, so nothing has to be reset. The amount of a counter is `taken`: the settled amounts plus
the holds of requests that are under way.

A *reservation* takes all that a request may need from all counters that apply, in one step and all or none: a counter
admits a hold only while `taken + amount <= limit`. A *settlement* gives the holds back and takes what was really used;
that may be more than was held, since the model has answered already: then the counter is over its limit, and the next
request is refused.

Both are idempotent by request id: a journal may be replayed, a call repeated after a doubt. A reservation whose
process died is given back at the next start or when it expires, whichever is first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.ledger.usage import UsageRow
from server.wire.records import made_quickly

ESCROW = "escrow/"  # how the id of an escrow begins, and that of no request


@dataclass(frozen=True, slots=True)
class Hold:
    """So much of a counter is kept for a request, if the counter does not exceed `limit` by it."""

    counter: str
    amount: int  # micro-USD, tokens or requests; at least 0
    limit: int
    ends_at: int | None = field(default=None, compare=False)  # when the counter's window ends, UTC milliseconds


@made_quickly
@dataclass(frozen=True, slots=True)
class Charge:
    """So much of a counter was used in the end. `drawn` of it was held from an escrow (see `escrow`), which shrinks."""

    counter: str
    amount: int
    escrow: str = ""
    drawn: int = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """The holds of a request. `holder` names the process that answers for it; times are UTC milliseconds."""

    request_id: str
    holder: str
    holds: tuple[Hold, ...]  # each counter once
    expires_at: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """Everything is held. `taken` is what each counter has taken now, escrows included, in the order of the holds."""

    taken: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Exceeded:
    """Nothing is held: this counter, which has `taken` so much already, does not admit it.

    `escrowed` of what is taken lies in escrows: perhaps it is unused.
    """

    counter: str
    taken: int
    escrowed: int = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """A request's row, and what it takes from which counters in place of what was held."""

    row: UsageRow
    charges: tuple[Charge, ...] = ()


@dataclass(frozen=True, slots=True)
class Escrowed:
    """How a counter stands: `amount` of what is `taken` lies in escrows, which `holders` have taken in advance.

    `calls` grows whenever a gateway calls them back.
    """

    counter: str
    taken: int
    amount: int = 0
    holders: frozenset[str] = frozenset()
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Release:
    """Gives back the holds of a request or an escrow."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Trim:
    """At most `amount` stays in an escrow, the rest is given back. May be repeated, and come late."""

    escrow: str
    amount: int


# The writes behind an answer. Each may be repeated.
Letter = Settlement | Release | Trim


def escrow_id(holder: str, number: int) -> str:
    """An escrow is a reservation of one counter; its id names its holder."""
    return f"{ESCROW}{holder}/{number}"


def escrowed_of(counter: str, taken: int, calls: int, escrows: Mapping[str, int]) -> Escrowed:
    """How a counter stands of which these escrows hold so much."""
    holders = frozenset(escrow.removeprefix(ESCROW).rpartition("/")[0] for escrow in escrows)
    return Escrowed(counter, taken, sum(escrows.values()), holders, calls)
