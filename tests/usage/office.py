"""A gateway whose ledger holds a few known requests: what its people are told of them is what is tested."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from yarl import URL

from server.http.services import GatewayServices
from server.ledger.quota import Settlement
from server.ledger.usage import Outcome, UsageRow
from server.ledger.when import instant
from server.store.base import Record, Store
from tests.fakes.upstream import FakeUpstream
from tests.gateways import exchanged, gateway
from tests.usage.rows import BERLIN, row

NOW = "2026-11-21T12:00:00Z"
MANY = 600  # requests of `dora`: more than a page of an export


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def table(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.text, newline="")))

    @property
    def refusal(self) -> tuple[int, str, str | None]:
        error = self.json["error"]
        return self.status, error["code"], error["param"]


@dataclass
class Office:
    """`tokens` and `ids` of ada, bob, dora, eve and the administrator boss; `rows` of ada and bob by a short name.

    Eve's only row is so old that it has been purged.
    """

    url: str
    services: GatewayServices
    tokens: dict[str, str]
    ids: dict[str, str]
    rows: dict[str, UsageRow]

    async def get(self, path: str, who: str = "ada", **headers: str) -> Answer:
        """Ask with a path and a query just as they are written."""
        named = {"Authorization": f"Bearer {self.tokens[who]}", **headers}
        address = URL(self.url + path, encoded=True)
        async with aiohttp.ClientSession() as session, session.get(address, headers=named) as answer:
            text = await answer.text()
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, text)

    def with_store(self, store: Any) -> AbstractContextManager[None]:
        """Another store for what is asked meanwhile."""
        return exchanged(self.services, store=store)

    @asynccontextmanager
    async def with_record(self, record: Record) -> AsyncIterator[None]:
        """Something that the operator decided, for as long as this lasts."""
        await self.services.store.put_record(record)
        await self.services.book.sync()
        try:
            yield
        finally:
            await self.services.store.remove_record(record.kind, record.id)
            await self.services.book.sync()

    def with_settings(self, **changes: Any) -> AbstractContextManager[None]:
        return exchanged(self.services, settings=replace(self.services.settings, **changes))


@asynccontextmanager
async def open_office() -> AsyncIterator[Office]:
    async with FakeUpstream() as fake, gateway(fake, timezone=BERLIN.tz) as running:
        services, rows = running.services, _rows()
        ids, tokens = {}, {"ada": running.token, "nobody": "fg_nobody"}
        for name in ("bob", "dora", "eve", "boss"):
            tokens[name] = await running.token_of(name)
        for person in await services.store.people():
            ids[person.name] = person.id
        await services.store.update_person(ids["boss"], {"admin": True})
        await services.store.update_person(ids["ada"], {"groups": ("physics", "choir")})
        owners = {"bob": "bob", "formula": "bob"}
        rows = {name: replace(each, person_id=ids[owners.get(name, "ada")]) for name, each in rows.items()}
        many = [row("2026-10-01T00:00:00Z", person_id=ids["dora"], model_asked="bulk") for _ in range(MANY)]
        old = row("2020-01-15T00:00:00Z", person_id=ids["eve"])
        await asyncio.gather(*(services.store.settle(Settlement(each)) for each in (*rows.values(), *many, old)))
        await services.store.purge_usage(instant("2020-02-01T00:00:00Z"), 10)
        yield Office(running.url, services, tokens, ids, rows)


def _rows() -> dict[str, UsageRow]:
    """Midnight in Berlin is 23:00 UTC in winter."""
    return {
        "month": row("2026-11-03T10:00:00Z", token_id="tok_2", cost_micro_usd=500_000),
        "last": row("2026-11-20T22:59:59.999Z"),
        "first": row("2026-11-20T23:00:00Z", group="choir"),
        "cut": row(
            "2026-11-21T06:05:00Z",
            status=Outcome.CUT,
            error="upstream_disconnected",
            model_asked="claude",
            group=None,
            cost_micro_usd=75,
        ),
        "bob": row("2026-11-21T07:00:00Z", group="chemistry", token_id="tok_bob"),
        "formula": row("2026-09-01T07:00:00Z", group="chemistry", model_asked='=HYPERLINK("//evil","x")'),
    }


def budget(person_id: str) -> Record:
    """12.50 USD a month for one person."""
    cap = {"scope": "person", "subject": person_id, "unit": "usd", "window": "month", "amount": 12_500_000}
    return Record("limit", "lim_1", cap)


class Delegate:
    """A store that answers as another one, but for what a subclass says."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.store, verb)
