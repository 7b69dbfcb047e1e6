"""The headers by which a caller reads their limits in every answer, in the words of the dialect that they speak.

OpenAI:     x-ratelimit-{limit,remaining,reset}-{requests,tokens}; reset is a duration such as 17ms, 1s, 6m0s
Anthropic:  anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}; reset is an instant (RFC 3339)

Both get what is left of their tightest budget, in dollars. Resets are rounded up, so that no one comes too early.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil

from server.ledger.limits import Unit
from server.ledger.money import usd
from server.ledger.ratelimit import Left

BUDGET = "x-fairgate-budget-remaining-usd"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def limit_headers(
    dialect: str, requests: Left | None, tokens: Left | None, budget_micro_usd: int | None, now_ms: int
) -> dict[str, str]:
    """The headers for what is limited; nothing for what is not. `now_ms` is UTC, for the instants among them."""
    headers: dict[str, str] = {}
    for unit, left in ((Unit.REQUESTS, requests), (Unit.TOKENS, tokens)):
        if left is not None:
            headers |= _anthropic(unit, left, now_ms) if dialect == "anthropic" else _openai(unit, left)
    if budget_micro_usd is not None:
        headers[BUDGET] = usd(budget_micro_usd)
    return headers


def duration(seconds: float) -> str:
    """A duration as Go writes it: "0s", "17ms", "1s", "6m0s", "1h0m5s". From one second on it is whole seconds."""
    milliseconds = ceil(seconds * 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(-(-milliseconds // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _openai(unit: Unit, left: Left) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{unit}": str(left.limit),
        f"x-ratelimit-remaining-{unit}": str(left.remaining),
        f"x-ratelimit-reset-{unit}": duration(left.reset),
    }


def _anthropic(unit: Unit, left: Left, now_ms: int) -> dict[str, str]:
    full_at = -(-(now_ms + ceil(left.reset * 1000)) // 1000)
    return {
        f"anthropic-ratelimit-{unit}-limit": str(left.limit),
        f"anthropic-ratelimit-{unit}-remaining": str(left.remaining),
        f"anthropic-ratelimit-{unit}-reset": f"{_EPOCH + timedelta(seconds=full_at):%Y-%m-%dT%H:%M:%SZ}",
    }
