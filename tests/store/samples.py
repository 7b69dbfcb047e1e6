"""Records to try a store with."""

from __future__ import annotations

from typing import Any

from server.config.specs import UpstreamSpec
from server.ledger.quota import Charge, Hold, Reservation, Settlement
from server.ledger.usage import Outcome, UsageRow
from server.store.base import AddedKey, Person, Token
from server.wire.usage import Usage

ADA = Person("usr_ada", "Ada", False, 1_000)
BOB = Person("usr_bob", "Bob", False, 2_000)


def token(name: str, person: Person = ADA, **changes: Any) -> Token:
    fields: dict[str, Any] = {"id": f"tok_{name}", "person_id": person.id, "name": name, "hint": "fg_…abcd"}
    return Token(**fields | {"created_at": 3_000} | changes)


def added_key(key_id: str, **changes: Any) -> AddedKey:
    spec = UpstreamSpec(name="university", dialects=("openai",), base_url="https://llm.example.org/v1", keys=())
    fields: dict[str, Any] = {"id": key_id, "spec": spec, "hint": "…abcd", "encrypted": b"\x00junk", "added_at": 4_000}
    return AddedKey(**fields | changes)


def usage_row(request_id: str, **changes: Any) -> UsageRow:
    fields: dict[str, Any] = {
        "request_id": request_id,
        "person_id": ADA.id,
        "token_id": "tok_laptop",
        "group": "physics",
        "model_asked": "small",
        "model_served": "small-2026-01-01",
        "endpoint": "/v1/chat/completions",
        "dialect": "openai",
        "upstream": "university",
        "key": "0123abcd",
        "status": Outcome.COMPLETED,
        "started_at": 10_000,
        "day": "1970-01-01",
        "queue_ms": 5,
        "first_byte_ms": 120,
        "duration_ms": 900,
        "attempts": 1,
        "streamed": True,
        "usage": Usage(
            input=100, cached=60, cache_write=10, output=40, reasoning=30, estimated=True, images=2, audio_ms=7
        ),
        "cost_micro_usd": 1_234,
        "price_id": "price-1",
        "client_aborted": True,
        "error": "upstream_timeout",
    }
    return UsageRow(**fields | changes)


def settlement(request_id: str, charges: dict[str, int] | None = None, **changes: Any) -> Settlement:
    """Of a row with these changes, and what it takes from which counters."""
    taken = tuple(Charge(counter, amount) for counter, amount in (charges or {}).items())
    return Settlement(usage_row(request_id, **changes), taken)


def reservation(request_id: str, *holds: tuple[str, int, int], **changes: Any) -> Reservation:
    """Of (counter, amount, limit)."""
    fields: dict[str, Any] = {"holder": "process-1", "expires_at": 60_000}
    return Reservation(request_id=request_id, holds=tuple(Hold(*hold) for hold in holds), **fields | changes)
