"""What the providers of our upstreams list for a model, as the base under the operator's own prices.

When a request's money is kept for it, nobody knows yet which key will serve it. So a model has one price here, not one
for each upstream: where several serve it and their lists differ, the dearest of each kind counts. Nobody else's list is
asked: a model by the same name costs something else elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, reduce
from typing import Protocol

from server.ledger.prices import Base, Price, Timeline, dearest, dearest_services

MODELS_KEPT = 4096  # names come from callers, so they are not kept without end

# What one list has asked for a model over time; empty if it does not have it.
PriceList = Callable[[str], Sequence[Price]]

# The lists that hold at an address for its dialects.
Lists = Callable[[str, Sequence[str]], Sequence[PriceList]]


class Served(Protocol):
    """What must be known of an upstream; an `UpstreamSpec` is one. No `models` means any."""

    @property
    def dialects(self) -> tuple[str, ...]: ...
    @property
    def base_url(self) -> str: ...
    @property
    def models(self) -> tuple[str, ...]: ...


class Catalogue:
    """Price lists of providers."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    @classmethod
    def load(cls) -> Catalogue:
        """The lists that come with genai-prices. Takes a quarter of a second and 25 MB: call it in a thread."""
        from server.accounting.provider_prices import lists_at

        return cls(lists_at)

    def base(self, upstreams: Iterable[Served]) -> Base:
        """Prices by model and time (UTC ms) at these upstreams."""
        offers = self._offers(upstreams)

        @lru_cache(maxsize=MODELS_KEPT)
        def timeline(model: str) -> Timeline:
            found = [prices(model) for prices, models in offers if not models or model in models]
            return Timeline(_together([prices for prices in found if prices]))

        return lambda model, at_ms: timeline(model).at(at_ms)

    def _offers(self, upstreams: Iterable[Served]) -> list[tuple[PriceList, tuple[str, ...]]]:
        """Which lists count for which models. Upstreams that differ by their keys only are one."""
        kinds = dict.fromkeys((each.base_url, each.dialects, each.models) for each in upstreams)
        return [(prices, models) for url, dialects, models in kinds for prices in self._lists(url, dialects)]


def _together(lists: Sequence[Sequence[Price]]) -> Iterator[Price]:
    timelines = [Timeline(prices) for prices in lists]
    for start in sorted({price.valid_from for prices in lists for price in prices}):
        there = [price for timeline in timelines if (price := timeline.at(start))]
        yield replace(reduce(_dearer, there), valid_from=start)


def _dearer(one: Price, other: Price) -> Price:
    """The price that is nowhere below the other; where neither is that, one of both."""
    both, services = dearest(one.rates, other.rates), dearest_services(one, other)
    for price in (one, other):
        if both == dearest(price.rates, price.rates) and services == dearest_services(price, price):
            return price
    return Price(f"{one.id}|{other.id.removeprefix('genai:')}", one.model, one.valid_from, both, services)
