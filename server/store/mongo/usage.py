"""Usage rows in MongoDB: one document each, whose `_id` is the request's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from pymongo import ASCENDING, DESCENDING, UpdateOne

from server.ledger.quota import Charge, Settlement
from server.ledger.reports import By, Cursor, Figure, Ranking, Sum, Which
from server.ledger.usage import OWN, Outcome, UsageRow
from server.store.base import Totals
from server.store.mongo.connect import Connected, Database, Document, aggregated, verb
from server.store.mongo.sums import OF_ROWS, grouped
from server.wire.usage import Usage

_PLAIN = tuple(each.name for each in fields(UsageRow) if each.name not in ("request_id", "status", "usage"))
_COUNTED = tuple(each.name for each in fields(Usage))
_A_DAY = 86_400_000  # ms
_plain, _counted = attrgetter(*_PLAIN), attrgetter(*_COUNTED)
_BY = {
    By.DAY: "day",
    By.MODEL: "model_asked",
    By.PERSON: "person_id",
    By.GROUP: "group",
    By.TOKEN: "token_id",
    By.STATUS: "status",
    By.KEY: "key",
}
_FIGURES: dict[Figure, Any] = {
    Figure.COST: "$cost_micro_usd",
    Figure.TOKENS: {"$add": ["$usage.input", "$usage.output"]},
    Figure.DURATION: "$duration_ms",
    Figure.WAIT: "$queue_ms",
}


async def index_usage(db: Database) -> None:
    in_time = [("started_at", ASCENDING), ("_id", ASCENDING)]
    await db.usage.create_index(in_time)
    for name in ("person_id", "group"):
        await db.usage.create_index([(name, ASCENDING), *in_time])
    await db.usage.create_index("day")
    await db.usage.create_index("due", sparse=True)  # the few that are being settled


class MongoUsage(Connected):
    """The verbs on rows."""

    @verb
    async def usage(self, request_id: str) -> UsageRow | None:
        found = await self._db.usage.find_one({"_id": request_id})
        return None if found is None else row_of(found)

    @verb
    async def usage_rows(self, since: int, limit: int) -> list[UsageRow]:
        return await self._page(_chosen(Which(after=since)), DESCENDING, limit)

    @verb
    async def usage_after(self, which: Which, cursor: Cursor | None, limit: int) -> list[UsageRow]:
        """Behind a cursor are the rest of its millisecond, and all that is later: each is one range of an index."""
        if cursor is None:
            return await self._page(_chosen(which), ASCENDING, limit)
        at, last = cursor
        rest = await self._page(_of_moment(which, at), ASCENDING, limit, {"$gt": last})
        return rest + await self._page(_chosen(_later(which, at)), ASCENDING, limit - len(rest))

    @verb
    async def usage_before(self, which: Which, cursor: Cursor | None, limit: int) -> list[UsageRow]:
        if cursor is None:
            return await self._page(_chosen(which), DESCENDING, limit)
        at, last = cursor
        rest = await self._page(_of_moment(which, at), DESCENDING, limit, {"$lt": last})
        return rest + await self._page(_chosen(_earlier(which, at)), DESCENDING, limit - len(rest))

    @verb
    async def usage_ranked(self, which: Which, ranking: Ranking, behind: Cursor | None, limit: int) -> list[UsageRow]:
        direction, sign = (DESCENDING, "$lt") if ranking.falling else (ASCENDING, "$gt")
        figure = {"$addFields": {"figure": _FIGURES[ranking.figure]}}
        beyond: list[Document] = [] if behind is None else [{"$match": _beyond(sign, behind)}]
        in_order: list[Document] = [{"$sort": {"figure": direction, "_id": direction}}, {"$limit": limit}]
        drop = {"$project": {"due": 0, "charges": 0}}
        found = await aggregated(self._db.usage, [{"$match": _chosen(which)}, figure, *beyond, *in_order, drop])
        return [row_of(each) for each in found]

    @verb
    async def usage_place(self, which: Which, place: int) -> int | None:
        newest_first = [("started_at", DESCENDING), ("_id", DESCENDING)]
        found = self._db.usage.find(_chosen(which), {"started_at": True}).sort(newest_first).skip(place).limit(1)
        return next((each["started_at"] for each in await found.to_list(None)), None)

    @verb
    async def usage_sums(self, which: Which, by: Sequence[By]) -> list[Sum]:
        return await grouped(self._db.usage, _chosen(which), [_BY[each] for each in by], OF_ROWS)

    @verb
    async def billed(self, after: int, before: int) -> list[Sum]:
        day = {"$subtract": ["$started_at", {"$mod": ["$started_at", _A_DAY]}]}
        key = {"day": day, "upstream": "$upstream", "key": "$key", "model": "$model_served"}
        match = {"started_at": {"$gte": after, "$lt": before}, "key": {"$ne": OWN}}
        found = await aggregated(self._db.usage, [{"$match": match}, {"$group": {"_id": key, **OF_ROWS}}])
        return sorted((_billed(each) for each in found), key=lambda each: each.key)

    @verb
    async def totals(self, since: int) -> Totals:
        match = {"started_at": {"$gte": since}}
        people = await aggregated(self._db.usage, [{"$match": match}, {"$group": {"_id": "$person_id", **OF_ROWS}}])
        requests, used, answered = (sum(each[name] for each in people) for name in ("requests", "input", "output"))
        return Totals(requests, len(people), used, answered)

    @verb
    async def reprice(self, prices: Sequence[tuple[str, int, str | None]]) -> int:
        changes = [
            UpdateOne({"_id": request_id}, {"$set": {"cost_micro_usd": cost, "price_id": price_id}})
            for request_id, cost, price_id in prices
        ]
        return (await self._db.usage.bulk_write(changes, ordered=False)).modified_count if changes else 0

    @verb
    async def purge_usage(self, before: int, limit: int) -> int:
        old = {"started_at": {"$lt": before}, "due": {"$exists": False}}
        oldest = self._db.usage.find(old, {"_id": True}).sort("started_at", ASCENDING).limit(limit)
        ids = [each["_id"] for each in await oldest.to_list(None)]
        return (await self._db.usage.delete_many({"_id": {"$in": ids}})).deleted_count if ids else 0

    async def _page(
        self, match: Document | None, direction: int, limit: int, beyond: Document | None = None
    ) -> list[UsageRow]:
        if match is None or limit <= 0:
            return []  # no limit is what MongoDB would understand
        ids = {} if beyond is None else {"_id": beyond}
        in_time = [("started_at", direction), ("_id", direction)]
        found = self._db.usage.find(match | ids, {"due": False, "charges": False}).sort(in_time).limit(limit)
        return [row_of(each) for each in await found.to_list(None)]


def _beyond(sign: str, behind: Cursor) -> Document:
    figure, last = behind
    return {"$or": [{"figure": {sign: figure}}, {"figure": figure, "_id": {sign: last}}]}


def _billed(found: Document) -> Sum:
    of = found["_id"]
    day = datetime.fromtimestamp(of["day"] / 1000, UTC).date().isoformat()
    return Sum(key=(day, of["upstream"], of["key"], of["model"]), **{name: found[name] for name in OF_ROWS})


def document_of(settlement: Settlement, nonce: str) -> Document:
    """A row as it is written: `charges` tells for ever what it took, `due` names its entries until they are turned."""
    row = settlement.row
    return {
        "_id": row.request_id,
        **dict(zip(_PLAIN, _plain(row), strict=True)),
        "status": row.status.value,
        "usage": dict(zip(_COUNTED, _counted(row.usage), strict=True)),
        "charges": [_charge(charge) for charge in settlement.charges if charge.amount],
        "due": nonce,
    }


def _charge(charge: Charge) -> list[str | int]:
    """Counter and amount, and where some of it was drawn from an escrow: from which, and how much."""
    drawn = (charge.escrow, charge.drawn) if charge.drawn else ()
    return [charge.counter, charge.amount, *drawn]


def row_of(found: Document) -> UsageRow:
    return UsageRow(
        request_id=found["_id"],
        status=Outcome(found["status"]),
        usage=Usage(**found["usage"]),
        **{name: found[name] for name in _PLAIN if name in found},
    )


def _chosen(which: Which) -> Document:
    named = {"person_id": which.person_id, "group": which.group, "token_id": which.token_id, "model_asked": which.model}
    named["key"] = which.key
    named["status"] = None if which.status is None else which.status.value
    chosen: Document = {name: value for name, value in named.items() if value is not None}
    bounds = {word: at for word, at in (("$gte", which.after), ("$lt", which.before)) if at is not None}
    return chosen | ({"started_at": bounds} if bounds else {})


def _of_moment(which: Which, at: int) -> Document | None:
    """Those of the rows that started in this millisecond; None if it is out of bounds."""
    within = (which.after is None or which.after <= at) and (which.before is None or at < which.before)
    return _chosen(replace(which, after=None, before=None)) | {"started_at": at} if within else None


def _later(which: Which, at: int) -> Which:
    return replace(which, after=at + 1 if which.after is None else max(at + 1, which.after))


def _earlier(which: Which, at: int) -> Which:
    return replace(which, before=at if which.before is None else min(at, which.before))
