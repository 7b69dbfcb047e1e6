"""From genai-prices' words to ours: a provider's list prices of a model, as rates with dates.

genai-prices is a list of what providers publish, kept by the makers of Pydantic; this reads the copy that is installed
and never its updates from the network. Prices in units that we do not measure are read so:

* A price for some hours of the day holds all day if it is the dearer one.
* Pictures and sound that a model gives or is given as tokens have rates of their own. Output of which no one says what
  it is is billed as the dearest that the model can give. In what it is given text is the usual, so text is assumed.
* Other services than the standard one (`service_tier`, Anthropic's `speed`) have the rates that the list gives them.
* A list without a price for writing to a cache asks the price of input for it.
* A price by the character is read as one for four characters a token.
* A model whose list says nothing that is measured here, or nothing at all, has no price. It is free only if it says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial, reduce

from genai_prices.data import providers
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from server.ledger.money import MICRO
from server.ledger.prices import Price, PriceTier, Rates, dearest

CHARACTERS_A_TOKEN = 4

# Those that say nothing because they cost nothing, beside what calls itself ":free".
_FREE = {("openai", "moderation")}

_OUTPUT = ("output_mtok", "output_text_mtok", "output_image_mtok", "output_audio_mtok", "output_video_mtok")
_SOUND = ("audio_hours", "input_audio_hours", "output_audio_hours")
_BESIDE_TEXT = ("output_image_mtok", "output_audio_mtok", "output_video_mtok")
_SERVICES = {  # by the word for it in a usage
    "priority": [{"service_tier": "priority"}],
    "fast": [{"service_tier": "fast"}, {"speed": "fast"}],
    "flex": [{"service_tier": "flex"}],
}
_MEASURED = {"input_mtok", "input_mchars", "requests_kcount", *_OUTPUT, *_SOUND}
_NOTHING = Decimal(0)

_FIRST_DAY = date(1970, 1, 1)


def lists_at(base_url: str, dialects: Sequence[str]) -> list[Callable[[str], list[Price]]]:
    """The lists that hold at an address: its provider's, else of those who invented the dialects."""
    return [partial(listed, provider) for provider in providers_at(base_url, dialects)]


def windows_at(base_url: str, dialects: Sequence[str]) -> list[Callable[[str], int | None]]:
    """The context windows of models, in tokens, as those lists have them."""
    return [partial(window_of, provider) for provider in providers_at(base_url, dialects)]


def window_of(provider: Provider, name: str) -> int | None:
    """How much the model that a provider knows by this name reads and writes together; None if the list is silent."""
    model = provider.find_model(name, all_providers=providers)
    return None if model is None else model.context_window


def providers_at(base_url: str, dialects: Sequence[str]) -> list[Provider]:
    for provider in providers:
        if re.match(provider.api_pattern, base_url):
            return [provider]
    return [provider for provider in providers if provider.id in dialects]


def listed(provider: Provider, name: str) -> list[Price]:
    """The prices of the model that a provider knows by this name, by date; empty if the list has none."""
    model = provider.find_model(name, all_providers=providers)
    if model is None:
        return []
    conditions = [ConditionalPrice(prices=model.prices)] if isinstance(model.prices, ModelPrice) else model.prices
    found = []
    for day in _days(conditions):
        rates = [_rates(each, provider, model) for each in _on(day, conditions)]
        known = [each for each in rates if each is not None]
        if len(known) < len(rates):
            return []
        services = _services(day, conditions, provider, model)
        found.append(Price(_id(provider, model, day), name, _ms(day), reduce(dearest, known), services))
    return found


def _services(
    day: date, conditions: Sequence[ConditionalPrice], provider: Provider, model: ModelInfo
) -> tuple[tuple[str, Rates], ...]:
    """The rates of other services on a day, as far as the list has them."""
    found = []
    for word, when in _SERVICES.items():
        priced = [_varied(each, model, when, day) for each in _on(day, conditions)]
        rates = [_rates(each, provider, model) for each in priced if each is not None]
        known = [each for each in rates if each is not None]
        if priced and len(known) == len(priced):
            found.append((word, reduce(dearest, known)))
    return tuple(found)


def _varied(standard: ModelPrice, model: ModelInfo, when: Sequence[Mapping[str, str]], day: date) -> ModelPrice | None:
    """A price as it is for another service: what the list says of that, else the standard; None if it says nothing."""
    named = [variant for variant in model.price_variants or () if variant.when in when and _says(variant)]
    begun = [variant for variant in named if _begins(variant) <= day]
    said = begun or [variant for variant in named if _begins(variant) == min(map(_begins, named))]
    if not said:
        return None
    varied = copy(standard)
    for variant in reversed(said):  # of several the first counts
        vars(varied).update({kind: value for kind, value in vars(variant.prices).items() if value is not None})
    return varied


