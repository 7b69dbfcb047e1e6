"""The cost of a request: rates, the prices that hold at a time, and the sum.

A rate is an integer, so nothing is lost on the way: tokens are micro-USD per million, and everything is added up over
one denominator and rounded once, half to even. Kinds of tokens that a rate does not name cost what the kind costs that
includes them: cached tokens, sound and pictures what input costs, reasoning what output costs. Only writing to a cache
is dearer than reading: 1.25 times the input, and twice the input for an hour, as all providers ask that bill it.

Of what is generated, `output` is the rate of what has no other name: where a model gives sound or pictures too, it is
the dearest, and `output_text` what is said to be text.

The service that served (`Usage.tier`) has rates of its own where the list has them, else a factor; so has its place.
Calls of hosted tools come on top (`tariff.py`).

Some providers charge long prompts more. As they all do it, a *tier* reprices the whole request, not just what lies
above its threshold.

Prices have a date from which they hold and none at which they end: the newest that holds counts. The operator's own
come first, by exact name, then by the longest beginning ("gpt-5*"), then the base's (a catalogue). A model that no one
has priced is refused; or costs nothing, where the operator says so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from server.ledger.money import MICRO, MOST, divided
from server.ledger.tariff import LISTED, NORMAL, Tariff
from server.wire.usage import Usage

MS_AN_HOUR = 3_600_000
TOKENS = (
    *("input", "cached", "cache_write", "cache_write_1h", "input_audio", "input_image"),
    *("output", "reasoning", "output_text", "output_audio", "output_image"),
)

Unpriced = Literal["refuse", "free"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The rate of each kind. `TOKENS` are micro-USD per million tokens, the rest micro-USD for one.

    None is the rate of the kind that includes this one. Sound is by the hour because some providers' prices are no
    whole micro-USD a minute. `tiers` ascend.
    """

    input: int = 0
    output: int = 0
    cached: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    input_audio: int | None = None
    input_image: int | None = None
    output_text: int | None = None
    output_audio: int | None = None
    output_image: int | None = None
    request: int = 0
    image: int = 0
    audio_hour: int = 0
    tiers: tuple[PriceTier, ...] = ()

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
class PriceTier:
    """With more input tokens than `above`, everything in a request has these rates."""

    above: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a model from a time on. `model` may end in `*`: then it is every model that begins so.

    `services` are the rates of other services than the standard one, by the provider's word for them.
    """

    id: str
    model: str
    valid_from: int  # milliseconds since 1970, UTC
    rates: Rates
    services: tuple[tuple[str, Rates], ...] = ()

    def service(self, tier: str) -> Rates | None:
        """The rates of a service, if the list names them."""
        return next((rates for name, rates in self.services if name == tier), None) if tier else None


# The price of a model at a time (UTC ms) by the list below the operator's own; None if it is not there.
Base = Callable[[str, int], Price | None]

# A model without a price where those are free. It has an id, so that its rows can be found when they are priced.
UNPRICED = Price(id="unpriced", model="*", valid_from=0, rates=Rates())


def cost(price: Price, usage: Usage, tariff: Tariff = LISTED) -> int:
    """Micro-USD, rounded once and half to even."""
    listed = None if usage.tier in tariff.own else price.service(usage.tier)
    percent = (NORMAL if listed else tariff.percent(usage.tier)) * tariff.percent(usage.geo)
    rates = (listed or price.rates).for_input(usage.input)
    tokens = _asked(rates, usage) + _answered(rates, usage)
    whole = (rates.request + usage.images * rates.image) * MICRO
    sum_ = (tokens + whole) * MS_AN_HOUR + usage.audio_ms * rates.audio_hour * MICRO
    return divided(sum_ * percent, MICRO * MS_AN_HOUR * NORMAL * NORMAL) + tariff.calls(usage.tools)


def _asked(rates: Rates, usage: Usage) -> int:
    """The tokens of the input, times their rates. A part above its whole, as some providers report, counts itself.

    Sound and pictures are taken for new as far as they can be: a list seldom tells what they cost from a cache.
    """
    hour = usage.cache_write_1h
    minutes = max(0, usage.cache_write - hour)
    left = max(0, usage.input - usage.cached - minutes - hour)
    sound = min(usage.input_audio, left)
    pictures = min(usage.input_image, left - sound)
    return (
        (left - sound - pictures) * rates.input
        + sound * (rates.input if rates.input_audio is None else rates.input_audio)
        + pictures * (rates.input if rates.input_image is None else rates.input_image)
        + usage.cached * (rates.input if rates.cached is None else rates.cached)
        + minutes * _cache_write(rates)
        + hour * _cache_write_1h(rates)
    )


def _answered(rates: Rates, usage: Usage) -> int:
    """What was generated, times its rates. Text is what is left beside reasoning, sound and pictures."""
    left = max(0, usage.output - usage.reasoning)
    total = usage.reasoning * (rates.output if rates.reasoning is None else rates.reasoning)
    for number, rate in (
        (usage.output_audio, rates.output_audio),
        (usage.output_image, rates.output_image),
        (usage.output_text, rates.output_text),
    ):
        part = min(number, left)
        total, left = total + part * (rates.output if rate is None else rate), left - part
    return total + left * rates.output


def _cache_write(rates: Rates) -> int:
    return -(-rates.input * 5 // 4) if rates.cache_write is None else rates.cache_write


def _cache_write_1h(rates: Rates) -> int:
    return max(2 * rates.input, _cache_write(rates)) if rates.cache_write_1h is None else rates.cache_write_1h


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
        """The price of a model at a time (UTC ms); None if it must be refused because no price is known."""
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
    tiers = tuple(PriceTier(start, _dearest(one.for_input(start + 1), other.for_input(start + 1))) for start in starts)
    return replace(_dearest(one, other), tiers=tiers)


def dearest_services(one: Price, other: Price) -> tuple[tuple[str, Rates], ...]:
    """The services of which both lists know the rates; elsewhere it is unknown which of them would serve."""
    both = ((name, rates, other.service(name)) for name, rates in one.services)
    return tuple((name, dearest(rates, found)) for name, rates, found in both if found is not None)


def _dearest(one: Rates, other: Rates) -> Rates:
    left, right = _spelt_out(one), _spelt_out(other)
    return _rates_of({kind: max(left[kind], right[kind]) for kind in left})


def _spelt_out(rates: Rates) -> dict[str, int]:
    read = dict.fromkeys(("cached", "input_audio", "input_image"), rates.input)
    written = dict.fromkeys(("reasoning", "output_text", "output_audio", "output_image"), rates.output)
    cache = {"cache_write": _cache_write(rates), "cache_write_1h": _cache_write_1h(rates)}
    return read | written | cache | _flat(rates)


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


def _tier(body: object) -> PriceTier:
    if not isinstance(body, Mapping):
        raise ValueError("expected tiers with their rates")
    return PriceTier(_whole(body.get("above")), _read(body, {"above"}))


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
