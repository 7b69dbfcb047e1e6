"""The most that a request can cost: what is held for it where a budget applies.

`cost` is linear in each kind of usage, so it is largest where all that is read is of the dearest kind, and all that is
generated too: the greatest cost over these corners is an upper bound for every mixture. A tier of a price that the
input may reach counts as if it were reached; hosted tools count as often as they may be called. Writing to a cache
counts where the request or the price's list says that it may be billed, and writing for an hour where it is asked for.
Then no number of requests at once can settle more than was held for them: only a price that is wrong, or a provider
that generates more than it was allowed, can (`docs/limits.md`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

from server.ledger.holds import Estimate
from server.ledger.limits import Unit
from server.ledger.money import MICRO
from server.ledger.prices import Price, Rates, cost
from server.ledger.tariff import LISTED, Tariff
from server.wire.extent import Ceiling
from server.wire.usage import Usage

# The kinds of usage that are a part of all that was read, and of all that was generated.
READ = ("cached", "cache_write", "cache_write_1h", "input_audio", "input_image")
GENERATED = ("reasoning", "output_text", "output_audio", "output_image")


def most_cost(price: Price, ceiling: Ceiling, tariff: Tariff = LISTED) -> int:
    """Micro-USD: no answer within the ceiling costs more, whether the service that was asked for serves it or not."""
    tables = [price.rates, *(rates for name, rates in price.services if name == ceiling.beside.tier)]
    reachable = [rates for table in tables for rates in _reachable(table, ceiling.input)]
    prices = [replace(price, rates=rates, services=()) for rates in reachable]
    unbilled = _unbilled(price, ceiling)
    return max(_dearest(each, usage, unbilled, tariff) for each in prices for usage in _services(ceiling))


def most_taken(price: Price | None, ceiling: Ceiling, tariff: Tariff = LISTED) -> Estimate:
    """What a request may take of budgets at most."""
    return Estimate(0 if price is None else most_cost(price, ceiling, tariff), ceiling.tokens)


def fitting(price: Price | None, ceiling: Ceiling, left: int, unit: Unit, tariff: Tariff = LISTED) -> int:
    """The longest answer, in tokens for each choice, with which a request takes no more than `left` of this unit.

    0 if not even the prompt fits, or if no answer is too long for it.
    """

    def taken(output: int) -> int:
        return most_taken(price, replace(ceiling, output=output), tariff).of(unit)

    least, full = taken(0), taken(ceiling.output)
    if not least <= left < full:
        return 0
    output = (left - least) * ceiling.output // (full - least)
    while output and taken(output) > left:
        output -= 1  # rounding, so only once or twice
    return output


def unmeasured(price: Price | None, ceiling: Ceiling) -> bool:
    """Whether the price counts in units that this request has none of: nobody here can tell what it costs then.

    A short prompt to a cheap model rounds to nothing, so a million of them are asked about.
    """
    if price is None or price.rates == Rates():
        return False
    many = replace(
        ceiling,
        input=max(1, ceiling.input) * MICRO,
        output=ceiling.output * MICRO,
        audio_ms=ceiling.audio_ms * MICRO,
        beside=Usage(),
    )
    return most_cost(price, many) == 0


def _reachable(rates: Rates, tokens: int) -> Iterator[Rates]:
    yield replace(rates, tiers=())
    yield from (tier.rates for tier in rates.tiers if tier.above < tokens)


def _services(ceiling: Ceiling) -> Iterator[Usage]:
    """All of it, served as it was asked for, or as usual."""
    for tier in {ceiling.beside.tier, ""}:
        yield replace(
            ceiling.beside,
            input=ceiling.input,
            output=ceiling.generated,
            images=ceiling.images,
            audio_ms=ceiling.audio_ms,
            tier=tier,
        )


def _unbilled(price: Price, ceiling: Ceiling) -> tuple[str, ...]:
    """The kinds of what is read that cannot be billed for it."""
    tables = [price.rates, *(rates for _, rates in price.services)]
    every = [*tables, *(tier.rates for table in tables for tier in table.tiers)]
    minutes = ceiling.writes or ceiling.writes_hour or any(rates.cache_write is not None for rates in every)
    return (() if minutes else ("cache_write",)) + (() if ceiling.writes_hour else ("cache_write_1h",))


def _dearest(price: Price, usage: Usage, unbilled: tuple[str, ...], tariff: Tariff) -> int:
    """Its cost, if all of it is of the dearest kinds."""
    read, generated = _dearest_kinds(price.rates, unbilled)
    kinds: dict[str, Any] = dict.fromkeys(read, usage.input) | dict.fromkeys(generated, usage.output)
    return cost(price, replace(usage, **kinds), tariff)


@lru_cache(maxsize=4_096)
def _dearest_kinds(rates: Rates, unbilled: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The dearest kind of what is read and of what is generated; none where that is the usual one.

    They are added up, so each is found alone: with so many tokens that nothing is rounded.
    """

    def dearest(whole: str, kinds: Iterable[str]) -> tuple[str, ...]:
        corners = [(), *((kind,) for kind in kinds)]
        return max(corners, key=lambda names: cost(Price("", "", 0, rates), _many(whole, *names)))

    read = [kind for kind in READ if kind not in unbilled]
    return dearest("input", read), dearest("output", GENERATED)


def _many(*names: str) -> Usage:
    kinds: dict[str, Any] = dict.fromkeys(names, MICRO)
    return Usage(**kinds)
