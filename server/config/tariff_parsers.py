"""The texts of the settings about what costs something beside a model. No mistake repeats what was given."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from server.ledger.money import micro_usd, usd
from server.wire.calls import NAME

Pairs = tuple[tuple[str, int], ...]

MOST_PERCENT = 100_000


def tool_prices(value: str) -> Pairs:
    """Micro-USD by tool, such as "web_search=0.01, file_search=0.0025"."""
    return _pairs(value, micro_usd)


def tool_price_words(prices: Pairs) -> str:
    """The inverse."""
    return ", ".join(f"{tool}={usd(amount)}" for tool, amount in prices)


def service_factors(value: str) -> Pairs:
    """Percent by a provider's word for a service or a place, such as "priority=2, us=1.1"."""
    return _pairs(value, _percent)


def _percent(text: str) -> int:
    if not re.fullmatch(r"\d{1,4}(\.\d{1,2})?", text, re.ASCII) or (percent := int(Decimal(text) * 100)) > MOST_PERCENT:
        raise ValueError("expected a factor such as 1.75, at most 1000, with at most two digits behind the point")
    return percent


def _pairs(value: str, read: Callable[[str], int]) -> Pairs:
    found: dict[str, int] = {}
    for word in (each.strip() for each in value.split(",") if each.strip()):
        name, sign, amount = (part.strip() for part in word.partition("="))
        if not sign or not NAME.fullmatch(name) or name in found:
            raise ValueError("expected names once each, each with its value, such as web_search=0.01, mcp=0")
        found[name] = read(amount)
    return tuple(found.items())
