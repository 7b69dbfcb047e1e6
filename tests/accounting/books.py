"""Where the books are kept, what an operator writes there, and how they are read again when the gateway has gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from server.auth.accounts import Accounts, pepper_for
from server.config.specs import Secret
from server.http.services import GatewayServices
from server.ledger.limits import Limit, LimitWindow, Scope, Unit, limit_body
from server.ledger.prices import Price, price_body
from server.ledger.usage import UsageRow
from server.store import store_for
from server.store.base import Record, Store
from server.wire.usage import Usage
from tests.fakes.wire import Wire

PEPPER = "the pepper of these tests, which is long enough"
FOR_EVER = 10**15  # UTC milliseconds
ALL = 1_000_000  # rows: more than any test writes
USD = 1_000_000  # micro-USD


@dataclass(frozen=True)
class Place:
    """A store's URL, and a folder for what is kept beside it."""

    url: str
    folder: Path

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    @property
    def settings(self) -> dict[str, Any]:
        """For a gateway in this process."""
        return {"store_url": self.url, "journal": str(self.journal), "token_pepper": Secret(PEPPER)}

    @property
    def environment(self) -> dict[str, str]:
        """For one of its own."""
        return {"STORE_URL": self.url, "JOURNAL": str(self.journal), "TOKEN_PEPPER": PEPPER}

    def through(self, wire: Wire) -> Place:
        """The same, by way of a wire, and by no other: the server tells its own address to whoever asks."""
        scheme, _, path, _, _ = urlsplit(self.url)
        return replace(self, url=urlunsplit((scheme, f"127.0.0.1:{wire.port}", path, "directConnection=true", "")))

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        """The store, beside whoever else uses it."""
        async with store_for(self.url) as store:
            yield store

    async def welcome(self, *names: str) -> list[str]:
        """New people, before there is a gateway; their tokens."""
        async with self.opened() as store:
            accounts = self._accounts(store)
            for name in names:
                await accounts.create_person(name)
            return [(await accounts.create_token(name, "test"))[1] for name in names]

    async def tokens(self, name: str, number: int) -> list[tuple[str, str]]:
        """So many new tokens of a person: ids and secrets."""
        async with self.opened() as store:
            made = [self._accounts(store).create_token(name, "test") for _ in range(number)]
            return [(token.id, secret) for token, secret in await asyncio.gather(*made)]

    def _accounts(self, store: Store) -> Accounts:
        return Accounts(store, "user_token", "", pepper_for(self.url, PEPPER))


async def put_limits(services: GatewayServices, *limits: Limit) -> None:
    await write_limits(services.store, *limits)
    await services.book.sync()


async def put_prices(services: GatewayServices, *prices: Price) -> None:
    await write_prices(services.store, *prices)
    await services.book.sync()


async def write_limits(store: Store, *limits: Limit) -> None:
    for limit in limits:
        await store.put_record(Record("limit", limit.id, limit_body(limit)))


async def write_prices(store: Store, *prices: Price) -> None:
    for price in prices:
        await store.put_record(Record("price", price.id, price_body(price)))


async def person_id(store: Store, name: str) -> str:
    person = await store.person_by_name(name)
    assert person is not None
    return person.id


def budget(scope: Scope, subject: str, unit: Unit, amount: int, **more: Any) -> Limit:
    """A limit for all time, so that no midnight comes in between."""
    values: dict[str, Any] = {"window": LimitWindow.EVER, **more}
    name = f"{scope}-{subject}-{unit}-{values['window']}"
    return Limit(id=name, scope=scope, subject=subject, unit=unit, amount=amount, **values)


def counter(owner: str, unit: Unit) -> str:
    """The counter of a budget for all time; the owner is such as "person:usr_1"."""
    return f"{owner}/{unit}/*/ever/ever"


def worth(price: Price, usage: Usage) -> int:
    """Micro-USD, as a person with a pencil computes it: in fractions, rounded once and half to even."""
    rates = price.rates
    cached = rates.input if rates.cached is None else rates.cached
    written = -(-rates.input * 5 // 4) if rates.cache_write is None else rates.cache_write
    fresh = usage.input - usage.cached - usage.cache_write
    tokens = fresh * rates.input + usage.cached * cached + usage.cache_write * written + usage.output * rates.output
    return round(rates.request * bool(usage.input) + Fraction(tokens, 1_000_000))


async def all_rows(store: Store) -> list[UsageRow]:
    return await store.usage_rows(0, ALL)


async def assert_all_quiet(store: Store, journal: Path) -> None:
    """Nobody holds anything, also in escrow, and the journal has nothing that the store does not have."""
    assert await store.reserved() == 0
    assert await store.release_expired(FOR_EVER) == 0
    assert not list(journal.glob("*.journal"))
