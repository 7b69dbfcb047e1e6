"""What a list of models says of a price: OpenRouter's words, which programs that compare models read.

Amounts are US dollars for one token (or one request, one picture) as decimal text, without the steps for long prompts.
"""

from __future__ import annotations

from decimal import Decimal

from server.ledger.money import MICRO
from server.ledger.prices import UNPRICED, Price

_TOKENS = {  # our kind of token, and the word for it
    "cached": "input_cache_read",
    "cache_write": "input_cache_write",
    "reasoning": "internal_reasoning",
    "input_audio": "audio",
}
_WHOLE = {"request": "request", "image": "image"}


def pricing(price: Price | None) -> dict[str, str] | None:
    """Return the rates of a price; None where there is none."""
    if price is None or price.id == UNPRICED.id:
        return None
    rates = price.rates
    found = {"prompt": _usd(rates.input, MICRO), "completion": _usd(rates.output, MICRO)}
    for kind, word in _TOKENS.items():
        if (rate := getattr(rates, kind)) is not None:
            found[word] = _usd(rate, MICRO)
    for kind, word in _WHOLE.items():
        if rate := getattr(rates, kind):
            found[word] = _usd(rate, 1)
    return found


def _usd(rate: int, units: int) -> str:
    """Of micro-USD for so many units the dollars for one, exactly."""
    return f"{(Decimal(rate) / (MICRO * units)).normalize():f}"
