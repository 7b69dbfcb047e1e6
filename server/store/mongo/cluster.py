"""Gateways and what they share, in MongoDB: one document each. Bodies are kept as JSON."""

from __future__ import annotations

import json

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from server.store.cluster_verbs import GatewayRecord, SharedDocument, Versions
from server.store.mongo.connect import Connected, Document, upsert, verb


class MongoCluster(Connected):
    """The `ClusterVerbs`."""

    @verb
    async def beat(self, gateway: GatewayRecord) -> None:
        values = {"beats": gateway.beats, "body": json.dumps(dict(gateway.body)), "gone_at": gateway.gone_at}
        await upsert(self._db.gateways, {"_id": gateway.id}, {"$set": values})

    @verb
    async def gateways(self) -> list[GatewayRecord]:
        found = await self._db.gateways.find().sort("_id", ASCENDING).to_list(None)
        return [_gateway(each) for each in found]

    @verb
    async def mark_gone(self, gateway: GatewayRecord, gone_at: int) -> bool:
        as_seen = {"_id": gateway.id, "beats": gateway.beats, "gone_at": None}
        return (await self._db.gateways.update_one(as_seen, {"$set": {"gone_at": gone_at}})).matched_count == 1

    @verb
    async def forget_gateway(self, gateway_id: str) -> bool:
        return (await self._db.gateways.delete_one({"_id": gateway_id})).deleted_count == 1

    @verb
    async def shared_documents(self) -> list[SharedDocument]:
        found = await self._db.shared.find().sort("_id", ASCENDING).to_list(None)
        return [SharedDocument(each["_id"], each["version"], json.loads(each["body"])) for each in found]

    @verb
    async def swap_shared(self, document: SharedDocument) -> bool:
        body = json.dumps(dict(document.body))
        if document.version:
            as_read = {"_id": document.name, "version": document.version}
            change = {"$set": {"body": body}, "$inc": {"version": 1}}
            return (await self._db.shared.update_one(as_read, change)).matched_count == 1
        try:
            await self._db.shared.insert_one({"_id": document.name, "version": 1, "body": body})
        except DuplicateKeyError:
            return False
        return True

    @verb
    async def versions(self) -> Versions:
        found = await self._db.versions.find().to_list(None)
        known = {each["_id"]: int(each["version"]) for each in found}
        return Versions(*(known.get(name, 0) for name in Versions._fields))


def _gateway(found: Document) -> GatewayRecord:
    return GatewayRecord(found["_id"], found["beats"], json.loads(found["body"]), found["gone_at"])
