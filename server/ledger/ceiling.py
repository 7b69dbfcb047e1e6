"""The most that a request can cost: what is held for it where a budget applies.

`cost` is linear in each kind of usage, so it is largest where all that is read is of the dearest kind, and all that is
generated too: the greatest cost over these corners is an upper bound for every mixture. A tier of a price that the
input may reach counts as if it were reached. Then no number of requests at once can settle more than was held for them:
only a price that is wrong, or a provider that generates more than it was allowed, can (`docs/limits.md`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from server.ledger.holds import Estimate
from server.ledger.limits import Unit
from server.ledger.money import MICRO
from server.ledger.prices import Price, Rates, cost
from server.ledger.tariff import Tariff
from server.wire.extent import Ceiling
from server.wire.usage import Usage

# The kinds of usage that are a part of all that was read, and of all that was generated.
READ = ("cached", "cache_write", "cache_write_1h", "input_audio", "input_image")
GENERATED = ("reasoning", "output_text", "output_audio", "output_image")
NONE: dict[str, Any] = {}


def most_cost(price: Price, tariff: Tariff, ceiling: Ceiling) -> int:
    """Micro-USD: no answer within the ceiling costs more."""
    prices = _reachable(price, ceiling)
    return max(cost(each, usage, tariff) for each in prices for usage in _corners(ceiling))


def most_taken(price: Price | None, tariff: Tariff, ceiling: Ceiling) -> Estimate:
    """What a request may take of budgets at most."""
    return Estimate(0 if price is None else most_cost(price, tariff, ceiling), ceiling.tokens)


def fitting(price: Price | None, tariff: Tariff, ceiling: Ceiling, left: int, unit: Unit) -> int:
    """The longest answer, in tokens for each choice, with which a request takes no more than `left` of this unit.

    0 if not even the prompt fits, or if no answer is too long for it.
    """
    least, full = (_of(price, tariff, replace(ceiling, output=output), unit) for output in (0, ceiling.output))
    if not least <= left < full:
        return 0
    output = (left - least) * ceiling.output // (full - least)
    while output and _of(price, tariff, replace(ceiling, output=output), unit) > left:
        output -= 1  # rounding, so only once or twice
    return output


def unmeasured(price: Price | None, tariff: Tariff, ceiling: Ceiling) -> bool:
    """Whether the price counts in units that this request has none of: nobody here can tell what it costs then.

    A short prompt to a cheap model rounds to nothing, so a million of them are asked about.
    """
    if price is None or price.rates == Rates():
        return False
    many = replace(
        ceiling, input=max(1, ceiling.input) * MICRO, output=ceiling.output * MICRO, audio_ms=ceiling.audio_ms * MICRO
    )
    return most_cost(price, tariff, many) == 0


def _of(price: Price | None, tariff: Tariff, ceiling: Ceiling, unit: Unit) -> int:
    return most_taken(price, tariff, ceiling).of(unit)


def _reachable(price: Price, ceiling: Ceiling) -> list[Price]:
    """The price by each of the tiers that the input may reach, in the service that was asked for."""
    listed = price.service(ceiling.tier)
    rates = price.rates if listed is None else listed
    reached = [replace(rates, tiers=()), *(tier.rates for tier in rates.tiers if tier.above < ceiling.input)]
    if listed is None:
        return [replace(price, rates=each) for each in reached]
    return [replace(price, services=((ceiling.tier, each),)) for each in reached]


def _corners(ceiling: Ceiling) -> Iterator[Usage]:
    output = ceiling.generated
    usage = Usage(
        ceiling.input,
        output=output,
        images=ceiling.images,
        audio_ms=ceiling.audio_ms,
        tools=ceiling.tools,
        tier=ceiling.tier,
        geo=ceiling.geo,
    )
    for read in (NONE, *({**NONE, kind: ceiling.input} for kind in READ)):
        for generated in (NONE, *({**NONE, kind: output} for kind in GENERATED)):
            yield replace(usage, **read, **generated)
