"""The operator's records in MongoDB: decisions, who changed what, and contents that people know to be kept.

What JSON can say is kept as JSON: names with dots and dollars and numbers of any size come back as they went.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from server.ledger.reports import Cursor
from server.store.base import DONE, Audit, Content, Record
from server.store.mongo.connect import Connected, Database, Document, upsert, verb
from server.store.mongo.keys import count, version_of

_CONTENT = tuple(each.name for each in fields(Content) if each.name != "request_id")


async def index_book(db: Database) -> None:
    await db.records.create_index([("kind", ASCENDING), ("id", ASCENDING)], unique=True)
    await db.audits.create_index([("at", DESCENDING), ("_id", DESCENDING)])
    await db.audits.create_index(
        [("target", ASCENDING), ("action", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)]
    )
    await db.contents.create_index([("person_id", ASCENDING), ("at", ASCENDING)])


class MongoRecords(Connected):
    """The `RecordVerbs`."""

    @verb
    async def put_record(self, record: Record) -> None:
        name = {"kind": record.kind, "id": record.id}
        await upsert(self._db.records, name, {"$set": {"body": _json(record.body)}})
        await count(self._db, "book")

    @verb
    async def swap_record(self, before: Record | None, after: Record | None) -> bool:
        record = after or before
        assert record is not None, "one of the two is a record"
        name = {"kind": record.kind, "id": record.id}
        kept = await self._db.records.find_one(name)
        if (None if kept is None else json.loads(kept["body"])) != (None if before is None else _plain(before)):
            return False
        swapped = await self._swapped(name, None if kept is None else kept["body"], after)
        await count(self._db, "book")
        return swapped

    async def _swapped(self, name: Document, kept: str | None, after: Record | None) -> bool:
        """As it was read, or it is left alone."""
        same = {**name, "body": kept}
        if after is None:
            return (await self._db.records.delete_one(same)).deleted_count == 1
        if kept is not None:
            return (await self._db.records.update_one(same, {"$set": {"body": _json(after.body)}})).matched_count == 1
        try:
            await self._db.records.insert_one({**name, "body": _json(after.body)})
        except DuplicateKeyError:
            return False
        return True

    @verb
    async def remove_record(self, kind: str, record_id: str) -> bool:
        removed = (await self._db.records.delete_one({"kind": kind, "id": record_id})).deleted_count == 1
        await count(self._db, "book")
        return removed

    @verb
    async def record(self, kind: str, record_id: str) -> Record | None:
        found = await self._db.records.find_one({"kind": kind, "id": record_id})
        return None if found is None else Record(kind, record_id, json.loads(found["body"]))

    @verb
    async def records(self, kind: str) -> list[Record]:
        found = await self._db.records.find({"kind": kind}).sort("id", ASCENDING).to_list(None)
        return [Record(kind, each["id"], json.loads(each["body"])) for each in found]

    @verb
    async def book_version(self) -> int:
        return await version_of(self._db, "book")

    @verb
    async def append_audit(self, entry: Audit) -> None:
        plain = {name: getattr(entry, name) for name in ("at", "actor", "action", "target")}
        states = {"before": _json(entry.before), "after": _json(entry.after), "outcome": entry.outcome}
        with suppress(DuplicateKeyError):
            await self._db.audits.insert_one({"_id": entry.id, **plain, **states})

    @verb
    async def rewrite_audit(self, entry: Audit) -> None:
        states = {"before": _json(entry.before), "after": _json(entry.after)}
        await self._db.audits.update_one({"_id": entry.id}, {"$set": states})

    @verb
    async def audit(self, entry_id: str) -> Audit | None:
        found = await self._db.audits.find_one({"_id": entry_id})
        return None if found is None else _audit(found)

    @verb
    async def audits(self, cursor: Cursor | None, limit: int) -> list[Audit]:
        newest_first = [("at", DESCENDING), ("_id", DESCENDING)]
        found = self._db.audits.find(_behind(cursor)).sort(newest_first).limit(limit)
        return [_audit(each) for each in await found.to_list(None)]

    @verb
    async def audits_about(self, target: str, action: str, limit: int) -> list[Audit]:
        newest_first = [("at", DESCENDING), ("_id", DESCENDING)]
        found = self._db.audits.find({"target": target, "action": action}).sort(newest_first).limit(limit)
        return [_audit(each) for each in await found.to_list(None)]

    @verb
    async def keep_content(self, content: Content) -> None:
        values = {name: getattr(content, name) for name in _CONTENT}
        with suppress(DuplicateKeyError):
            await self._db.contents.insert_one({"_id": content.request_id, **values})

    @verb
    async def contents(self, person_id: str) -> list[Content]:
        oldest_first = [("at", ASCENDING), ("_id", ASCENDING)]
        found = await self._db.contents.find({"person_id": person_id}).sort(oldest_first).to_list(None)
        return [Content(each["_id"], **{name: each[name] for name in _CONTENT if name in each}) for each in found]

    @verb
    async def forget_contents(self, person_id: str) -> int:
        return (await self._db.contents.delete_many({"person_id": person_id})).deleted_count


def _behind(cursor: Cursor | None) -> Document:
    if cursor is None:
        return {}
    at, last = cursor
    return {"at": {"$lte": at}, "$or": [{"at": {"$lt": at}}, {"_id": {"$lt": last}}]}


def _plain(record: Record) -> Any:
    """A body as it comes back."""
    return json.loads(_json(record.body))


def _json(body: Mapping[str, Any] | None) -> str:
    return json.dumps(body if body is None else dict(body))


def _audit(found: Document) -> Audit:
    before, after = json.loads(found["before"]), json.loads(found["after"])
    outcome = found.get("outcome", DONE)
    return Audit(found["_id"], found["at"], found["actor"], found["action"], found["target"], before, after, outcome)
