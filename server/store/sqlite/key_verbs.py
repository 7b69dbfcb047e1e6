"""The verbs of the embedded store about upstream keys (`keys.py` has the SQL)."""

from __future__ import annotations

from collections.abc import Collection

from server.config.specs import UpstreamSpec
from server.store.base import AddedKey, IssuedObject, KeyWish
from server.store.sqlite import keys as key_queries
from server.store.sqlite.worker import Worker


class SqliteKeys:
    """The `KeyVerbs`."""

    _writer: Worker
    _lookups: Worker
    _reports: Worker

    async def remember_issued(self, object_ids: Collection[str], issued: IssuedObject) -> None:
        await self._writer.do(lambda db: key_queries.remember_issued(db, object_ids, issued))

    async def issued(self, object_ids: Collection[str]) -> dict[str, IssuedObject]:
        return await self._lookups.do(lambda db: key_queries.issued(db, object_ids))

    async def forget_issued(self, before: int) -> int:
        return await self._writer.do(lambda db: key_queries.forget_issued(db, before))

    async def add_key(self, key: AddedKey) -> None:
        await self._writer.do(lambda db: key_queries.add_key(db, key))

    async def remove_key(self, key_id: str) -> bool:
        return await self._writer.do(lambda db: key_queries.remove_key(db, key_id))

    async def reencrypt_key(self, key_id: str, old: bytes, new: bytes) -> bool:
        return await self._writer.do(lambda db: key_queries.reencrypt_key(db, key_id, old, new))

    async def set_key_terms(self, key_id: str, before: UpstreamSpec, after: UpstreamSpec) -> bool:
        return await self._writer.do(lambda db: key_queries.set_key_terms(db, key_id, before, after))

    async def added_keys(self) -> list[AddedKey]:
        return await self._reports.do(key_queries.added_keys)

    async def set_key_paused(self, key_id: str, paused: bool) -> None:
        await self._writer.do(lambda db: key_queries.set_key_paused(db, key_id, paused))

    async def ask_key_recheck(self, key_id: str, asked_at: int) -> None:
        await self._writer.do(lambda db: key_queries.ask_key_recheck(db, key_id, asked_at))

    async def forget_key_wish(self, key_id: str) -> None:
        await self._writer.do(lambda db: key_queries.forget_key_wish(db, key_id))

    async def key_wishes(self) -> list[KeyWish]:
        return await self._reports.do(key_queries.key_wishes)

    async def keys_version(self) -> int:
        return await self._lookups.do(key_queries.keys_version)
