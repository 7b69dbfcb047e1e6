"""The SQL of the ledger: reserve and settle, each within the one transaction that its verb is.

A counter's `taken` counts what is held, so that admitting is one comparison; `hold` knows who holds how much of it,
and `reservation` for how long and for which process. The three change together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date

from server.ledger.quota import Exceeded, Reservation, Reserved, Settlement
from server.store.sqlite import sums as sum_queries
from server.store.sqlite.usage_table import COLUMNS, PLACES, values_of

# Constants of these modules, no caller's words.
_WRITE = f"INSERT INTO usage ({COLUMNS}) VALUES ({PLACES}) ON CONFLICT DO NOTHING"  # noqa: S608
_TAKE = "INSERT INTO counter VALUES (?, ?) ON CONFLICT DO UPDATE SET taken = taken + excluded.taken"
_GIVE_BACK = """
    UPDATE counter SET taken = taken - hold.amount FROM hold WHERE hold.request_id = ? AND counter.name = hold.counter
"""
# What a counter's name ends in is its window. What somebody holds stays, or else giving it back would miss it.
_FORGET = """
    DELETE FROM counter WHERE (
        name GLOB '*/????-??-??' AND substr(name, -10) < ?
        OR name GLOB '*/????-W??' AND substr(name, -8) < ?
        OR name GLOB '*/????-??' AND substr(name, -7) < ?
    ) AND name NOT IN (SELECT counter FROM hold)
"""


def reserve(db: sqlite3.Connection, reservation: Reservation) -> Reserved | Exceeded:
    """Look first, then write: what is refused has changed nothing. A repeated reservation lives as long as the last."""
    request_id = reservation.request_id
    held = {counter for (counter,) in db.execute("SELECT counter FROM hold WHERE request_id = ?", (request_id,))}
    wanted = [hold for hold in reservation.holds if hold.counter not in held]
    for hold, already in zip(wanted, taken(db, [hold.counter for hold in wanted]), strict=True):
        if already + hold.amount > hold.limit:
            return Exceeded(hold.counter, already)
    if reservation.holds:
        terms = (request_id, reservation.holder, reservation.expires_at)
        db.execute("INSERT OR REPLACE INTO reservation VALUES (?, ?, ?)", terms)
        db.executemany(
            "INSERT INTO hold VALUES (?, ?, ?)", [(request_id, hold.counter, hold.amount) for hold in wanted]
        )
        db.executemany(_TAKE, [(hold.counter, hold.amount) for hold in wanted])
    return Reserved(tuple(taken(db, [hold.counter for hold in reservation.holds])))


def settle(db: sqlite3.Connection, settlement: Settlement) -> bool:
    row = settlement.row
    if db.execute(_WRITE, values_of(row)).rowcount == 0:
        return False
    release(db, row.request_id)
    if settlement.charges:
        db.executemany(_TAKE, [(charge.counter, charge.amount) for charge in settlement.charges])
    sum_queries.add(db, row)
    return True


def release(db: sqlite3.Connection, request_id: str) -> bool:
    if db.execute("DELETE FROM reservation WHERE request_id = ?", (request_id,)).rowcount == 0:
        return False
    db.execute(_GIVE_BACK, (request_id,))
    db.execute("DELETE FROM hold WHERE request_id = ?", (request_id,))
    return True


def release_holder(db: sqlite3.Connection, holder: str) -> int:
    return _release_all(db, "SELECT request_id FROM reservation WHERE holder = ?", holder)


def release_expired(db: sqlite3.Connection, now: int) -> int:
    return _release_all(db, "SELECT request_id FROM reservation WHERE expires_at < ?", now)


def taken(db: sqlite3.Connection, counters: Sequence[str]) -> list[int]:
    rows = [db.execute("SELECT taken FROM counter WHERE name = ?", (name,)).fetchone() for name in counters]
    return [0 if row is None else row[0] for row in rows]


def reserved(db: sqlite3.Connection) -> int:
    (number,) = db.execute("SELECT count(*) FROM reservation").fetchone()
    return int(number)


def forget_counters(db: sqlite3.Connection, before: str) -> int:
    week = date.fromisoformat(before).isocalendar()
    return db.execute(_FORGET, (before, f"{week.year:04}-W{week.week:02}", before[:7])).rowcount


def _release_all(db: sqlite3.Connection, which: str, value: str | int) -> int:
    ids = [request_id for (request_id,) in db.execute(which, (value,))]
    return sum(release(db, request_id) for request_id in ids)
