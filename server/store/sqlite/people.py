"""The SQL about people, their tokens and their logins."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from server.store.base import Caller, Credential, NameTaken, Person, Session, Token, TokenTerms
from server.store.records import LETS_IN
from server.store.sqlite.cluster import count_people

_LISTS = ("groups", "claimed")
_FIELDS = tuple(each.name for each in fields(Person))
_CHANGEABLE = frozenset(_FIELDS) - {"id", "created_at"}

# Constants of this module, no caller's words.
_COLUMNS = ", ".join(_FIELDS)
_PERSON = f"SELECT {_COLUMNS} FROM person"  # noqa: S608
_NEW_PERSON = f"INSERT INTO person ({_COLUMNS}) VALUES ({', '.join('?' * len(_FIELDS))}) ON CONFLICT DO NOTHING"  # noqa: S608
_TOKEN = "SELECT id, person_id, name, hint, created_at, expires_at, revoked_at, terms FROM token"  # noqa: S105
_CREDENTIAL = """
    SELECT person.id, person.name, token.id, groups, claimed, admin, terms,
        disabled, expires_at, revoked_at, last_login_at
    FROM token JOIN person ON person.id = person_id WHERE digest = ?
"""


def token_by_hash(db: sqlite3.Connection, digest: bytes) -> Credential | None:
    row = db.execute(_CREDENTIAL, (digest,)).fetchone()
    if row is None:
        return None
    person_id, name, token_id, own, claimed, admin, terms, disabled, expires_at, revoked_at, last_login_at = row
    groups = tuple(dict.fromkeys(json.loads(own) + json.loads(claimed)))
    caller = Caller(
        person_id, name, token_id, groups=groups, admin=bool(admin), terms=_terms(terms), ends_at=expires_at
    )
    return Credential(caller, bool(disabled), expires_at, revoked_at, last_login_at)


def create_person(db: sqlite3.Connection, person: Person) -> None:
    values = [_kept(name, getattr(person, name)) for name in _FIELDS]
    if db.execute(_NEW_PERSON, values).rowcount == 0:
        raise NameTaken


def people(db: sqlite3.Connection) -> list[Person]:
    return [_person(row) for row in db.execute(f"{_PERSON} ORDER BY name")]


def person(db: sqlite3.Connection, person_id: str) -> Person | None:
    return _one_person(db, f"{_PERSON} WHERE id = ?", person_id)


def person_by_name(db: sqlite3.Connection, name: str) -> Person | None:
    return _one_person(db, f"{_PERSON} WHERE name = ?", name)


def person_by_login(db: sqlite3.Connection, login: str) -> Person | None:
    return _one_person(db, f"{_PERSON} WHERE login = ?", login)


def set_person_disabled(db: sqlite3.Connection, person_id: str, disabled: bool) -> bool:
    return update_person(db, person_id, {"disabled": disabled})


def update_person(db: sqlite3.Connection, person_id: str, changes: Mapping[str, Any]) -> bool:
    if not changes.keys() <= _CHANGEABLE:
        raise ValueError("no such field of a person can be changed")
    if not changes:
        return person(db, person_id) is not None
    assignments = ", ".join(f"{name} = ?" for name in changes)
    values = [_kept(name, value) for name, value in changes.items()]
    try:
        changed = db.execute(f"UPDATE person SET {assignments} WHERE id = ?", (*values, person_id)).rowcount == 1  # noqa: S608
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
            raise
        raise NameTaken from None
    if not changes.keys().isdisjoint(LETS_IN):
        count_people(db)
    return changed


def add_token(db: sqlite3.Connection, digest: bytes, token: Token) -> None:
    values = (token.id, token.person_id, token.name, token.hint, token.created_at, token.expires_at, token.revoked_at)
    db.execute(
        "INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (digest, *values, json.dumps(asdict(token.terms)))
    )


def tokens(db: sqlite3.Connection, person_id: str | None) -> list[Token]:
    where = "WHERE ?1 IS NULL OR person_id = ?1"
    rows = db.execute(f"{_TOKEN} {where} ORDER BY created_at, id", (person_id,))
    return [Token(*(*row[:-1], _terms(row[-1]))) for row in rows]


def revoke_token(db: sqlite3.Connection, token_id: str, revoked_at: int) -> bool:
    count_people(db)
    change = "UPDATE token SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?"
    return db.execute(change, (revoked_at, token_id)).rowcount == 1


def narrow_token(db: sqlite3.Connection, before: Token, after: Token) -> bool:
    """Read and written in one transaction of the only writer."""
    row = db.execute(f"{_TOKEN} WHERE id = ?", (before.id,)).fetchone()
    if row is None or (row[5], _terms(row[-1])) != (before.expires_at, before.terms):
        return False
    count_people(db)
    change = "UPDATE token SET terms = ?, expires_at = ? WHERE id = ?"
    db.execute(change, (json.dumps(asdict(after.terms)), after.expires_at, before.id))
    return True


def forget_tokens(db: sqlite3.Connection, person_id: str, revoked_at: int) -> int:
    count_people(db)
    db.execute("DELETE FROM address WHERE token_id IN (SELECT id FROM token WHERE person_id = ?)", (person_id,))
    change = "UPDATE token SET revoked_at = coalesce(revoked_at, ?), name = '', hint = '' WHERE person_id = ?"
    return db.execute(change, (revoked_at, person_id)).rowcount


def open_session(db: sqlite3.Connection, session: Session) -> None:
    values = (session.digest, session.person_id, session.created_at, session.expires_at, session.sealed)
    db.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?)", values)


def session(db: sqlite3.Connection, digest: bytes) -> Session | None:
    columns = "digest, person_id, created_at, expires_at, sealed"
    row = db.execute(f"SELECT {columns} FROM session WHERE digest = ?", (digest,)).fetchone()  # noqa: S608
    return None if row is None else Session(*row)


def sessions_of(db: sqlite3.Connection, person_id: str) -> list[Session]:
    columns = "digest, person_id, created_at, expires_at, sealed"
    question = f"SELECT {columns} FROM session WHERE person_id = ? ORDER BY created_at, digest"  # noqa: S608
    return [Session(*row) for row in db.execute(question, (person_id,))]


def close_session(db: sqlite3.Connection, digest: bytes) -> bool:
    return db.execute("DELETE FROM session WHERE digest = ?", (digest,)).rowcount == 1


def close_sessions_of(db: sqlite3.Connection, person_id: str) -> int:
    return db.execute("DELETE FROM session WHERE person_id = ?", (person_id,)).rowcount


def use_once(db: sqlite3.Connection, mark: str, expires_at: int) -> bool:
    return db.execute("INSERT INTO mark VALUES (?, ?) ON CONFLICT DO NOTHING", (mark, expires_at)).rowcount == 1


def note_address(db: sqlite3.Connection, token_id: str, address: str, most: int) -> bool:
    known = {known for (known,) in db.execute("SELECT address FROM address WHERE token_id = ?", (token_id,))}
    if address in known:
        return True
    if len(known) >= most:
        return False
    db.execute("INSERT INTO address VALUES (?, ?)", (token_id, address))
    return True


def forget_expired(db: sqlite3.Connection, now: int) -> int:
    forget = ("DELETE FROM session", "DELETE FROM mark", "DELETE FROM content")
    return sum(db.execute(f"{each} WHERE expires_at < ?", (now,)).rowcount for each in forget)


def _one_person(db: sqlite3.Connection, question: str, value: str) -> Person | None:
    row = db.execute(question, (value,)).fetchone()
    return None if row is None else _person(row)


def _person(row: tuple[Any, ...]) -> Person:
    values = dict(zip(_FIELDS, row, strict=True))
    flags = {name: bool(values[name]) for name in ("disabled", "admin", "mails")}
    lists = {name: tuple(json.loads(values[name])) for name in _LISTS}
    return Person(**values | flags | lists)


def _kept(name: str, value: Any) -> Any:
    return json.dumps(value) if name in _LISTS else value


def _terms(text: str) -> TokenTerms:
    values: dict[str, Any] = json.loads(text)
    lists: dict[str, Any] = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return TokenTerms(**values | lists)
