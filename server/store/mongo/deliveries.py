"""Messages that are on their way, in MongoDB: one document each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from server.ledger.reports import Cursor
from server.policy.notifications import Channel, Delivery, DeliveryState, EventKind
from server.store.mongo.connect import Connected, Database, Document, verb

_SWAPPED = ("due_at", "state", "tries", "ended_at", "failure")
_AS_READ = ("state", "tries", "due_at")


async def index_deliveries(db: Database) -> None:
    await db.deliveries.create_index([("state", ASCENDING), ("due_at", ASCENDING)])
    await db.deliveries.create_index([("at", DESCENDING), ("_id", DESCENDING)])
    await db.deliveries.create_index([("receiver", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)])


class MongoDeliveries(Connected):
    """The `DeliveryVerbs`."""

    @verb
    async def add_deliveries(self, deliveries: Sequence[Delivery]) -> int:
        added = 0
        for each in deliveries:
            try:
                await self._db.deliveries.insert_one(_written(each))
                added += 1
            except DuplicateKeyError:
                continue
        return added

    @verb
    async def due_deliveries(self, now: int, limit: int) -> list[Delivery]:
        found = self._db.deliveries.find({"state": str(DeliveryState.WAITING), "due_at": {"$lte": now}})
        longest_due_first = found.sort([("due_at", ASCENDING), ("_id", ASCENDING)]).limit(limit)
        return [_read(each) for each in await longest_due_first.to_list(None)]

    @verb
    async def swap_delivery(self, before: Delivery, after: Delivery) -> bool:
        old, new = _written(before), _written(after)
        as_read = {"_id": before.id, **{name: old[name] for name in _AS_READ}}
        change = {"$set": {name: new[name] for name in _SWAPPED}}
        return (await self._db.deliveries.update_one(as_read, change)).matched_count == 1

    @verb
    async def deliveries_before(self, receiver: str | None, cursor: Cursor | None, limit: int) -> list[Delivery]:
        wanted: Document = {} if receiver is None else {"receiver": receiver}
        if cursor is not None:
            at, last = cursor
            wanted["$or"] = [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": last}}]
        newest_first = self._db.deliveries.find(wanted).sort([("at", DESCENDING), ("_id", DESCENDING)])
        return [_read(each) for each in await newest_first.limit(limit).to_list(None)]

    @verb
    async def forget_deliveries_to(self, receiver: str) -> int:
        return (await self._db.deliveries.delete_many({"receiver": receiver})).deleted_count

    @verb
    async def forget_deliveries(self, now: int) -> int:
        return (await self._db.deliveries.delete_many({"kept_until": {"$lt": now}})).deleted_count


def _written(delivery: Delivery) -> Document:
    """`facts` as JSON: names with dots and dollars come back as they went."""
    written: dict[str, Any] = asdict(delivery)
    words = {name: str(written[name]) for name in ("kind", "channel", "state")}
    return {"_id": written.pop("id"), **written, **words, "facts": json.dumps(dict(delivery.facts))}


def _read(found: Document) -> Delivery:
    rest = {name: value for name, value in found.items() if name != "_id"}
    words = {
        "kind": EventKind(rest.pop("kind")),
        "channel": Channel(rest.pop("channel")),
        "state": DeliveryState(rest.pop("state")),
        "facts": json.loads(rest.pop("facts")),
    }
    return Delivery(id=found["_id"], **words, **rest)
