"""The SQL about gateways and what they share. Bodies are JSON, which no query asks about."""

from __future__ import annotations

import json
import sqlite3

from server.store.cluster_verbs import GatewayRecord, SharedDocument, Versions
from server.store.sqlite.worker import Worker


class SqliteCluster:
    """The `ClusterVerbs`."""

    _writer: Worker
    _lookups: Worker

    async def beat(self, gateway: GatewayRecord) -> None:
        await self._writer.do_at_once(lambda db: _beat(db, gateway))

    async def gateways(self) -> list[GatewayRecord]:
        return await self._lookups.do(_gateways)

    async def mark_gone(self, gateway: GatewayRecord, gone_at: int) -> bool:
        return await self._writer.do_at_once(lambda db: _mark_gone(db, gateway, gone_at))

    async def forget_gateway(self, gateway_id: str) -> bool:
        return await self._writer.do(lambda db: _forget_gateway(db, gateway_id))

    async def shared_documents(self) -> list[SharedDocument]:
        return await self._lookups.do(_shared_documents)

    async def swap_shared(self, document: SharedDocument) -> bool:
        return await self._writer.do_at_once(lambda db: _swap_shared(db, document))

    async def versions(self) -> Versions:
        return await self._lookups.do(_versions)


def count_people(db: sqlite3.Connection) -> None:
    """Tell that a person or a token has changed, with the change."""
    db.execute("UPDATE people_version SET version = version + 1")


def _beat(db: sqlite3.Connection, gateway: GatewayRecord) -> None:
    values = (gateway.id, gateway.beats, json.dumps(dict(gateway.body)), gateway.gone_at)
    db.execute("REPLACE INTO gateway VALUES (?, ?, ?, ?)", values)


def _gateways(db: sqlite3.Connection) -> list[GatewayRecord]:
    rows = db.execute("SELECT id, beats, body, gone_at FROM gateway ORDER BY id")
    return [GatewayRecord(name, beats, json.loads(body), gone_at) for name, beats, body, gone_at in rows]


def _mark_gone(db: sqlite3.Connection, gateway: GatewayRecord, gone_at: int) -> bool:
    change = "UPDATE gateway SET gone_at = ? WHERE id = ? AND beats = ? AND gone_at IS NULL"
    return db.execute(change, (gone_at, gateway.id, gateway.beats)).rowcount == 1


def _forget_gateway(db: sqlite3.Connection, gateway_id: str) -> bool:
    return db.execute("DELETE FROM gateway WHERE id = ?", (gateway_id,)).rowcount == 1


def _shared_documents(db: sqlite3.Connection) -> list[SharedDocument]:
    rows = db.execute("SELECT name, version, body FROM shared ORDER BY name")
    return [SharedDocument(name, version, json.loads(body)) for name, version, body in rows]


def _swap_shared(db: sqlite3.Connection, document: SharedDocument) -> bool:
    name, version, body = document.name, document.version, json.dumps(dict(document.body))
    if not version:
        return db.execute("INSERT INTO shared VALUES (?, 1, ?) ON CONFLICT DO NOTHING", (name, body)).rowcount == 1
    change = "UPDATE shared SET body = ?, version = version + 1 WHERE name = ? AND version = ?"
    return db.execute(change, (body, name, version)).rowcount == 1


def _versions(db: sqlite3.Connection) -> Versions:
    question = "SELECT keys.version, book.version, people.version FROM keys_version keys, book_version book, "
    return Versions(*db.execute(f"{question}people_version people").fetchone())
