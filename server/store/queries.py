"""The SQL of the embedded store: one function for each verb, from a connection to the records of `base`.

Values only ever travel as parameters; the texts below are constants.
"""

from __future__ import annotations

import sqlite3
from operator import attrgetter
from typing import Any

from server.ledger.usage import Outcome, UsageRow
from server.store.base import Caller, Credential, Issued, NameTaken, Person, Token, Totals
from server.wire.usage import Usage

# The columns of `usage` in the order of the table, by what they hold.
_PLAIN_BEFORE = (
    *("request_id", "person_id", "token_id", "model_asked", "model_served", "endpoint", "dialect", "upstream", "key"),
    *("status", "started_at", "queue_ms", "first_byte_ms", "duration_ms", "attempts", "streamed"),
)
_COUNTED = ("input", "cached", "cache_write", "output", "reasoning", "estimated")
_PLAIN_AFTER = ("cost_micro_usd", "price_id", "client_aborted")
_COLUMNS = (*_PLAIN_BEFORE, *_COUNTED, *_PLAIN_AFTER)
_values = attrgetter(*_PLAIN_BEFORE, *(f"usage.{name}" for name in _COUNTED), *_PLAIN_AFTER)

# Constants of this module, no caller's words.
_SETTLE = f"INSERT INTO usage VALUES ({', '.join('?' * len(_COLUMNS))}) ON CONFLICT (request_id) DO NOTHING"  # noqa: S608
_USAGE = f"SELECT {', '.join(_COLUMNS)} FROM usage"  # noqa: S608
_PERSON = "SELECT id, name, disabled, created_at FROM person"
_TOKEN = "SELECT id, person_id, name, hint, created_at, expires_at, revoked_at FROM token"  # noqa: S105


def token_by_hash(db: sqlite3.Connection, digest: bytes) -> Credential | None:
    row = db.execute(
        "SELECT person.id, person.name, token.id, disabled, expires_at, revoked_at"
        " FROM token JOIN person ON person.id = person_id WHERE digest = ?",
        (digest,),
    ).fetchone()
    if row is None:
        return None
    person_id, person_name, token_id, disabled, expires_at, revoked_at = row
    return Credential(Caller(person_id, person_name, token_id), bool(disabled), expires_at, revoked_at)


def settle(db: sqlite3.Connection, row: UsageRow) -> bool:
    return db.execute(_SETTLE, _values(row)).rowcount == 1


def create_person(db: sqlite3.Connection, person: Person) -> None:
    values = (person.id, person.name, person.disabled, person.created_at)
    if db.execute("INSERT INTO person VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", values).rowcount == 0:
        raise NameTaken


def people(db: sqlite3.Connection) -> list[Person]:
    return [_person(row) for row in db.execute(f"{_PERSON} ORDER BY name")]


def person_by_name(db: sqlite3.Connection, name: str) -> Person | None:
    row = db.execute(f"{_PERSON} WHERE name = ?", (name,)).fetchone()
    return None if row is None else _person(row)


def set_person_disabled(db: sqlite3.Connection, person_id: str, disabled: bool) -> bool:
    return db.execute("UPDATE person SET disabled = ? WHERE id = ?", (disabled, person_id)).rowcount == 1


def add_token(db: sqlite3.Connection, digest: bytes, token: Token) -> None:
    values = (token.id, token.person_id, token.name, token.hint, token.created_at, token.expires_at, token.revoked_at)
    db.execute("INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (digest, *values))


def tokens(db: sqlite3.Connection, person_id: str | None) -> list[Token]:
    where = "WHERE ?1 IS NULL OR person_id = ?1"
    return [Token(*row) for row in db.execute(f"{_TOKEN} {where} ORDER BY created_at, id", (person_id,))]


def revoke_token(db: sqlite3.Connection, token_id: str, revoked_at: int) -> bool:
    change = "UPDATE token SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?"
    return db.execute(change, (revoked_at, token_id)).rowcount == 1


def usage(db: sqlite3.Connection, request_id: str) -> UsageRow | None:
    row = db.execute(f"{_USAGE} WHERE request_id = ?", (request_id,)).fetchone()
    return None if row is None else _usage_row(row)


def usage_rows(db: sqlite3.Connection, since: int, limit: int) -> list[UsageRow]:
    newest_first = "WHERE started_at >= ? ORDER BY started_at DESC, request_id LIMIT ?"
    return [_usage_row(row) for row in db.execute(f"{_USAGE} {newest_first}", (since, limit))]


def totals(db: sqlite3.Connection, since: int) -> Totals:
    row = db.execute(
        "SELECT count(*), count(DISTINCT person_id), coalesce(sum(input), 0), coalesce(sum(output), 0)"
        " FROM usage WHERE started_at >= ?",
        (since,),
    ).fetchone()
    return Totals(*row)


def remember_issued(db: sqlite3.Connection, object_id: str, issued: Issued) -> None:
    values = (object_id, issued.person_id, issued.key, issued.at)
    db.execute("INSERT INTO issued VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", values)


def issued(db: sqlite3.Connection, object_id: str) -> Issued | None:
    row = db.execute("SELECT person_id, key, at FROM issued WHERE id = ?", (object_id,)).fetchone()
    return None if row is None else Issued(*row)


def forget_issued(db: sqlite3.Connection, before: int) -> int:
    return db.execute("DELETE FROM issued WHERE at < ?", (before,)).rowcount


def beat(db: sqlite3.Connection) -> None:
    db.execute("UPDATE pulse SET beats = beats + 1")


def _person(row: tuple[Any, ...]) -> Person:
    person_id, name, disabled, created_at = row
    return Person(person_id, name, bool(disabled), created_at)


def _usage_row(row: tuple[Any, ...]) -> UsageRow:
    fields = dict(zip(_COLUMNS, row, strict=True))
    counted = {name: fields.pop(name) for name in _COUNTED}
    counted["estimated"] = bool(counted["estimated"])
    fields["status"] = Outcome(fields["status"])
    for flag in ("streamed", "client_aborted"):
        fields[flag] = bool(fields[flag])
    return UsageRow(**fields, usage=Usage(**counted))