def _says(variant: PriceVariant) -> bool:
    by_the_hour = isinstance(variant.constraint, TimeOfDateConstraint)
    return not by_the_hour and any(value is not None for value in vars(variant.prices).values())


def _begins(variant: PriceVariant) -> date:
    """Before a service's first price that one counts, too: it is nearer than a factor."""
    return variant.constraint.start_date if isinstance(variant.constraint, StartDateConstraint) else _FIRST_DAY


def _days(conditions: Sequence[ConditionalPrice]) -> list[date]:
    """The days on which the price changes, UTC; the first is that of all time before."""
    named = {
        each.constraint.start_date
        for each in conditions
        if each.constraint is not None and not isinstance(each.constraint, TimeOfDateConstraint)
    }
    return sorted({_FIRST_DAY, *named})


def _on(day: date, conditions: Sequence[ConditionalPrice]) -> list[ModelPrice]:
    """The prices that may hold at some hour of the day. The last that applies counts; else the first of all does."""
    hourly = []
    for each in reversed(conditions):
        if isinstance(each.constraint, TimeOfDateConstraint):
            hourly.append(each.prices)
        elif each.constraint is None or each.constraint.start_date <= day:
            return [*hourly, each.prices]
    return [*hourly, conditions[0].prices]


def _id(provider: Provider, model: ModelInfo, day: date) -> str:
    since = "" if day == _FIRST_DAY else f"@{day.isoformat()}"
    return f"genai:{provider.id}/{model.id}{since}"


def _ms(day: date) -> int:
    return (day - _FIRST_DAY).days * 86_400_000


def _rates(price: ModelPrice, provider: Provider, model: ModelInfo) -> Rates | None:
    said: dict[str, Decimal | TieredPrices] = {kind: value for kind, value in vars(price).items() if value is not None}
    if not said:
        return Rates() if model.id.endswith(":free") or (provider.id, model.id) in _FREE else None
    if not said.keys() & _MEASURED:
        return None
    starts = {tier.start for value in said.values() if not isinstance(value, Decimal) for tier in value.tiers}
    tiers = tuple(PriceTier(start, _with_input(start + 1, said)) for start in sorted(starts))
    return replace(_with_input(0, said), tiers=tiers)


def _with_input(tokens: int, said: Mapping[str, Decimal | TieredPrices]) -> Rates:
    """The rates of a request with so many input tokens."""
    usd = {kind: _step(value, tokens) for kind, value in said.items()}
    spoken = usd.get("input_mchars", _NOTHING) * CHARACTERS_A_TOKEN
    read = usd.get("input_mtok", spoken)
    return Rates(
        input=_micro(read),
        output=_micro(_most(_OUTPUT, usd)),
        cached=_micro_if(usd.get("cache_read_mtok")),
        cache_write=_micro_if(usd.get("cache_write_mtok", read)),
        cache_write_1h=_micro_if(usd.get("cache_write_1h_mtok")),
        reasoning=_micro_if(usd.get("output_reasoning_mtok")),
        input_audio=_micro_if(usd.get("input_audio_mtok")),
        input_image=_micro_if(usd.get("input_image_mtok")),
        output_text=_micro_if(_text(usd)),
        output_audio=_micro_if(usd.get("output_audio_mtok")),
        output_image=_micro_if(usd.get("output_image_mtok")),
        request=_micro(usd.get("requests_kcount", _NOTHING).scaleb(-3)),
        audio_hour=_micro(_most(_SOUND, usd)),
    )


def _step(value: Decimal | TieredPrices, tokens: int) -> Decimal:
    if isinstance(value, Decimal):
        return value
    passed = [tier.price for tier in value.tiers if tokens > tier.start]
    return passed[-1] if passed else value.base


def _text(usd: Mapping[str, Decimal]) -> Decimal | None:
    """The price of text where a model gives something else, too."""
    if usd.keys().isdisjoint(_BESIDE_TEXT):
        return None
    return usd.get("output_text_mtok", usd.get("output_mtok"))


def _most(kinds: Sequence[str], usd: Mapping[str, Decimal]) -> Decimal:
    return max(usd.get(kind, _NOTHING) for kind in kinds)


def _micro_if(usd: Decimal | None) -> int | None:
    return None if usd is None else _micro(usd)


def _micro(usd: Decimal) -> int:
    """A few listed prices are finer than a micro-USD, because they are quotients: those are rounded."""
    return int((usd * MICRO).to_integral_value(ROUND_HALF_EVEN))
