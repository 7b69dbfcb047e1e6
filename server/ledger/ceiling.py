"""The most that a request can cost: what is held for it where a budget applies.

`cost` is linear in each kind of usage, so it is largest where all that is read is of the dearest kind, and all that is
generated too: the greatest cost over these corners is an upper bound for every mixture. A tier of a price that the
input may reach counts as if it were reached; hosted tools count as often as they may be called. Writing to a cache
counts where the request or the price's list says that it may be billed, and writing for an hour where it is asked for.
Then no number of requests at once can settle more than was held for them: only a price that is wrong, or a provider
that generates more than it was allowed, can (`docs/limits.md`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
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
FREE = Rates()


@dataclass(frozen=True, slots=True)
class _Corner:
    """Rates that may count for an input of more than `above` tokens, and the dearest kinds by them."""

    above: int
    price: Price
    read: tuple[str, ...]
    generated: tuple[str, ...]


def most_cost(price: Price, ceiling: Ceiling, tariff: Tariff = LISTED) -> int:
    """Micro-USD: no answer within the ceiling costs more, whether the service that was asked for serves it or not."""
    tier = ceiling.beside.tier
    corners = _corners(price, tier, ceiling.writes, ceiling.writes_hour)
    reachable = [corner for corner in corners if corner.above < ceiling.input]
    return max(_dearest(corner, ceiling, served, tariff) for corner in reachable for served in {tier, ""})


def most_taken(price: Price | None, ceiling: Ceiling, tariff: Tariff = LISTED) -> Estimate:
    """The amounts that a request may take of budgets at most."""
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
    """Whether the price counts in units that this request has none of: then its cost is unknown here.

    A short prompt to a cheap model rounds to nothing, so very much of each unit is asked about.
    """
    if price is None or price.rates == FREE:
        return False
    pictures, sound = ceiling.images > 0, ceiling.audio_ms > 0
    return _costs_nothing(price, ceiling.generated > 0, pictures, sound, ceiling.writes, ceiling.writes_hour)


@lru_cache(maxsize=4_096)
def _costs_nothing(price: Price, answer: bool, pictures: bool, sound: bool, writes: bool, writes_hour: bool) -> bool:
    """Whether a prompt, and what of this is asked for beside it, cost nothing however much there is of it."""
    many = MICRO * MICRO
    output, images, audio_ms = many * answer, many * pictures, many * sound
    ceiling = Ceiling(many, output, images=images, audio_ms=audio_ms, writes=writes, writes_hour=writes_hour)
    return most_cost(price, ceiling) == 0


@lru_cache(maxsize=4_096)
def _corners(price: Price, tier: str, writes: bool, writes_hour: bool) -> tuple[_Corner, ...]:
    """The rates of a price that may count, each with its dearest kinds: the same for all requests like this."""
    tables = [price.rates, *(rates for name, rates in price.services if name == tier)]
    steps = [(-1, replace(table, tiers=())) for table in tables]
    steps += [(step.above, step.rates) for table in tables for step in table.tiers]
    unbilled = _unbilled(price, writes, writes_hour)
    alone = [(above, replace(price, rates=rates, services=())) for above, rates in steps]
    return tuple(_Corner(above, each, *_dearest_kinds(each.rates, unbilled)) for above, each in alone)


def _unbilled(price: Price, writes: bool, writes_hour: bool) -> tuple[str, ...]:
    """The kinds of what is read that cannot be billed for it."""
    tables = [price.rates, *(rates for _, rates in price.services)]
    every = [*tables, *(tier.rates for table in tables for tier in table.tiers)]
    minutes = writes or writes_hour or any(rates.cache_write is not None for rates in every)
    return (() if minutes else ("cache_write",)) + (() if writes_hour else ("cache_write_1h",))


def _dearest(corner: _Corner, ceiling: Ceiling, tier: str, tariff: Tariff) -> int:
    """Its cost by these rates, if all of it is of the dearest kinds and this service serves it."""
    read, generated = ceiling.input, ceiling.generated
    kinds: dict[str, Any] = dict.fromkeys(corner.read, read) | dict.fromkeys(corner.generated, generated)
    kinds |= {"input": read, "output": generated, "images": ceiling.images, "audio_ms": ceiling.audio_ms}
    return cost(corner.price, replace(ceiling.beside, tier=tier, **kinds), tariff)


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
