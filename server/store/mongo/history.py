"""Hours and incidents in MongoDB: a document for each hour, model and writer, and one for each incident."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from pymongo import ASCENDING, ReplaceOne

from server.ledger.history import HOUR_MS, HourRow, figures_of, row_of
from server.policy.incidents import Incident, IncidentKind
from server.store.mongo.connect import Connected, Database, Document, verb


async def index_history(db: Database) -> None:
    await db.hours.create_index([("hour", ASCENDING), ("model", ASCENDING)])
    await db.incidents.create_index("seen_at")


class MongoHistory(Connected):
    """The `HistoryVerbs`."""

    @verb
    async def put_hours(self, writer: str, rows: Sequence[HourRow]) -> None:
        changes = [ReplaceOne({"_id": each["_id"]}, each, upsert=True) for each in (_hour(writer, it) for it in rows)]
        if changes:
            await self._db.hours.bulk_write(changes, ordered=False)

    @verb
    async def hours(self, first: int, last: int) -> list[HourRow]:
        in_order = [("hour", ASCENDING), ("model", ASCENDING), ("_id", ASCENDING)]
        found = self._db.hours.find({"hour": {"$gte": first, "$lte": last}}).sort(in_order)
        return [row_of(each["hour"], each["model"], json.loads(each["figures"])) for each in await found.to_list(None)]

    @verb
    async def put_incidents(self, incidents: Sequence[Incident]) -> None:
        changes = [ReplaceOne({"_id": each.id}, _written(each), upsert=True) for each in incidents]
        if changes:
            await self._db.incidents.bulk_write(changes, ordered=False)

    @verb
    async def incidents(self, since: int) -> list[Incident]:
        found = self._db.incidents.find({"seen_at": {"$gte": since}})
        in_order = found.sort([("began_at", ASCENDING), ("_id", ASCENDING)])
        return [_read(each) for each in await in_order.to_list(None)]

    @verb
    async def forget_history(self, before: int) -> int:
        hours = await self._db.hours.delete_many({"hour": {"$lte": before - HOUR_MS}})
        return hours.deleted_count + (await self._db.incidents.delete_many({"seen_at": {"$lt": before}})).deleted_count


def _hour(writer: str, row: HourRow) -> Document:
    name = f"{row.hour}/{writer}/{row.model}"
    return {"_id": name, "hour": row.hour, "model": row.model, "figures": json.dumps(figures_of(row))}


def _written(incident: Incident) -> Document:
    written = {**asdict(incident), "kind": str(incident.kind)}
    written["_id"] = written.pop("id")
    return written


def _read(found: Document) -> Incident:
    rest = {name: value for name, value in found.items() if name not in ("_id", "kind")}
    return Incident(id=found["_id"], kind=IncidentKind(found["kind"]), **rest)
