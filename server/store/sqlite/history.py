"""The SQL about hours and incidents. Figures are JSON, which no query asks about."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from server.ledger.history import HOUR_MS, HourRow, figures_of, row_of
from server.policy.incidents import Incident, IncidentKind


def put_hours(db: sqlite3.Connection, writer: str, rows: Sequence[HourRow]) -> None:
    written = [(row.hour, row.model, writer, json.dumps(figures_of(row))) for row in rows]
    db.executemany("INSERT OR REPLACE INTO hour VALUES (?, ?, ?, ?)", written)


def hours(db: sqlite3.Connection, first: int, last: int) -> list[HourRow]:
    found = db.execute(
        "SELECT hour, model, figures FROM hour WHERE hour BETWEEN ? AND ? ORDER BY hour, model, writer", (first, last)
    )
    return [row_of(hour, model, json.loads(figures)) for hour, model, figures in found]


def put_incidents(db: sqlite3.Connection, incidents: Sequence[Incident]) -> None:
    written = [
        (each.id, str(each.kind), each.subject, each.began_at, each.seen_at, each.ended_at, each.detail)
        for each in incidents
    ]
    db.executemany("INSERT OR REPLACE INTO incident VALUES (?, ?, ?, ?, ?, ?, ?)", written)


def incidents(db: sqlite3.Connection, since: int) -> list[Incident]:
    found = db.execute(
        "SELECT id, kind, subject, began_at, seen_at, ended_at, detail FROM incident WHERE seen_at >= ?"
        " ORDER BY began_at, id",
        (since,),
    )
    return [Incident(incident_id, IncidentKind(kind), *rest) for incident_id, kind, *rest in found]


def forget_history(db: sqlite3.Connection, before: int) -> int:
    gone = db.execute("DELETE FROM hour WHERE hour <= ?", (before - HOUR_MS,)).rowcount
    return gone + db.execute("DELETE FROM incident WHERE seen_at < ?", (before,)).rowcount
