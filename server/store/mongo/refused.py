"""Requests that were refused, in MongoDB: one document each, whose `_id` is the first one's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from pymongo import ASCENDING, DESCENDING, ReplaceOne

from server.ledger.refused import RefusedRequest
from server.ledger.reports import Cursor, Which
from server.store.mongo.connect import Connected, Database, Document, verb


async def index_refused(db: Database) -> None:
    await db.refused.create_index([("first_at", ASCENDING), ("_id", ASCENDING)])
    await db.refused.create_index([("person_id", ASCENDING), ("first_at", ASCENDING), ("_id", ASCENDING)])


class MongoRefused(Connected):
    """The `RefusedVerbs`."""

    @verb
    async def put_refused(self, refused: Sequence[RefusedRequest]) -> None:
        changes = [ReplaceOne({"_id": each.request_id}, _written(each), upsert=True) for each in refused]
        if changes:
            await self._db.refused.bulk_write(changes, ordered=False)

    @verb
    async def refused_before(self, which: Which, cursor: Cursor | None, limit: int) -> list[RefusedRequest]:
        wanted = _chosen(which)
        if cursor is not None:
            at, last = cursor
            wanted = {"$and": [wanted, {"$or": [{"first_at": {"$lt": at}}, {"first_at": at, "_id": {"$lt": last}}]}]}
        newest_first = [("first_at", DESCENDING), ("_id", DESCENDING)]
        found = await self._db.refused.find(wanted).sort(newest_first).limit(limit).to_list(None)
        return [_read(each) for each in found]

    @verb
    async def refused_request(self, request_id: str) -> RefusedRequest | None:
        found = await self._db.refused.find_one({"_id": request_id})
        return None if found is None else _read(found)

    @verb
    async def forget_refused(self, before: int) -> int:
        return (await self._db.refused.delete_many({"first_at": {"$lt": before}})).deleted_count

    @verb
    async def forget_refused_of(self, person_id: str) -> int:
        return (await self._db.refused.delete_many({"person_id": person_id})).deleted_count


def _chosen(which: Which) -> Document:
    named = {"person_id": which.person_id, "token_id": which.token_id, "model": which.model}
    bounds = {word: at for word, at in (("$gte", which.after), ("$lt", which.before)) if at is not None}
    return {name: value for name, value in named.items() if value is not None} | (
        {"first_at": bounds} if bounds else {}
    )


def _written(refused: RefusedRequest) -> Document:
    written = asdict(refused)
    written["_id"] = written.pop("request_id")
    return written


def _read(found: Document) -> RefusedRequest:
    return RefusedRequest(request_id=found["_id"], **{name: value for name, value in found.items() if name != "_id"})
