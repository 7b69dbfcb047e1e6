"""The SQL about messages that are on their way. What no query asks about is JSON."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from server.ledger.reports import Cursor
from server.policy.notifications import Channel, Delivery, DeliveryState, EventKind
from server.store.sqlite.worker import Worker

_COLUMNS = "id, kind, at, channel, receiver, facts, due_at, kept_until, state, tries, ended_at, failure"
# Constants of this module, no caller's words.
_ADD = f"INSERT INTO delivery ({_COLUMNS}) VALUES ({', '.join('?' * 12)}) ON CONFLICT DO NOTHING"  # noqa: S608
_SELECT = f"SELECT {_COLUMNS} FROM delivery"  # noqa: S608
_SWAP = """
    UPDATE delivery SET due_at = ?, state = ?, tries = ?, ended_at = ?, failure = ?
    WHERE id = ? AND state = ? AND tries = ? AND due_at = ?
"""


class SqliteDeliveries:
    """The `DeliveryVerbs`."""

    _writer: Worker
    _lookups: Worker
    _reports: Worker

    async def add_deliveries(self, deliveries: Sequence[Delivery]) -> int:
        return await self._writer.do(lambda db: add_deliveries(db, deliveries))

    async def due_deliveries(self, now: int, limit: int) -> list[Delivery]:
        return await self._lookups.do(lambda db: _due(db, now, limit))

    async def swap_delivery(self, before: Delivery, after: Delivery) -> bool:
        return await self._writer.do(lambda db: swap_delivery(db, before, after))

    async def deliveries_before(self, receiver: str | None, cursor: Cursor | None, limit: int) -> list[Delivery]:
        return await self._reports.do(lambda db: _newest(db, receiver, cursor, limit))

    async def forget_deliveries_to(self, receiver: str) -> int:
        return await self._writer.do(lambda db: _forget_to(db, receiver))

    async def forget_deliveries(self, now: int) -> int:
        return await self._writer.do(lambda db: _forget(db, now))


def add_deliveries(db: sqlite3.Connection, deliveries: Sequence[Delivery]) -> int:
    return sum(db.execute(_ADD, _values(each)).rowcount for each in deliveries)


def swap_delivery(db: sqlite3.Connection, before: Delivery, after: Delivery) -> bool:
    values = (after.due_at, str(after.state), after.tries, after.ended_at, after.failure)
    as_read = (before.id, str(before.state), before.tries, before.due_at)
    return db.execute(_SWAP, (*values, *as_read)).rowcount == 1


def _due(db: sqlite3.Connection, now: int, limit: int) -> list[Delivery]:
    which = f"{_SELECT} WHERE state = ? AND due_at <= ? ORDER BY due_at, id LIMIT ?"
    return [_read(row) for row in db.execute(which, (str(DeliveryState.WAITING), now, limit))]


def _newest(db: sqlite3.Connection, receiver: str | None, cursor: Cursor | None, limit: int) -> list[Delivery]:
    conditions, values = ["TRUE"], list[object]()
    if receiver is not None:
        conditions, values = ["receiver = ?"], [receiver]
    if cursor is not None:
        conditions, values = [*conditions, "at <= ?", "(at, id) < (?, ?)"], [*values, cursor[0], *cursor]
    which = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY at DESC, id DESC LIMIT ?"
    return [_read(row) for row in db.execute(which, (*values, limit))]


def _forget_to(db: sqlite3.Connection, receiver: str) -> int:
    return db.execute("DELETE FROM delivery WHERE receiver = ?", (receiver,)).rowcount


def _forget(db: sqlite3.Connection, now: int) -> int:
    return db.execute("DELETE FROM delivery WHERE kept_until < ?", (now,)).rowcount


def _values(each: Delivery) -> tuple[object, ...]:
    facts = json.dumps(dict(each.facts))
    named = (each.id, str(each.kind), each.at, str(each.channel), each.receiver, facts)
    return (*named, each.due_at, each.kept_until, str(each.state), each.tries, each.ended_at, each.failure)


def _read(row: tuple[str, str, int, str, str, str, int, int | None, str, int, int | None, str]) -> Delivery:
    name, kind, at, channel, receiver, facts, due_at, kept_until, state, tries, ended_at, failure = row
    return Delivery(
        name, EventKind(kind), at, Channel(channel), receiver, json.loads(facts), due_at, kept_until,
        DeliveryState(state), tries, ended_at, failure,
    )  # fmt: skip
