"""The interface of SSEHUB's openai-api-proxy (Java): prices by model, sums, every query, what is left of the limits.

There any caller may read and write everything. Here administrators write prices, and people read their own figures;
all figures only within the networks that the operator trusts (`CompatHandler.reader`). Amounts are
numbers in dollars, because that interface has them; they are divided once, from integers, when they are written out.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
from tornado.iostream import StreamClosedError

from keypool.domains import Left
from keypool.limits import LimitMeasure
from server.admin.changes import Changes
from server.http.compat.base import CompatHandler
from server.ledger.money import MICRO, MOST
from server.ledger.prices import Price, Rates
from server.ledger.reports import By, Cursor, Sum, Which
from server.ledger.usage import Outcome, UsageRow
from server.ledger.when import instant
from server.store.base import Store
from server.wire.errors import InvalidValue, MissingParameter, PermissionDenied, UnknownId, UnknownModel, UnknownUrl

PER_1K = 10**9  # micro-USD per million tokens in one dollar per thousand
PAGE = 500  # rows
FAILED = frozenset({Outcome.FAILED, Outcome.REJECTED})  # no answer was given: there they are not recorded at all
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SDKS = frozenset({"x-stainless-lang", "anthropic-version"})  # headers of the official SDKs
BARE_HOURS = re.compile(r"T.*[+ -]\d\d", re.ASCII)


class ModelPrices(CompatHandler):
    """`/model/{name}`: what the operator wrote about a model's price."""

    async def get(self, name: str) -> None:
        await self.reader()
        found = [price for price in await own_prices(self.services.changes) if price.model == name]
        if not found:
            raise UnknownModel
        self.finish(model_json(name, found))

    async def post(self, name: str) -> None:
        """Write a price; one from the same time on is replaced."""
        caller = await self.authenticate_admin()
        price = price_in(self.document(), name)
        old = next((each for each in await own_prices(self.services.changes) if is_same_time(each, price)), None)
        await self.services.changes.set_price(caller.person_id, replace(price, id=old.id) if old else price)
        await self.services.take_effect()
        self.finish()


class AllPrices(CompatHandler):
    """`GET /models`: all of them.

    An SDK whose base URL lacks its `/v1` asks here for models, and would understand the list as one of none.
    """

    async def get(self) -> None:
        if not _SDKS.isdisjoint(map(str.lower, self.request.headers)):
            raise UnknownUrl
        await self.reader()
        by_model: dict[str, list[Price]] = {}
        for price in await own_prices(self.services.changes):
            by_model.setdefault(price.model, []).append(price)
        if not by_model:
            raise UnknownUrl
        self.set_header("Content-Type", "application/json")
        self.finish(orjson.dumps([model_json(name, prices) for name, prices in sorted(by_model.items())]))


class FilteredHandler(CompatHandler):
    """Reads `user`, `after` and `before`, both exclusive as there."""

    async def question(self) -> Which:
        """The rows that are asked for. Raises InvalidValue, PermissionDenied, UnknownId."""
        reader = await self.reader()
        after, before = self._instant("after"), self._instant("before")
        name = self.argument("user")
        if reader is None and name is not None:
            person = await self.services.store.person_by_name(name)
            if person is None:
                raise UnknownId
            whose: str | None = person.id
        elif reader is not None and name not in (None, reader.person_name):
            raise PermissionDenied
        else:
            whose = reader.person_id if reader else None
        return Which(person_id=whose, after=None if after is None else after + 1, before=before)

    def _instant(self, name: str) -> int | None:
        text = self.argument(name)
        try:
            return None if text is None else instant(text + ":00" if BARE_HOURS.search(text, len(text) - 9) else text)
        except ValueError:
            raise InvalidValue(name) from None


class UsageSums(FilteredHandler):
    """`GET /usage`"""

    async def get(self) -> None:
        sums = await self.services.store.usage_sums(await self.question(), (By.STATUS,))
        self.finish(usage_json([each for each in sums if each.key[0] not in FAILED]))


class Queries(FilteredHandler):
    """`GET /queries`: every one of them, the oldest first, with flat memory."""

    async def get(self) -> None:
        question = await self.question()
        names = {person.id: person.name for person in await self.services.store.people()}
        self.set_header("Content-Type", "application/json")
        begin = b"["
        try:
            async for page in _pages(self.services.store, question):
                parts = [orjson.dumps(query_json(row, names.get)) for row in page if row.status not in FAILED]
                if parts:
                    self.write(begin + b",".join(parts))
                    begin = b","
                    await self.flush()
            self.finish(b"[]" if begin == b"[" else b"]")
        except StreamClosedError:
            return  # the client has gone


