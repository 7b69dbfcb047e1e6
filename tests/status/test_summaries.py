"""Thirty days of hours, as the status page shows them."""

from __future__ import annotations

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

import pytest

from server.ledger.calendar import Calendar
from server.ledger.history import HOUR_MS, HOUSE, HourRow
from server.ledger.summaries import summarise

NOW = 1_795_262_400_000 + 30 * 60_000  # 2026-11-21T12:30Z
HOUR = NOW - NOW % HOUR_MS


def row(hours_ago: int, model: str = "m", **figures: int) -> HourRow:
    return HourRow(hour=HOUR - hours_ago * HOUR_MS, model=model, **figures)


def test_each_period_holds_the_shorter_ones_and_no_hour_twice() -> None:
    rows = [row(ago, requests=1) for ago in (0, 23, 24, 167, 168, 719, 720)]
    summary = summarise(rows, Calendar(UTC), NOW)
    assert {name: each.requests for name, each in summary.periods["m"].items()} == {"24h": 2, "7d": 4, "30d": 6}


def test_a_period_of_which_nothing_is_known_is_left_out() -> None:
    summary = summarise([row(100, requests=1)], Calendar(UTC), NOW)
    assert list(summary.periods["m"]) == ["7d", "30d"]


def test_the_last_hours_are_the_houses_and_the_oldest_is_first() -> None:
    rows = [row(ago, HOUSE, requests=ago) for ago in (0, 5, 23, 24)]
    summary = summarise(rows, Calendar(UTC), NOW)
    assert [each.requests for each in summary.hours] == [23, 5, 0]
    assert summary.since == HOUR - 24 * HOUR_MS


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("Pacific/Auckland"), ZoneInfo("America/New_York")])
def test_there_are_thirty_days_where_the_operator_lives_and_the_last_is_today(zone: tzinfo) -> None:
    calendar = Calendar(zone)
    rows = [row(0, watched=10, served=5), row(48, watched=10, served=10)]
    days = summarise(rows, calendar, NOW).uptime_days["m"]
    assert len(days) == 30
    assert (days[-1], days[-3]) == (0.5, 1.0)
    assert [day for day in days if day is not None] == [1.0, 0.5]


def test_nothing_is_a_summary_too() -> None:
    summary = summarise([], Calendar(UTC), NOW)
    assert (summary.since, summary.hours, summary.periods) == (None, (), {})
