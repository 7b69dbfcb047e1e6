"""Upstream keys that were added at run time, wishes for any key, and what providers keep for us, in MongoDB."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from typing import Any

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from server.config.specs import UNSTORED, UpstreamSpec
from server.store.base import AddedKey, IssuedObject, KeyTaken, KeyWish
from server.store.mongo.connect import Connected, Database, Document, together, upsert, verb

_TERMS = tuple(each.name for each in fields(UpstreamSpec) if each.name not in UNSTORED)


async def index_keys(db: Database) -> None:
    await db.issued.create_index("at")


async def count(db: Database, version: str) -> None:
    """Tell that something has changed, after it has."""
    await upsert(db.versions, {"_id": version}, {"$inc": {"version": 1}})


async def version_of(db: Database, version: str) -> int:
    found = await db.versions.find_one({"_id": version})
    return 0 if found is None else int(found["version"])


class MongoKeys(Connected):
    """The `KeyVerbs`."""

    @verb
    async def remember_issued(self, object_ids: Collection[str], issued: IssuedObject) -> None:
        first = {"$setOnInsert": asdict(issued)}
        await together(*(upsert(self._db.issued, {"_id": each}, first) for each in object_ids))

    @verb
    async def issued(self, object_ids: Collection[str]) -> dict[str, IssuedObject]:
        found = await self._db.issued.find({"_id": {"$in": list(object_ids)}}).to_list(None)
        return {each["_id"]: IssuedObject(each["person_id"], each["key"], each["at"]) for each in found}

    @verb
    async def forget_issued(self, before: int) -> int:
        return (await self._db.issued.delete_many({"at": {"$lt": before}})).deleted_count

    @verb
    async def add_key(self, key: AddedKey) -> None:
        values = {"terms": _terms(key.spec), "hint": key.hint, "encrypted": key.encrypted, "added_at": key.added_at}
        try:
            await self._db.added_keys.insert_one({"_id": key.id, **values})
        except DuplicateKeyError:
            raise KeyTaken from None
        await count(self._db, "keys")

    @verb
    async def remove_key(self, key_id: str) -> bool:
        removed = (await self._db.added_keys.delete_one({"_id": key_id})).deleted_count == 1
        await count(self._db, "keys")
        return removed

    @verb
    async def reencrypt_key(self, key_id: str, old: bytes, new: bytes) -> bool:
        unchanged, change = {"_id": key_id, "encrypted": old}, {"$set": {"encrypted": new}}
        replaced = (await self._db.added_keys.update_one(unchanged, change)).matched_count == 1
        await count(self._db, "keys")
        return replaced

    @verb
    async def set_key_terms(self, key_id: str, before: UpstreamSpec, after: UpstreamSpec) -> bool:
        found = await self._db.added_keys.find_one({"_id": key_id})
        if found is None or _added_key(found).spec != before:
            return False
        unchanged, change = {"_id": key_id, "terms": found["terms"]}, {"$set": {"terms": _terms(after)}}
        replaced = (await self._db.added_keys.update_one(unchanged, change)).matched_count == 1
        await count(self._db, "keys")
        return replaced

    @verb
    async def added_keys(self) -> list[AddedKey]:
        oldest_first = [("added_at", ASCENDING), ("_id", ASCENDING)]
        return [_added_key(each) for each in await self._db.added_keys.find().sort(oldest_first).to_list(None)]

    @verb
    async def set_key_paused(self, key_id: str, paused: bool) -> None:
        await self._wish(key_id, {"paused": paused})

    @verb
    async def ask_key_recheck(self, key_id: str, asked_at: int) -> None:
        await self._wish(key_id, {"recheck_at": asked_at})

    @verb
    async def forget_key_wish(self, key_id: str) -> None:
        await self._db.key_wishes.delete_one({"_id": key_id})
        await count(self._db, "keys")

    @verb
    async def key_wishes(self) -> list[KeyWish]:
        wishes = await self._db.key_wishes.find().sort("_id", ASCENDING).to_list(None)
        return [KeyWish(each["_id"], each.get("paused", False), each.get("recheck_at")) for each in wishes]

    @verb
    async def keys_version(self) -> int:
        return await version_of(self._db, "keys")

    async def _wish(self, key_id: str, wish: Mapping[str, Any]) -> None:
        await upsert(self._db.key_wishes, {"_id": key_id}, {"$set": wish})
        await count(self._db, "keys")


def _terms(spec: UpstreamSpec) -> Document:
    return {name: getattr(spec, name) for name in _TERMS}


def _added_key(found: Document) -> AddedKey:
    terms: Document = {
        name: tuple(value) if isinstance(value, list) else value for name, value in found["terms"].items()
    }
    return AddedKey(
        id=found["_id"],
        spec=UpstreamSpec(keys=(), **terms),
        hint=found["hint"],
        encrypted=found["encrypted"],
        added_at=found["added_at"],
    )
