"""What a request costs: rates, the prices that hold at a time, and the sum.

A rate is an integer, so nothing is lost on the way: tokens are micro-USD per million, and everything is added up over
one denominator and rounded once. Kinds of tokens that a rate does not name cost what the kind costs that includes
them: cached and written to a cache what input costs, reasoning what output costs.

Some providers charge long prompts more. As they all do it, a *tier* reprices the whole request, not just what lies
above its threshold.

Prices have a date from which they hold and none at which they end: the newest that holds counts. The operator's own
come first, by exact name, then by the longest beginning ("gpt-5*"), then the base's (a catalogue). A model that nobody
has priced is refused; or costs nothing, where the operator says so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from server.ledger.money import MICRO, MOST, divided
from server.wire.usage import Usage

MS_AN_HOUR = 3_600_000

Unpriced = Literal["refuse", "free"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What each kind costs. The first five are micro-USD per million tokens, the rest micro-USD for one.

    None is the rate of the kind that includes this one. Sound is by the hour because some providers' prices are no
    whole micro-USD a minute. `tiers` ascend.
    """

    input: int = 0
    output: int = 0
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    request: int = 0
    image: int = 0
    audio_hour: int = 0
    tiers: tuple[Tier, ...] = ()

    def __post_init__(self) -> None:
        starts = [tier.above for tier in self.tiers]
        if starts != sorted(set(starts)) or any(tier.rates.tiers for tier in self.tiers):
            raise ValueError("expected tiers that ascend and hold no others")

    def for_input(self, tokens: int) -> Rates:
        """The rates of a request with so many input tokens."""
        for tier in reversed(self.tiers):
            if tokens > tier.above:
                return tier.rates
        return self


@dataclass(frozen=True, slots=True)
class Tier:
    """With more input tokens than `above`, everything in a request has these rates."""

    above: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs from a time on. `model` may end in `*`: then it is every model that begins so."""

    id: str
    model: str
    valid_from: int  # milliseconds since 1970, UTC
    rates: Rates


# What a model costs at a time (UTC ms) by somebody else's list; None if it is not there.
Base = Callable[[str, int], Price | None]

# A model without a price where those are free. It has an id, so that its rows can be found when they are priced.
UNPRICED = Price(id="unpriced", model="*", valid_from=0, rates=Rates())


def cost(price: Price, usage: Usage) -> int:
    """Micro-USD, rounded once and half to even."""
    rates = price.rates.for_input(usage.input)
    sound = usage.audio_ms * rates.audio_hour
    whole = rates.request + usage.images * rates.image
    return whole + divided(_tokens(rates, usage) * MS_AN_HOUR + sound * MICRO, MICRO * MS_AN_HOUR)


def _tokens(rates: Rates, usage: Usage) -> int:
    """All tokens times their rates. A part that is larger than its whole, as some providers report, counts itself."""
    read = rates.input if rates.cached is None else rates.cached
    written = rates.input if rates.cache_write is None else rates.cache_write
    thought = rates.output if rates.reasoning is None else rates.reasoning
    fresh = max(0, usage.input - usage.cached - usage.cache_write)
    said = max(0, usage.output - usage.reasoning)
    asked = fresh * rates.input + usage.cached * read + usage.cache_write * written
    return asked + said * rates.output + usage.reasoning * thought


class Timeline:
    """Prices one after the other; of two that begin at once the one given last counts."""

    __slots__ = ("_prices", "_starts")

    def __init__(self, prices: Iterable[Price]) -> None:
        self._prices = sorted(prices, key=lambda price: price.valid_from)
        self._starts = [price.valid_from for price in self._prices]

    def at(self, at_ms: int) -> Price | None:
        """The newest price that holds then."""
        place = bisect_right(self._starts, at_ms)
        return self._prices[place - 1] if place else None


class PriceTable:
    """The operator's own prices on top of a base."""

    def __init__(self, own: Iterable[Price], base: Base, unpriced: Unpriced) -> None:
        named: dict[str, list[Price]] = {}
        for price in own:
            named.setdefault(price.model, []).append(price)
        self._exact = {model: Timeline(prices) for model, prices in named.items() if not model.endswith("*")}
        beginnings = sorted((model for model in named if model.endswith("*")), key=len, reverse=True)
        self._beginnings = [(model[:-1], Timeline(named[model])) for model in beginnings]
        self._base = base
        self._otherwise = UNPRICED if unpriced == "free" else None

    def of(self, model: str, at_ms: int) -> Price | None:
        """What the model costs at a time (UTC ms); None if it must be refused because nobody knows."""
        return self._own(model, at_ms) or self._base(model, at_ms) or self._otherwise

    def _own(self, model: str, at_ms: int) -> Price | None:
        exact = self._exact.get(model)
        if exact and (price := exact.at(at_ms)):
            return price
        for beginning, timeline in self._beginnings:
            if model.startswith(beginning) and (price := timeline.at(at_ms)):
                return price
        return None


def dearest(one: Rates, other: Rates) -> Rates:
    """Rates by which no request costs less than by either."""
    starts = sorted({tier.above for rates in (one, other) for tier in rates.tiers})
    tiers = tuple(Tier(start, _dearest(one.for_input(start + 1), other.for_input(start + 1))) for start in starts)
    return replace(_dearest(one, other), tiers=tiers)


def _dearest(one: Rates, other: Rates) -> Rates:
    left, right = _spelt_out(one), _spelt_out(other)
    return _rates_of({kind: max(left[kind], right[kind]) for kind in left})


def _spelt_out(rates: Rates) -> dict[str, int]:
    said = {"cached": rates.input, "cache_write": rates.input, "reasoning": rates.output}
    return said | _flat(rates)


# ---- as a record's body ----

_KINDS = tuple(field.name for field in fields(Rates) if field.name != "tiers")


def price_body(price: Price) -> dict[str, Any]:
    """A price as JSON, for the store; its id is the record's."""
    tiers = [{"above": tier.above, **_flat(tier.rates)} for tier in price.rates.tiers]
    return {"model": price.model, "valid_from": price.valid_from, **_flat(price.rates), "tiers": tiers}


def price_of(record_id: str, body: Mapping[str, Any]) -> Price:
    """The price that a record's id and body tell. `ValueError` if they tell none."""
    model, tiers = body.get("model"), body.get("tiers", [])
    if not isinstance(model, str) or not model or not isinstance(tiers, list | tuple):
        raise ValueError("expected a price with a model")
    rates = replace(_read(body, {"model", "valid_from", "tiers"}), tiers=tuple(map(_tier, tiers)))
    return Price(record_id, model, _whole(body.get("valid_from")), rates)


def _tier(body: object) -> Tier:
    if not isinstance(body, Mapping):
        raise ValueError("expected tiers with their rates")
    return Tier(_whole(body.get("above")), _read(body, {"above"}))


def _read(body: Mapping[str, Any], besides: set[str]) -> Rates:
    kinds = body.keys() - besides
    if not kinds <= set(_KINDS):
        raise ValueError("expected rates of known kinds only")
    return _rates_of({kind: _whole(body[kind]) for kind in kinds})


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise ValueError("expected whole numbers, 0 or more")
    return value


def _flat(rates: Rates) -> dict[str, int]:
    return {kind: amount for kind in _KINDS if (amount := getattr(rates, kind)) is not None}


def _rates_of(amounts: Mapping[str, Any]) -> Rates:
    return Rates(**amounts)
