"""The SQL that reads usage rows, changes their prices and lets old ones go.

A page of rows begins behind the last row of the page before, wherever that is: the thousandth page costs what the
first one does, and rows that are written meanwhile shift nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from server.ledger.reports import By, Cursor, Figure, Ranking, Sum, Which
from server.ledger.usage import OWN, UsageRow
from server.store.base import Totals
from server.store.sqlite.sums import chosen, grouped
from server.store.sqlite.usage_table import COLUMNS, row_of

_CONDITIONS = {
    "person_id": "person_id = ?",
    "group": '"group" = ?',
    "token_id": "token_id = ?",
    "model": "model_asked = ?",
    "status": "status = ?",
    "key": "key = ?",
    "after": "started_at >= ?",
    "before": "started_at < ?",
}
_BY = {
    By.DAY: "day",
    By.MODEL: "model_asked",
    By.PERSON: "person_id",
    By.GROUP: '"group"',
    By.TOKEN: "token_id",
    By.STATUS: "status",
    By.KEY: "key",
}
_FIGURES = {
    Figure.COST: "cost_micro_usd",
    Figure.TOKENS: "(input + output)",
    Figure.DURATION: "duration_ms",
    Figure.WAIT: "queue_ms",
}
_SUMMED = "count(*), " + ", ".join(
    f"coalesce(sum({name}), 0)" for name in ("input", "cached", "cache_write", "output", "reasoning", "cost_micro_usd")
)
# Constants of these modules, no caller's words: so are the texts that are put together below.
_USAGE = f"SELECT {COLUMNS} FROM usage"  # noqa: S608


def usage(db: sqlite3.Connection, request_id: str) -> UsageRow | None:
    row = db.execute(f"{_USAGE} WHERE request_id = ?", (request_id,)).fetchone()
    return None if row is None else row_of(row)


def usage_after(db: sqlite3.Connection, which: Which, cursor: Cursor | None, limit: int) -> list[UsageRow]:
    if cursor is None:
        return _page(db, which, "true", (), "started_at, request_id", limit)
    # The bound is said twice: an index is entered at one of the bounds, and none may be before the cursor.
    which = replace(which, after=cursor[0] if which.after is None else max(cursor[0], which.after))
    return _page(db, which, "(started_at, request_id) > (?, ?)", cursor, "started_at, request_id", limit)


def usage_before(db: sqlite3.Connection, which: Which, cursor: Cursor | None, limit: int) -> list[UsageRow]:
    if cursor is None:
        return _page(db, which, "true", (), "started_at DESC, request_id DESC", limit)
    latest = cursor[0] + 1
    which = replace(which, before=latest if which.before is None else min(latest, which.before))
    return _page(db, which, "(started_at, request_id) < (?, ?)", cursor, "started_at DESC, request_id DESC", limit)


def usage_ranked(
    db: sqlite3.Connection, which: Which, ranking: Ranking, behind: Cursor | None, limit: int
) -> list[UsageRow]:
    figure, (sign, word) = _FIGURES[ranking.figure], ("<", "DESC") if ranking.falling else (">", "")
    beyond = "true" if behind is None else f"({figure}, request_id) {sign} (?, ?)"
    return _page(db, which, beyond, behind or (), f"{figure} {word}, request_id {word}", limit)


def usage_place(db: sqlite3.Connection, which: Which, place: int) -> int | None:
    condition, values = chosen(which, _CONDITIONS)
    newest_first = "ORDER BY started_at DESC, request_id DESC LIMIT 1 OFFSET ?"
    row = db.execute(f"SELECT started_at FROM usage WHERE {condition} {newest_first}", (*values, place)).fetchone()  # noqa: S608
    return None if row is None else int(row[0])


def usage_sums(db: sqlite3.Connection, which: Which, by: Sequence[By]) -> list[Sum]:
    condition, values = chosen(which, _CONDITIONS)
    return grouped(db, f"usage WHERE {condition}", values, [_BY[each] for each in by], _SUMMED)


def billed(db: sqlite3.Connection, after: int, before: int) -> list[Sum]:
    source = "usage WHERE started_at >= ? AND started_at < ? AND key != ?"
    keys = ("date(started_at / 1000, 'unixepoch')", "upstream", "key", "model_served")
    return grouped(db, source, (after, before, OWN), keys, _SUMMED)


def totals(db: sqlite3.Connection, since: int) -> Totals:
    row = db.execute(
        "SELECT count(*), count(DISTINCT person_id), coalesce(sum(input), 0), coalesce(sum(output), 0)"
        " FROM usage WHERE started_at >= ?",
        (since,),
    ).fetchone()
    return Totals(*row)


def reprice(db: sqlite3.Connection, prices: Sequence[tuple[str, int, str | None]]) -> int:
    change = """
        UPDATE usage SET cost_micro_usd = ?2, price_id = ?3
        WHERE request_id = ?1 AND (cost_micro_usd, price_id) IS NOT (?2, ?3)
    """
    return db.executemany(change, prices).rowcount if prices else 0


def purge_usage(db: sqlite3.Connection, before: int, limit: int) -> int:
    oldest = "SELECT rowid FROM usage WHERE started_at < ? ORDER BY started_at LIMIT ?"
    return db.execute(f"DELETE FROM usage WHERE rowid IN ({oldest})", (before, limit)).rowcount  # noqa: S608


def _page(
    db: sqlite3.Connection, which: Which, beyond: str, cursor: Cursor | tuple[()], order: str, limit: int
) -> list[UsageRow]:
    condition, values = chosen(which, _CONDITIONS)
    page = f"WHERE {condition} AND {beyond} ORDER BY {order} LIMIT ?"
    return [row_of(row) for row in db.execute(f"{_USAGE} {page}", (*values, *cursor, limit))]