class UpstreamLimits(CompatHandler):
    """`GET /ratelimits`: what is left of the limits of all keys together, as far as they are known."""

    async def get(self) -> None:
        await self.reader()
        wall, domains = self.services.wall(), self.services.dispatcher.snapshot().domains
        self.finish(
            {
                measure.value: left_json([each.limits[measure] for each in domains if measure in each.limits], wall)
                for measure in (LimitMeasure.TOKENS, LimitMeasure.REQUESTS)
            }
        )


async def own_prices(changes: Changes) -> list[Price]:
    """The prices that were written at run time, by the time from which they hold."""
    return sorted(await changes.prices(), key=lambda price: price.valid_from)


def price_in(document: dict[str, Any], model: str) -> Price:
    """The price that a body tells. Raises MissingParameter, InvalidValue."""
    for name in ("validFrom", "per1KQueryTokens", "per1KAnswerTokens"):
        if name not in document:
            raise MissingParameter(name)
    try:
        valid_from = instant(document["validFrom"] if isinstance(document["validFrom"], str) else "")
    except ValueError:
        raise InvalidValue("validFrom") from None
    rates = Rates(input=_rate(document, "per1KQueryTokens"), output=_rate(document, "per1KAnswerTokens"))
    return Price(f"{model}@{moment(valid_from)}", model, valid_from, rates)


def is_same_time(one: Price, other: Price) -> bool:
    """Whether one price stands in the other's place."""
    return (one.model, one.valid_from) == (other.model, other.valid_from)


def model_json(name: str, prices: Iterable[Price]) -> dict[str, Any]:
    costs = [
        {
            "validFrom": moment(price.valid_from),
            "per1KQueryTokens": price.rates.input / PER_1K,
            "per1KAnswerTokens": price.rates.output / PER_1K,
        }
        for price in prices
    ]
    return {"name": name, "costs": costs}


def usage_json(sums: Iterable[Sum]) -> dict[str, Any]:
    """Sums in the words of that interface. The average of no queries is 0."""
    parts = list(sums)
    queries, spent = sum(part.requests for part in parts), sum(part.cost_micro_usd for part in parts)
    return {
        "numQueries": queries,
        "queryTokens": sum(part.input for part in parts),
        "answerTokens": sum(part.output for part in parts),
        "cost": spent / MICRO,
        "averageCostPerQuery": spent / (queries * MICRO) if queries else 0,
    }


def query_json(row: UsageRow, name_of: Callable[[str], str | None]) -> dict[str, Any]:
    return {
        "user": name_of(row.person_id) or row.person_id,
        "model": row.model_served or row.model_asked,
        "timestamp": moment(row.started_at),
        "queryTokens": row.usage.input,
        "answerTokens": row.usage.output,
        "cost": row.cost_micro_usd / MICRO,
    }


def left_json(limits: Collection[Left], wall: int) -> dict[str, Any] | None:
    """Limits added up; None if none is known. `wall` is UTC milliseconds."""
    if not limits:
        return None
    return {
        "maximum": round(sum(each.capacity for each in limits)),
        "remaining": int(sum(max(0.0, each.level) for each in limits)),
        "reset": moment(wall + round(max(each.full_in for each in limits) * 1000)),
    }


def moment(ms: int) -> str:
    """An instant as Java writes it: "2023-11-06T00:00:00Z", with milliseconds only if there are some."""
    text = (EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds" if ms % 1000 else "seconds")
    return text.replace("+00:00", "Z")


def _rate(document: dict[str, Any], name: str) -> int:
    """Micro-USD per million tokens of a number in dollars per thousand: exactly as it was written."""
    value = document[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MOST // PER_1K:
        raise InvalidValue(name)
    rate = Decimal(str(value)) * PER_1K
    if rate != int(rate):
        raise InvalidValue(name)
    return int(rate)


async def _pages(store: Store, question: Which) -> AsyncIterator[list[UsageRow]]:
    cursor: Cursor | None = None
    while page := await store.usage_after(question, cursor, PAGE):
        yield page
        cursor = (page[-1].started_at, page[-1].request_id)
