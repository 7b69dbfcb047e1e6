"""Days, weeks and months where the operator lives, from UTC milliseconds.

A day is the time from one local midnight to the next, whatever the clocks do in between: it may have 23 or 25 hours.
Where a midnight is skipped, the day begins when the clocks would have reached it unchanged; where it comes twice, with
the first of the two. So the days follow each other without gaps, and every moment belongs to exactly one.

Weeks are those of ISO 8601: they begin on Monday, and week 1 is the one with the year's first Thursday.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from server.ledger.limits import LimitWindow

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY = timedelta(days=1)
_MINUTE = 60_000  # milliseconds


@dataclass(frozen=True, slots=True)
class Period:
    """One window by name, and when it ends: UTC milliseconds, exclusive; None is never."""

    name: str
    ends_at: int | None


@dataclass(frozen=True, slots=True)
class _Day:
    date: date
    name: str
    starts_at: int
    ends_at: int
    periods: dict[object, Period] = field(default_factory=dict)  # those asked for on this day


class Calendar:
    """The calendar of one time zone. It remembers the day that was asked for last: that is nearly always today."""

    def __init__(self, tz: tzinfo) -> None:
        self.tz = tz
        self._latest = self._find(0)

    def day(self, ms: int) -> str:
        """The day of a moment, such as "2026-11-21"."""
        return self._day_of(ms).name

    def window(self, window: LimitWindow, ms: int, since: int | None = None, until: int | None = None) -> Period:
        """The window that a moment is in. `since` and `until` are the bounds of a TERM, which needs both.

        Names: "2026-11-21T06:05Z" (a minute, always UTC, so that no hour comes twice), "2026-11-21", "2026-W47",
        "2026-11", "2026-10-01..2027-03-31" (its first and last day), "ever".
        """
        if window is LimitWindow.MINUTE:
            return _minute(ms)
        today = self._day_of(ms)
        key = (since, until) if window is LimitWindow.TERM else window
        period = today.periods.get(key)
        if period is None:
            period = today.periods[key] = self._period(window, today, since, until)
        return period

    def starts(self, day: str) -> int:
        """The first millisecond of a day such as "2026-11-21". `ValueError` if there is no such day."""
        return self._midnight(_date(day))

    def ends(self, day: str) -> int:
        """The first millisecond after a day."""
        return self._midnight(_date(day) + _DAY)

    def _period(self, window: LimitWindow, today: _Day, since: int | None, until: int | None) -> Period:
        if window is LimitWindow.DAY:
            return Period(today.name, today.ends_at)
        if window is LimitWindow.WEEK:
            year, week, weekday = today.date.isocalendar()
            return Period(f"{year:04d}-W{week:02d}", self._midnight(today.date + (8 - weekday) * _DAY))
        if window is LimitWindow.MONTH:
            return Period(today.name[:7], self._midnight((today.date.replace(day=28) + 4 * _DAY).replace(day=1)))
        if window is LimitWindow.EVER:
            return Period("ever", None)
        if since is None or until is None:
            raise ValueError("a term needs since and until")
        return Period(f"{self._find(since).name}..{self._find(until - 1).name}", until)

    def _day_of(self, ms: int) -> _Day:
        if not self._latest.starts_at <= ms < self._latest.ends_at:
            self._latest = self._find(ms)
        return self._latest

    def _find(self, ms: int) -> _Day:
        """The clock's date is right but for the hour around a midnight that comes twice or not at all."""
        day = (_EPOCH + ms * _MILLISECOND).astimezone(self.tz).date()
        if ms < self._midnight(day):
            day -= _DAY
        while ms >= (ends_at := self._midnight(day + _DAY)):
            day += _DAY
        return _Day(day, day.isoformat(), self._midnight(day), ends_at)

    def _midnight(self, day: date) -> int:
        return (datetime.combine(day, time(), self.tz) - _EPOCH) // _MILLISECOND


def _minute(ms: int) -> Period:
    minute = ms // _MINUTE * _MINUTE
    return Period(f"{_EPOCH + minute * _MILLISECOND:%Y-%m-%dT%H:%MZ}", minute + _MINUTE)


def _date(day: str) -> date:
    try:
        found = date.fromisoformat(day)
    except ValueError:
        found = None
    if found is None or found.isoformat() != day:  # other ways of writing a date are not ours
        raise ValueError("expected a day such as 2026-11-21")
    return found
