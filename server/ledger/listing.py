"""What a list of models says of a price: OpenRouter's words, which programs that compare models read.

Amounts are US dollars for one token (or one request, one picture) as decimal text, without the steps for long prompts.
"""

from __future__ import annotations

from decimal import Decimal

from server.ledger.prices import UNPRICED, Price

_TOKENS = {  # our kind of token, and the word for it
    "cached": "input_cache_read",
    "cache_write": "input_cache_write",
    "reasoning": "internal_reasoning",
    "input_audio": "audio",
}
_WHOLE = {"request": "request", "image": "image"}
OF_A_TOKEN, OF_ONE = 12, 6  # decimal places: rates are micro-USD for a million tokens, or for one thing


def pricing(price: Price | None) -> dict[str, str] | None:
    """Return the rates of a price; None where there is none."""
    if price is None or price.id == UNPRICED.id:
        return None
    rates = price.rates
    found = {"prompt": _usd(rates.input, OF_A_TOKEN), "completion": _usd(rates.output, OF_A_TOKEN)}
    for kind, word in _TOKENS.items():
        if (rate := getattr(rates, kind)) is not None:
            found[word] = _usd(rate, OF_A_TOKEN)
    for kind, word in _WHOLE.items():
        if rate := getattr(rates, kind):
            found[word] = _usd(rate, OF_ONE)
    return found


def _usd(rate: int, places: int) -> str:
    """The dollars of one, exactly."""
    return f"{Decimal(rate).scaleb(-places).normalize():f}"
