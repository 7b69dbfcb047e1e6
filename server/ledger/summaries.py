"""The hours of the last thirty days, added up as the status page shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from server.ledger.calendar import Calendar
from server.ledger.history import HOUR_MS, HOUSE, HourRow, added, hour_of

PERIODS = {"24h": 24, "7d": 7 * 24, "30d": 30 * 24}  # hours, the present one included
DAYS = 30

Rows = list[HourRow]


@dataclass(frozen=True, slots=True)
class Summary:
    """`hours`: the rows of all, of the last 24, the oldest first. `periods`: of each model, its rows as one, by period.

    `uptime_days`: of each model, the share of each of the last 30 days where the operator lives; None: not watched.
    `since`: when the record begins, UTC milliseconds, but for what is older than that.
    """

    since: int | None = None
    hours: tuple[HourRow, ...] = ()
    periods: Mapping[str, Mapping[str, HourRow]] = field(default_factory=dict)
    uptime_days: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)


def first_hour(now: int) -> int:
    """The oldest hour that a summary looks at."""
    return hour_of(now) - (PERIODS["30d"] + 24) * HOUR_MS  # a day more: the first of the days is then whole


def summarise(rows: Iterable[HourRow], calendar: Calendar, now: int) -> Summary:
    """Rows, one for each hour and model, as a summary at `now`. It takes tens of milliseconds for thirty models."""
    by_model: dict[str, Rows] = {}
    for row in rows:
        by_model.setdefault(row.model, []).append(row)
    services = by_model.pop(HOUSE, [])
    last_day = _from(services, hour_of(now) - 23 * HOUR_MS)
    days = _last_days(calendar, now)
    return Summary(
        since=min((row.hour for row in services), default=None),
        hours=tuple(sorted(last_day, key=lambda row: row.hour)),
        periods={model: _periods(mine, model, now) for model, mine in by_model.items()},
        uptime_days={model: _uptime_days(mine, calendar, days) for model, mine in by_model.items()},
    )


def uptime(row: HourRow) -> float | None:
    """The share of the time that was watched; None if none was."""
    return row.served / row.watched if row.watched else None


def tokens_per_second(row: HourRow) -> float | None:
    """How fast one answer is written, on the whole; None if none was seen."""
    return row.written * 1000 / row.writing_ms if row.writing_ms else None


def _periods(rows: Rows, model: str, now: int) -> dict[str, HourRow]:
    """Each period in turn takes what the shorter one before it has left."""
    found: dict[str, HourRow] = {}
    sofar: Rows = []
    end = hour_of(now) + HOUR_MS
    for name, hours in PERIODS.items():
        start = hour_of(now) - (hours - 1) * HOUR_MS
        new = [row for row in rows if start <= row.hour < end]
        whole = added((*sofar, *new), start, model)
        sofar, end = [whole], start
        if whole.requests or whole.watched:
            found[name] = whole
    return found


def _uptime_days(rows: Rows, calendar: Calendar, days: list[str]) -> tuple[float | None, ...]:
    served, watched = dict.fromkeys(days, 0), dict.fromkeys(days, 0)
    for row in sorted(rows, key=lambda row: row.hour):  # in order, so that the calendar finds each day once
        if row.watched and (day := calendar.day(row.hour)) in watched:
            served[day] += row.served
            watched[day] += row.watched
    return tuple(served[day] / watched[day] if watched[day] else None for day in days)


def _last_days(calendar: Calendar, now: int) -> list[str]:
    days, at = [], now
    for _ in range(DAYS):
        day = calendar.day(at)
        days.append(day)
        at = calendar.starts(day) - 1
    return days[::-1]


def _from(rows: Iterable[HourRow], start: int) -> Rows:
    return [row for row in rows if row.hour >= start]
