"""Rows for the ledger of a test, whose operator lives in Berlin."""

from __future__ import annotations

from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from server.ledger.calendar import Calendar
from server.ledger.usage import Outcome, UsageRow
from server.ledger.when import instant
from server.wire.usage import Usage

BERLIN = Calendar(ZoneInfo("Europe/Berlin"))
_NUMBERS = count(1)


def row(at: str = "2026-11-21T06:05:00Z", **values: Any) -> UsageRow:
    """A completed request of `usr_ada` at an instant."""
    usual: dict[str, Any] = {
        "request_id": f"req_{next(_NUMBERS):024x}",
        "person_id": "usr_ada",
        "token_id": "tok_1",
        "group": "physics",
        "model_asked": "gpt-5",
        "model_served": "gpt-5-2025-08-07",
        "endpoint": "/v1/chat/completions",
        "dialect": "openai",
        "upstream": "openai",
        "key": "0a1b2c3d",
        "status": Outcome.COMPLETED,
        "started_at": instant(at),
        "day": BERLIN.day(instant(at)),
        "queue_ms": 12,
        "first_byte_ms": 345,
        "duration_ms": 678,
        "attempts": 1,
        "streamed": True,
        "usage": Usage(input=100, cached=40, cache_write=5, output=20, reasoning=8),
        "cost_micro_usd": 1_250_075,
        "price_id": "genai:openai/gpt-5",
    }
    return UsageRow(**{**usual, **values})
