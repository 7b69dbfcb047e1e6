"""The list prices of the providers of our upstreams, as the base under the operator's own prices.

When a request's money is kept for it, the key that will serve it is not known yet. So a model has one price here, not
one for each upstream: where several serve it and their lists differ, the dearest of each kind counts. No other list is
asked: a model by the same name costs something else elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, reduce
from typing import Protocol, TypeVar

from server.ledger.prices import Base, Price, Timeline, dearest, dearest_services

T = TypeVar("T")
Offer = tuple[T, tuple[str, ...]]  # with the models for which it counts; none of them is all

MODELS_KEPT = 4096  # names come from callers, so they are not kept without end

# The prices of a model in one list over time; empty if the list does not have it.
PriceList = Callable[[str], Sequence[Price]]

# How much a model reads and writes together, in tokens; None where a list does not say.
WindowOf = Callable[[str], int | None]

# The lists that hold at an address for its dialects.
Lists = Callable[[str, Sequence[str]], Sequence[PriceList]]
Windows = Callable[[str, Sequence[str]], Sequence[WindowOf]]


class Served(Protocol):
    """The facts of an upstream that are needed here; an `UpstreamSpec` is one. No `models` means any."""

    @property
    def dialects(self) -> tuple[str, ...]: ...
    @property
    def base_url(self) -> str: ...
    @property
    def models(self) -> tuple[str, ...]: ...


class Catalogue:
    """Price lists of providers."""

    def __init__(self, lists: Lists, windows: Windows = lambda url, dialects: ()) -> None:
        self._lists, self._windows = lists, windows

    @classmethod
    def load(cls) -> Catalogue:
        """The lists that come with genai-prices. Takes a quarter of a second and 25 MB: call it in a thread."""
        from server.accounting.provider_prices import lists_at, windows_at

        return cls(lists_at, windows_at)

    def base(self, upstreams: Iterable[Served]) -> Base:
        """Prices by model and time (UTC ms) at these upstreams."""
        offers = _offers(upstreams, self._lists)

        @lru_cache(maxsize=MODELS_KEPT)
        def timeline(model: str) -> Timeline:
            found = [prices(model) for prices, models in offers if not models or model in models]
            return Timeline(_together([prices for prices in found if prices]))

        return lambda model, at_ms: timeline(model).at(at_ms)

    def windows(self, upstreams: Iterable[Served]) -> WindowOf:
        """The context windows of models at these upstreams: where lists differ, the smallest."""
        offers = _offers(upstreams, self._windows)

        @lru_cache(maxsize=MODELS_KEPT)
        def window(model: str) -> int | None:
            found = [look(model) for look, models in offers if not models or model in models]
            return min((each for each in found if each), default=None)

        return window


def _offers(upstreams: Iterable[Served], lists: Callable[[str, Sequence[str]], Sequence[T]]) -> list[Offer[T]]:
    """The lists, each with the models that it counts for. Upstreams that differ by their keys only are one."""
    kinds = dict.fromkeys((each.base_url, each.dialects, each.models) for each in upstreams)
    return [(each, models) for url, dialects, models in kinds for each in lists(url, dialects)]


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
