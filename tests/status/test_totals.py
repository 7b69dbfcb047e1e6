"""The figures of today, of this month and of all time, which are read at different times and shown together."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from server.ledger.calendar import Calendar
from server.ledger.quota import Settlement
from server.status.totals import TODAY_SECONDS, UsageTotals
from server.store.sqlite.store import SqliteStore
from tests.store.samples import usage_row

DAY_MS = 86_400_000
FIRST = round(datetime(2026, 12, 1, 11, tzinfo=UTC).timestamp() * 1000)
CALENDAR = Calendar(ZoneInfo("UTC"))


@pytest.mark.gen_test
async def test_no_month_is_less_than_its_last_day_and_no_time_less_than_the_month(tmp_path: Path) -> None:
    """On the first of a month, where what is used comes between two readings; and past midnight."""
    clock, wall, number = 0.0, FIRST, 0
    async with SqliteStore(f"sqlite:///{tmp_path}/fairgate.db") as store:
        totals = UsageTotals(store, CALENDAR, 5.0, lambda: clock, lambda: wall)
        used = {"2026-11": 0, "2026-12": 0, CALENDAR.day(wall): 0}
        for at in (FIRST - DAY_MS, FIRST, FIRST, FIRST + 1000, FIRST + DAY_MS, FIRST + DAY_MS, FIRST + 2 * DAY_MS):
            clock, wall, number = clock + TODAY_SECONDS, max(wall, at), number + 1
            row = usage_row(f"r{number}", started_at=at, day=CALENDAR.day(at))
            await store.settle(Settlement(row))
            for name in (row.day[:7], row.day):
                used[name] = used.get(name, 0) + 1
            await totals.refresh()
            today = CALENDAR.day(wall)
            assert totals.month is not None and totals.ever is not None
            shown = totals.today.requests, totals.month.requests, totals.ever.requests
            assert shown == (used[today], used[today[:7]], number)
