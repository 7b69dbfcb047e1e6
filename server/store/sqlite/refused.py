"""The SQL about requests that were refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, fields

from server.ledger.refused import RefusedRequest
from server.ledger.reports import Cursor, Which
from server.store.sqlite.sums import chosen

_COLUMNS = tuple(each.name for each in fields(RefusedRequest))
_ALL = f"SELECT {', '.join(_COLUMNS)} FROM refused"  # noqa: S608 - names of ours
_CONDITIONS = {
    "person_id": "person_id = ?",
    "token_id": "token_id = ?",
    "model": "model = ?",
    "after": "first_at >= ?",
    "before": "first_at < ?",
}


def put_refused(db: sqlite3.Connection, refused: Sequence[RefusedRequest]) -> None:
    places = ", ".join("?" * len(_COLUMNS))
    write = f"INSERT OR REPLACE INTO refused ({', '.join(_COLUMNS)}) VALUES ({places})"  # noqa: S608 - names of ours
    db.executemany(write, [astuple(each) for each in refused])


def refused_before(db: sqlite3.Connection, which: Which, cursor: Cursor | None, limit: int) -> list[RefusedRequest]:
    condition, values = chosen(which, _CONDITIONS)
    if cursor is not None:
        condition, values = (
            f"{condition} AND first_at <= ? AND (first_at, request_id) < (?, ?)",
            [*values, cursor[0], *cursor],
        )
    found = db.execute(f"{_ALL} WHERE {condition} ORDER BY first_at DESC, request_id DESC LIMIT ?", (*values, limit))
    return [_read(row) for row in found]


def refused_request(db: sqlite3.Connection, request_id: str) -> RefusedRequest | None:
    row = db.execute(f"{_ALL} WHERE request_id = ?", (request_id,)).fetchone()
    return None if row is None else _read(row)


def forget_refused(db: sqlite3.Connection, before: int) -> int:
    return db.execute("DELETE FROM refused WHERE first_at < ?", (before,)).rowcount


def forget_refused_of(db: sqlite3.Connection, person_id: str) -> int:
    return db.execute("DELETE FROM refused WHERE person_id = ?", (person_id,)).rowcount


def _read(row: Sequence[object]) -> RefusedRequest:
    return RefusedRequest(**dict(zip(_COLUMNS, row, strict=True)))  # type: ignore[arg-type]
