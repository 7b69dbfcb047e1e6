"""The runtime configuration: limits, prices and groups as decided at run time, in memory and in step with the store.

They are read at every request and changed a few times a month. So each gateway keeps them all, asks every few seconds
for its version, and reads it anew when that has changed. While the store is away everything stays as it is. A
record that cannot be read (written by a newer fairgate, or by hand) is left out and logged once; the others count.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from server.accounting.price_catalogue import Catalogue
from server.config.specs import UpstreamSpec
from server.ledger.limits import Limit, LimitSet, LimitWindow, Scope, Unit, limit_of
from server.ledger.prices import Price, PriceTable, Unpriced, price_body, price_of
from server.ledger.tariff import LISTED, Tariff
from server.policy.aliases import Alias, Aliases, alias_of
from server.policy.groups import Group, Rights, group_of, rights_of
from server.store.base import Record, Store
from server.store.following import Following

log = logging.getLogger("fairgate")

T = TypeVar("T")
ALL_RIGHTS = Rights()
NO_LISTS = Catalogue(lambda url, dialects: ())


class RuntimeConfig:
    """`defaults`: the limits of the settings. `own`: the price file's rows. `catalogue`: the providers' list prices."""

    def __init__(
        self,
        store: Store,
        defaults: Sequence[Limit] = (),
        own: Sequence[Price] = (),
        catalogue: Catalogue = NO_LISTS,
        unpriced: Unpriced = "refuse",
        tariff: Tariff = LISTED,
        aliases: Sequence[Alias] = (),
    ) -> None:
        self._store, self._defaults, self._catalogue, self._unpriced = store, tuple(defaults), catalogue, unpriced
        self._own, self.tariff = tuple(own), tariff
        self._aliases, self.aliases = tuple(aliases), Aliases(aliases)
        self._upstreams: list[UpstreamSpec] = []
        self._decided: tuple[Limit, ...] = ()
        self._following = Following("limits, prices and groups", store.book_version, self._read)
        self._recorded: tuple[Price, ...] = ()
        self.groups: dict[str, Group] = {}
        self._tariffs: dict[str, Tariff] = {}  # of the groups that have prices of their own
        self.notices: tuple[Record, ...] = ()
        self._apply_limits()
        self._apply_prices()

    async def start(self, poll_seconds: float) -> None:
        """Read it now, and from then on whenever it has changed."""
        await self._following.start(poll_seconds)

    @property
    def known(self) -> bool:
        """Whether it has been read. Before that the limits are unknown, so no caller may spend."""
        return self._following.known

    async def close(self) -> None:
        await self._following.close()

    async def sync(self) -> None:
        """Read what has changed since the last time. An outage changes nothing and is logged once."""
        await self._following.sync()

    def rights(self, groups: Sequence[str], now: int) -> Rights:
        """The rights of a person in these groups. `now` is UTC milliseconds."""
        return rights_of(groups, self.groups, now) if groups or self.groups else ALL_RIGHTS

    def tariff_of(self, group: str | None) -> Tariff:
        """The prices beside the model's, where this group pays."""
        return self.tariff if group is None else self._tariffs.get(group, self.tariff)

    @property
    def tariffs(self) -> Mapping[str, Tariff]:
        """The prices beside the model's of the groups that have their own."""
        return MappingProxyType(self._tariffs)

    def prices_digest(self) -> str:
        """A text that changes with the decisions behind the prices."""
        rows = [(price.id, price_body(price)) for price in (*self._own, *self._recorded)]
        beside = [(name, sorted(tariff.tools.items())) for name, tariff in sorted(self._tariffs.items())]
        decided = repr((rows, self._unpriced, beside, sorted(spec.name for spec in self._upstreams)))
        return hashlib.sha256(decided.encode()).hexdigest()

    def know(self, upstream: UpstreamSpec) -> None:
        """An upstream serves from now on: its provider's price list and its monthly cap count."""
        self._upstreams.append(upstream)
        self._apply_limits()
        self._apply_prices()

    def forget(self, upstream: UpstreamSpec) -> None:
        """It serves no more: its cap must not hold for a key that takes its place."""
        self._upstreams.remove(upstream)
        self._apply_limits()
        self._apply_prices()

    def use_prices(self, own: Sequence[Price]) -> None:
        """Take another price file's rows."""
        self._own = tuple(own)
        self._apply_prices()

    async def _read(self) -> None:
        limits = _readable(await self._store.records("limit"), lambda record: limit_of(record.id, record.body))
        prices = _readable(await self._store.records("price"), lambda record: price_of(record.id, record.body))
        groups = _readable(await self._store.records("group"), lambda record: group_of(record.id, record.body))
        aliases = _readable(await self._store.records("alias"), lambda record: alias_of(record.id, record.body))
        self.aliases = Aliases((*self._aliases, *aliases))
        self.notices = tuple(await self._store.records("notice"))
        self.groups = {group.name: group for group in groups}
        self._tariffs = tariffs_of(groups, self.tariff)
        self._recorded = tuple(prices)
        self._decided = tuple(limits)
        self._apply_limits()
        self._apply_prices()

    def _apply_limits(self) -> None:
        decided = {limit.kind for limit in self._decided if limit.scope is Scope.EVERYONE}
        defaults = [limit for limit in self._defaults if limit.kind not in decided]
        self.limits = LimitSet((*defaults, *_caps(self._upstreams), *self._decided))

    def _apply_prices(self) -> None:
        self.window = self._catalogue.windows(self._upstreams)
        base = self._catalogue.base(self._upstreams)
        self.prices = PriceTable((*self._own, *self._recorded), base, self._unpriced)


def tariffs_of(groups: Iterable[Group], tariff: Tariff) -> dict[str, Tariff]:
    """The tariffs of those groups that have prices of their own."""
    return {group.name: tariff.with_tools(group.tool_prices) for group in groups if group.tool_prices}


def _caps(upstreams: Iterable[UpstreamSpec]) -> list[Limit]:
    """An upstream's monthly cap is for all its keys together; where several specs name one, the tightest counts."""
    return [
        Limit(f"cap/{spec.name}", Scope.UPSTREAM, spec.name, Unit.USD, LimitWindow.MONTH, spec.monthly_cap_micro_usd)
        for spec in upstreams
        if spec.monthly_cap_micro_usd is not None
    ]


def _readable(records: Iterable[Record], read: Callable[[Record], T]) -> list[T]:
    found = []
    for record in records:
        try:
            found.append(read(record))
        except ValueError as error:
            log.error("the %s %r is left out: %s", record.kind, record.id, error)
    return found
