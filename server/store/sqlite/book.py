"""The SQL about what the operator decides at run time, who changed what, and contents that people know to be kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from server.ledger.reports import Cursor
from server.store.base import Audit, Content, Record

_AUDIT = "SELECT id, at, actor, action, target, before, after FROM audit"
_CONTENT = 'SELECT request_id, person_id, "group", at, expires_at, asked, answered, readers FROM content'


def put_record(db: sqlite3.Connection, record: Record) -> None:
    _count(db)
    db.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?)", (record.kind, record.id, _written(record.body)))


def swap_record(db: sqlite3.Connection, before: Record | None, after: Record | None) -> bool:
    record = after or before
    assert record is not None, "one of the two is a record"
    kept = db.execute("SELECT body FROM record WHERE kind = ? AND id = ?", (record.kind, record.id)).fetchone()
    if _read(kept and kept[0]) != (None if before is None else json.loads(json.dumps(dict(before.body)))):
        return False
    if after is None:
        return remove_record(db, record.kind, record.id)
    put_record(db, after)
    return True


def remove_record(db: sqlite3.Connection, kind: str, record_id: str) -> bool:
    _count(db)
    return db.execute("DELETE FROM record WHERE kind = ? AND id = ?", (kind, record_id)).rowcount == 1


def record(db: sqlite3.Connection, kind: str, record_id: str) -> Record | None:
    row = db.execute("SELECT body FROM record WHERE kind = ? AND id = ?", (kind, record_id)).fetchone()
    return None if row is None else Record(kind, record_id, json.loads(row[0]))


def records(db: sqlite3.Connection, kind: str) -> list[Record]:
    rows = db.execute("SELECT id, body FROM record WHERE kind = ? ORDER BY id", (kind,))
    return [Record(kind, record_id, json.loads(body)) for record_id, body in rows]


def book_version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("SELECT version FROM book_version").fetchone()
    return int(version)


def append_audit(db: sqlite3.Connection, entry: Audit) -> None:
    values = (
        entry.id,
        entry.at,
        entry.actor,
        entry.action,
        entry.target,
        _written(entry.before),
        _written(entry.after),
    )
    db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", values)


def rewrite_audit(db: sqlite3.Connection, entry: Audit) -> None:
    change = "UPDATE audit SET before = ?, after = ? WHERE id = ?"
    db.execute(change, (_written(entry.before), _written(entry.after), entry.id))


def audit(db: sqlite3.Connection, entry_id: str) -> Audit | None:
    row = db.execute(f"{_AUDIT} WHERE id = ?", (entry_id,)).fetchone()
    return None if row is None else _entry(row)


def audits(db: sqlite3.Connection, cursor: Cursor | None, limit: int) -> list[Audit]:
    behind = "" if cursor is None else "WHERE (at, id) < (?, ?)"
    rows = db.execute(f"{_AUDIT} {behind} ORDER BY at DESC, id DESC LIMIT ?", (*(cursor or ()), limit))
    return [_entry(row) for row in rows]


def audits_about(db: sqlite3.Connection, target: str, action: str, limit: int) -> list[Audit]:
    condition = "WHERE target = ? AND action = ? ORDER BY at DESC, id DESC LIMIT ?"
    return [_entry(row) for row in db.execute(f"{_AUDIT} {condition}", (target, action, limit))]


def _entry(row: tuple[Any, ...]) -> Audit:
    return Audit(*(*row[:5], _read(row[5]), _read(row[6])))


def keep_content(db: sqlite3.Connection, content: Content) -> None:
    times = (content.at, content.expires_at)
    values = (content.request_id, content.person_id, content.group, *times, content.asked, content.answered)
    db.execute("INSERT INTO content VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", (*values, content.readers))


def contents(db: sqlite3.Connection, person_id: str) -> list[Content]:
    rows = db.execute(f"{_CONTENT} WHERE person_id = ? ORDER BY at, request_id", (person_id,))
    return [Content(*row) for row in rows]


def forget_contents(db: sqlite3.Connection, person_id: str) -> int:
    return db.execute("DELETE FROM content WHERE person_id = ?", (person_id,)).rowcount


def _count(db: sqlite3.Connection) -> None:
    db.execute("UPDATE book_version SET version = version + 1")


def _written(body: Mapping[str, Any] | None) -> str | None:
    return None if body is None else json.dumps(dict(body), ensure_ascii=False)


def _read(text: str | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)
