"""The SQL about upstream keys: added at run time, wished about by the operator, and what providers keep under them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from dataclasses import fields
from typing import Any

from server.config.specs import UNSTORED, UpstreamSpec
from server.store.base import AddedKey, IssuedObject, KeyTaken, KeyWish

_TERMS = tuple(each.name for each in fields(UpstreamSpec) if each.name not in UNSTORED)


def add_key(db: sqlite3.Connection, key: AddedKey) -> None:
    values = (key.id, _terms(key.spec), key.hint, key.encrypted, key.added_at)
    if db.execute("INSERT INTO added_key VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", values).rowcount == 0:
        raise KeyTaken
    _count(db)


def remove_key(db: sqlite3.Connection, key_id: str) -> bool:
    _count(db)
    return db.execute("DELETE FROM added_key WHERE id = ?", (key_id,)).rowcount == 1


def reencrypt_key(db: sqlite3.Connection, key_id: str, old: bytes, new: bytes) -> bool:
    _count(db)
    change = "UPDATE added_key SET encrypted = ? WHERE id = ? AND encrypted = ?"
    return db.execute(change, (new, key_id, old)).rowcount == 1


def set_key_terms(db: sqlite3.Connection, key_id: str, before: UpstreamSpec, after: UpstreamSpec) -> bool:
    if not any(key.id == key_id and key.spec == before for key in added_keys(db)):
        return False
    _count(db)
    db.execute("UPDATE added_key SET terms = ? WHERE id = ?", (_terms(after), key_id))
    return True


def added_keys(db: sqlite3.Connection) -> list[AddedKey]:
    rows = db.execute("SELECT id, terms, hint, encrypted, added_at FROM added_key ORDER BY added_at, id")
    return [_added_key(row) for row in rows]


def set_key_paused(db: sqlite3.Connection, key_id: str, paused: bool) -> None:
    _count(db)
    wish = "INSERT INTO key_wish VALUES (?, ?, NULL) ON CONFLICT (id) DO UPDATE SET paused = excluded.paused"
    db.execute(wish, (key_id, paused))


def ask_key_recheck(db: sqlite3.Connection, key_id: str, asked_at: int) -> None:
    _count(db)
    wish = "INSERT INTO key_wish VALUES (?, 0, ?) ON CONFLICT (id) DO UPDATE SET recheck_at = excluded.recheck_at"
    db.execute(wish, (key_id, asked_at))


def forget_key_wish(db: sqlite3.Connection, key_id: str) -> None:
    _count(db)
    db.execute("DELETE FROM key_wish WHERE id = ?", (key_id,))


def key_wishes(db: sqlite3.Connection) -> list[KeyWish]:
    rows = db.execute("SELECT id, paused, recheck_at FROM key_wish ORDER BY id")
    return [KeyWish(key_id, bool(paused), recheck_at) for key_id, paused, recheck_at in rows]


def keys_version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("SELECT version FROM keys_version").fetchone()
    return int(version)


def remember_issued(db: sqlite3.Connection, object_ids: Collection[str], issued: IssuedObject) -> None:
    rows = [(each, issued.person_id, issued.key, issued.at) for each in object_ids]
    db.executemany("INSERT INTO issued VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)


def issued(db: sqlite3.Connection, object_ids: Collection[str]) -> dict[str, IssuedObject]:
    chosen = "SELECT id, person_id, key, at FROM issued WHERE id IN (SELECT value FROM json_each(?))"
    rows = db.execute(chosen, (json.dumps(list(object_ids)),))
    return {object_id: IssuedObject(*values) for object_id, *values in rows}


def forget_issued(db: sqlite3.Connection, before: int) -> int:
    return db.execute("DELETE FROM issued WHERE at < ?", (before,)).rowcount


def _count(db: sqlite3.Connection) -> None:
    db.execute("UPDATE keys_version SET version = version + 1")


def _terms(spec: UpstreamSpec) -> str:
    return json.dumps({name: getattr(spec, name) for name in _TERMS})


def _added_key(row: tuple[Any, ...]) -> AddedKey:
    key_id, terms, hint, encrypted, added_at = row
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(terms).items()
    }
    spec = UpstreamSpec(keys=(), **values)
    return AddedKey(id=key_id, spec=spec, hint=hint, encrypted=encrypted, added_at=added_at)
