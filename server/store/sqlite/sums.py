"""The SQL of the sums by day: added to with every settlement, asked by every page.

They are kept twice, by day and by month, in tables of the same shape: a report on years reads the months and, where it
begins or ends within one, that month's days. A span is `low <= day < high` in the order of text, in which "2026-11~"
comes after every day of that month.
"""

from __future__ import annotations

import sqlite3
from calendar import monthrange
from collections.abc import Iterable, Sequence
from typing import Any

from server.ledger.batch import by_month, summed
from server.ledger.reports import By, Days, Sum, SumMeasure
from server.ledger.usage import UsageRow

_FIGURES = ("requests", "input", "cached", "cache_write", "output", "reasoning", "cost_micro_usd")
_KEY = 'person_id, "group", token_id, model_asked, status'
_COLUMNS = ", ".join((_KEY, *_FIGURES))
_SUMMED = ", ".join(f"coalesce(sum({name}), 0)" for name in _FIGURES)
_AGAIN = ", ".join(f"sum({name}) AS {name}" for name in _FIGURES)
_BY = {
    By.DAY: "day",
    By.MODEL: "model_asked",
    By.PERSON: "person_id",
    By.GROUP: "nullif(\"group\", '')",
    By.TOKEN: "nullif(token_id, '')",
    By.STATUS: "status",
}
_CONDITIONS = {
    "person_id": "person_id = ?",
    "group": '"group" = ?',
    "token_id": "token_id = ?",
    "model": "model_asked = ?",
    "status": "status = ?",
}
_MEASURES = {
    SumMeasure.REQUESTS: "sum(requests)",
    SumMeasure.TOKENS: "sum(input + output)",
    SumMeasure.COST: "sum(cost_micro_usd)",
}

# Constants of this module, no caller's words: so are the texts that are put together below.
_ADD_DAY, _ADD_MONTH = (
    f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "  # noqa: S608
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in _FIGURES)
    for table in ("day_sum", "month_sum")
)
_RESUM_DAYS = f"""
    INSERT INTO day_sum
    SELECT day, person_id, coalesce("group", ''), coalesce(token_id, ''), model_asked, status, count(*),
        {", ".join(f"sum({name})" for name in _FIGURES[1:])}
    FROM usage INDEXED BY usage_listed WHERE day BETWEEN ? AND ? GROUP BY 1, 2, 3, 4, 5, 6
"""  # noqa: S608
_RESUM_MONTHS = f"""
    INSERT INTO month_sum SELECT substr(day, 1, 7), {_KEY}, {_AGAIN}
    FROM day_sum WHERE day >= ? AND day < ? GROUP BY substr(day, 1, 7), {_KEY}
"""  # noqa: S608


def add(db: sqlite3.Connection, rows: Iterable[UsageRow]) -> None:
    """Add rows to the sums of their days and months."""
    days = summed(rows)
    db.executemany(_ADD_DAY, [(*key, *figures) for key, figures in days.items()])
    db.executemany(_ADD_MONTH, [(*key, *figures) for key, figures in by_month(days).items()])


def sums(db: sqlite3.Connection, days: Days, by: Sequence[By]) -> list[Sum]:
    source, values = _source(days, _days_alone(days) if By.DAY in by else _spans(days), _COLUMNS)
    return grouped(db, source, values, [_BY[each] for each in by], _SUMMED)


def leaders(db: sqlite3.Connection, days: Days, measure: SumMeasure, limit: int) -> list[tuple[str, Sum]]:
    # Each day's and each month's rows lie in the order of people: summed first by both, nothing long has to be sorted.
    source, values = _source(days, _spans(days), f"person_id, {_AGAIN}", "GROUP BY 1, 2")
    most_first = f"GROUP BY person_id ORDER BY {_MEASURES[measure]} DESC, person_id LIMIT ?"
    rows = db.execute(f"SELECT person_id, {_SUMMED} FROM {source} {most_first}", (*values, limit))  # noqa: S608
    return [(person_id, sum_of((), figures)) for person_id, *figures in rows]


def resum(db: sqlite3.Connection, first: str, last: str) -> int:
    months = (first[:7], f"{last[:7]}~")
    db.execute("DELETE FROM day_sum WHERE day BETWEEN ? AND ?", (first, last))
    db.execute(_RESUM_DAYS, (first, last))
    db.execute("DELETE FROM month_sum WHERE month >= ? AND month < ?", months)
    db.execute(_RESUM_MONTHS, months)
    counted = "SELECT coalesce(sum(requests), 0) FROM day_sum WHERE day BETWEEN ? AND ?"
    (rows,) = db.execute(counted, (first, last)).fetchone()
    return int(rows)


def grouped(db: sqlite3.Connection, source: str, values: Sequence[Any], keys: Sequence[str], figures: str) -> list[Sum]:
    """Sums over `source` by these expressions; without any, always one."""
    columns = ", ".join((*keys, figures))
    places = ", ".join(str(number) for number in range(1, len(keys) + 1))
    by = f"GROUP BY {places} ORDER BY {places}" if keys else ""
    rows = db.execute(f"SELECT {columns} FROM {source} {by}", values)  # noqa: S608
    return [sum_of(row[: len(keys)], row[len(keys) :]) for row in rows]


def sum_of(key: tuple[str | None, ...], figures: Sequence[int]) -> Sum:
    """A sum from the figures in the order of its fields."""
    return Sum(key=key, **dict(zip(_FIGURES, figures, strict=True)))


def chosen(which: Any, conditions: dict[str, str]) -> tuple[str, list[Any]]:
    """The fields of a `Which` or `Days` that are not None, as conditions that all hold, and their values."""
    given = {text: value for name, text in conditions.items() if (value := getattr(which, name)) is not None}
    return " AND ".join(("true", *given)), list(given.values())


Span = tuple[str, str, str]  # the table's first column, from which text on, before which


def _days_alone(days: Days) -> list[Span]:
    return [("day", days.first or "", f"{days.last or ''}~")]


def _spans(days: Days) -> list[Span]:
    """Whole months, and the days before and behind them."""
    first, last = days.first or "", days.last or "~"
    from_its_beginning, to_its_end = first[8:] in ("", "01"), _ends_a_month(last)
    low = first[:7] if from_its_beginning else f"{first[:7]}~"
    high = f"{last[:7]}~" if to_its_end else last[:7]
    if low >= high:
        return _days_alone(days)
    spans = [("month", low, high)]
    if not from_its_beginning:
        spans.append(("day", first, low))
    if not to_its_end:
        spans.append(("day", high, f"{last}~"))
    return spans


def _ends_a_month(day: str) -> bool:
    return day == "~" or int(day[8:]) == monthrange(int(day[:4]), int(day[5:7]))[1]


def _source(days: Days, spans: Sequence[Span], columns: str, by: str = "") -> tuple[str, list[Any]]:
    """The table to select from, its first column the day or the month, and the values for it."""
    condition, values = chosen(days, _CONDITIONS)
    parts = [
        f"SELECT {span} AS day, {columns} FROM {span}_sum WHERE {span} >= ? AND {span} < ? AND {condition} {by}"  # noqa: S608
        for span, _, _ in spans
    ]
    return f"({' UNION ALL '.join(parts)})", [value for _, *bounds in spans for value in (*bounds, *values)]
