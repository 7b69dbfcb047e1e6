"""One row for each dispatched request: what the ledger keeps of it.

The row is written once, when the request has ended in whatever way, and never changed. Its id is the request's, so
that a settlement that is repeated (a retry, a replayed journal) changes nothing. It holds no text of a prompt or of
an answer, no name and no secret: a person and a token are their ids, a key is its fingerprint.

An attempt that failed and may have been billed all the same has a row of its own where another key was asked after it:
it names the key and the upstream that were at work, and its id is the request's with a number (`attempt_id`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from server.wire.records import made_quickly
from server.wire.usage import Usage

OWN = "own"  # stands in the row of a request with the caller's own key where a key's fingerprint does

STATED = "stated"  # stands where a price's id does if the provider has said itself what it bills


def attempt_id(request_id: str, number: int) -> str:
    """The id of the row of a request's attempt, counted from 1."""
    return f"{request_id}-{number}"


class Outcome(StrEnum):
    """How a dispatched request ended. Exactly one holds; the first that applies, in this order."""

    CANCELLED = "cancelled"  # we stopped it: the caller left, its deadline passed, or the gateway drained
    REJECTED = "rejected"  # the provider refused the request itself (400, 413, 422): the caller's to mend
    FAILED = "failed"  # no key gave an answer, or this attempt did not: nothing but an error has gone to the caller
    CUT = "cut"  # the answer broke off after its first byte
    INTERRUPTED = "interrupted"  # the gateway itself died meanwhile; recovered at its next start, as an estimate
    COMPLETED = "completed"  # the answer's end was seen and passed on


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """The usage and the outcome of one request. Times ending in `_ms` are milliseconds; `started_at` is UTC."""

    request_id: str
    person_id: str
    token_id: str | None  # None where no personal token was asked for
    group: str | None = None  # whom it is booked on beside the person
    model_asked: str  # under which its price, its limits and all sums stand
    model_served: str  # as the upstream calls it
    endpoint: str  # the route, such as "/v1/chat/completions"
    dialect: str  # "openai" or "anthropic"
    upstream: str
    key: str  # the key's fingerprint, never its secret
    status: Outcome
    started_at: int  # milliseconds since 1970, UTC: when the request arrived
    day: str  # that day where the operator lives, such as "2026-11-21": the day of all sums
    queue_ms: int
    first_byte_ms: int | None  # from arrival to the first byte of the answer; None if there was none
    duration_ms: int  # from arrival to the end
    attempts: int  # how often it was sent upstream
    streamed: bool
    usage: Usage
    cost_micro_usd: int = 0
    price_id: str | None = None  # the price the cost was computed with; None: the model has none
    client_aborted: bool = False
    alias: str = ""  # the name that its caller asked for, if that was another one
    error: str = ""  # the code of the error that its client received, or that the attempt failed with

    @property
    def with_own_key(self) -> bool:
        """It tells of a request with the caller's own key: nothing of the pool served it, and it costs nothing here."""
        return self.key == OWN

    @property
    def with_stated_bill(self) -> bool:
        """Its cost is what the provider said, and no price of ours."""
        return self.price_id == STATED

    @property
    def is_attempt(self) -> bool:
        """It tells of an attempt that failed, and not of a whole request."""
        return "-" in self.request_id  # which no request's own id has
