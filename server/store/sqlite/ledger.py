"""The SQL of the ledger: reserve and settle, each within the one transaction that its verb is.

A counter's `taken` counts what is held, so that admitting is one comparison; `hold` knows who holds how much of it,
and `reservation` for how long and for which process. The three change together.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date

from server.ledger.batch import charged, drawn, firsts
from server.ledger.quota import (
    ESCROW,
    Escrowed,
    Exceeded,
    Letter,
    Release,
    Reservation,
    Reserved,
    Settlement,
    Trim,
    escrowed_of,
)
from server.store.sqlite import sums as sum_queries
from server.store.sqlite.usage_table import COLUMNS, PLACES, values_of

# Constants of these modules, no caller's words.
_WRITE = f"INSERT INTO usage ({COLUMNS}) VALUES ({PLACES}) ON CONFLICT DO NOTHING"  # noqa: S608
_TAKE = "INSERT INTO counter (name, taken) VALUES (?, ?) ON CONFLICT DO UPDATE SET taken = taken + excluded.taken"
_LIST = "SELECT value FROM json_each(?)"
_KNOWN = f"SELECT request_id FROM usage WHERE request_id IN ({_LIST})"  # noqa: S608
_HELD = f"SELECT request_id, counter, amount FROM hold WHERE request_id IN ({_LIST})"  # noqa: S608
_SHRINK = "UPDATE hold SET amount = amount - ? WHERE request_id = ?"
_STANDING = f"SELECT name, taken, calls FROM counter WHERE name IN ({_LIST})"  # noqa: S608
_HOLDINGS = f"SELECT counter, sum(amount) FROM hold WHERE counter IN ({_LIST}) GROUP BY counter"  # noqa: S608
# The escrows lie side by side: their ids begin alike.
_ESCROWS = "SELECT counter, request_id, amount FROM hold WHERE request_id >= ? AND request_id < ?"
_ESCROW_SPAN = (ESCROW, f"{ESCROW}~")
# A counter's name ends in its window. A counter with holds stays, or else giving them back would miss it.
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
    for hold, already in zip(wanted, _taken(db, [hold.counter for hold in wanted]), strict=True):
        if already + hold.amount > hold.limit:
            return Exceeded(hold.counter, already, escrowed(db, [hold.counter])[0].amount)
    if reservation.holds:
        terms = (request_id, reservation.holder, reservation.expires_at)
        db.execute("INSERT OR REPLACE INTO reservation VALUES (?, ?, ?)", terms)
        db.executemany(
            "INSERT INTO hold VALUES (?, ?, ?)", [(request_id, hold.counter, hold.amount) for hold in wanted]
        )
        db.executemany(_TAKE, [(hold.counter, hold.amount) for hold in wanted])
    return Reserved(tuple(_taken(db, [hold.counter for hold in reservation.holds])))


def write(db: sqlite3.Connection, letters: Sequence[Letter]) -> list[bool]:
    """Write them all: the settlements together, what is given back one after the other."""
    settlements = [each for each in letters if isinstance(each, Settlement)]
    settled = iter(settle(db, settlements))
    return [next(settled) if isinstance(each, Settlement) else _given_back(db, each) for each in letters]


def settle(db: sqlite3.Connection, settlements: Sequence[Settlement]) -> list[bool]:
    """One statement for each table, however many they are. Of each, whether it was the first of its request."""
    places = firsts(settlements)
    known = {request_id for (request_id,) in db.execute(_KNOWN, (_listed(places),))} if places else set()
    fresh = {place for request_id, place in places.items() if request_id not in known}
    if new := [settlements[place] for place in sorted(fresh)]:
        db.executemany(_WRITE, [values_of(each.row) for each in new])
        _take_instead(db, new)
        sum_queries.add(db, (each.row for each in new))
    return [place in fresh for place in range(len(settlements))]


def release(db: sqlite3.Connection, request_ids: Collection[str]) -> int:
    """Give back what these hold; how many held something."""
    found = _held(db, request_ids)
    _give_up(db, {request_id for request_id, _, _ in found})
    _add_to_counters(db, _total((counter, -amount) for _, counter, amount in found))
    return len({request_id for request_id, _, _ in found})


def trim(db: sqlite3.Connection, escrow: str, amount: int) -> bool:
    """Leave at most so much in an escrow; False if it has no more."""
    surplus = [(name, held - amount) for _, name, held in _held(db, [escrow]) if held > amount]
    db.executemany(_SHRINK, [(more, escrow) for _, more in surplus])
    _add_to_counters(db, {name: -more for name, more in surplus})
    return bool(surplus)


def call_back(db: sqlite3.Connection, counter: str) -> None:
    db.execute("UPDATE counter SET calls = calls + 1 WHERE name = ?", (counter,))


def escrowed(db: sqlite3.Connection, counters: Sequence[str]) -> list[Escrowed]:
    """The state of these counters, and the escrows that are taken of them."""
    shares: dict[str, dict[str, int]] = {}
    for name, escrow, amount in db.execute(_ESCROWS, _ESCROW_SPAN):
        shares.setdefault(name, {})[escrow] = amount
    rows = {name: (taken, calls) for name, taken, calls in db.execute(_STANDING, (_listed(counters),))}
    return [escrowed_of(name, *rows.get(name, (0, 0)), shares.get(name, {})) for name in counters]


def release_holder(db: sqlite3.Connection, holder: str) -> int:
    return release(db, _ids(db.execute("SELECT request_id FROM reservation WHERE holder = ?", (holder,))))


def release_expired(db: sqlite3.Connection, now: int) -> int:
    return release(db, _ids(db.execute("SELECT request_id FROM reservation WHERE expires_at < ?", (now,))))


def taken(db: sqlite3.Connection, counters: Sequence[str]) -> list[int]:
    return [each.taken - each.amount for each in escrowed(db, counters)]


def settled(db: sqlite3.Connection, counters: Sequence[str]) -> list[int]:
    held = dict(db.execute(_HOLDINGS, (_listed(counters),)).fetchall())
    taken = {name: amount for name, amount, _ in db.execute(_STANDING, (_listed(counters),))}
    return [taken.get(name, 0) - held.get(name, 0) for name in counters]


def _taken(db: sqlite3.Connection, counters: Sequence[str]) -> list[int]:
    """With what lies in escrows."""
    rows = [db.execute("SELECT taken FROM counter WHERE name = ?", (name,)).fetchone() for name in counters]
    return [0 if row is None else row[0] for row in rows]


def reserved(db: sqlite3.Connection) -> int:
    not_escrow = "request_id < ? OR request_id >= ?"
    (number,) = db.execute(f"SELECT count(*) FROM reservation WHERE {not_escrow}", _ESCROW_SPAN).fetchone()  # noqa: S608
    return int(number)


def forget_counters(db: sqlite3.Connection, before: str) -> int:
    week = date.fromisoformat(before).isocalendar()
    return db.execute(_FORGET, (before, f"{week.year:04}-W{week.week:02}", before[:7])).rowcount


def _given_back(db: sqlite3.Connection, letter: Release | Trim) -> bool:
    if isinstance(letter, Trim):
        return trim(db, letter.escrow, letter.amount)
    return release(db, [letter.request_id]) == 1


def _take_instead(db: sqlite3.Connection, settlements: Sequence[Settlement]) -> None:
    """Give back what these requests held, shrink the escrows that they drew on, and take what they used."""
    ids, draws = {each.row.request_id for each in settlements}, drawn(settlements)
    taken, shrunk = charged(settlements), []
    for holder, counter, amount in _held(db, ids | draws.keys()):
        if holder not in ids:
            amount = min(amount, draws[holder])
            shrunk.append((amount, holder))
        taken[counter] = taken.get(counter, 0) - amount
    _give_up(db, ids)
    db.executemany(_SHRINK, shrunk)
    _add_to_counters(db, taken)


def _held(db: sqlite3.Connection, holders: Collection[str]) -> list[tuple[str, str, int]]:
    """Holder, counter and amount of all that these requests and escrows hold."""
    return db.execute(_HELD, (_listed(holders),)).fetchall()


def _give_up(db: sqlite3.Connection, holders: Collection[str]) -> None:
    if holders:
        for table in ("hold", "reservation"):
            db.execute(f"DELETE FROM {table} WHERE request_id IN ({_LIST})", (_listed(holders),))  # noqa: S608


def _add_to_counters(db: sqlite3.Connection, amounts: Mapping[str, int]) -> None:
    db.executemany(_TAKE, [(name, amount) for name, amount in amounts.items() if amount])


def _total(amounts: Iterable[tuple[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for name, amount in amounts:
        total[name] = total.get(name, 0) + amount
    return total


def _listed(texts: Iterable[str]) -> str:
    return json.dumps([*texts])


def _ids(rows: Iterable[tuple[str]]) -> list[str]:
    return [request_id for (request_id,) in rows]
