"""Instants as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.when import instant, iso

SIX = 1_795_241_100_000  # 2026-11-21T06:05:00Z


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00+01:00", -3_600_000),
        ("2026-11-21T06:05Z", SIX),
        ("2026-11-21T06:05:00Z", SIX),
        ("2026-11-21T06:05:00.123Z", SIX + 123),
        ("2026-11-21T06:05:00.123999Z", SIX + 123),
        ("2026-11-21T07:05:00+01:00", SIX),
        ("2026-11-21T00:35:00-05:30", SIX),
        ("9998-12-31T23:59:59Z", 253_370_764_799_000),
    ],
)
def test_an_instant_is_read_with_its_zone(text: str, ms: int) -> None:
    assert instant(text) == ms


def test_a_plus_that_became_a_blank_on_its_way_is_still_a_plus() -> None:
    assert instant("2026-11-21T07:05:00 01:00") == SIX


@pytest.mark.parametrize(
    "text",
    [
        "",
        "notadate",
        "2026-11-21",
        "2026-11-21T06:05:00",
        "2026-11-21 06:05:00Z",
        "2026-11-21T06Z",
        "20261121T060500Z",
        "2026-W47-6T06:05:00Z",
        "2026-11-21T06:05:00z",
        "2026-11-21T06:05:00,5Z",
        "2026-11-21T06:05:00.1234567Z",
        "2026-11-21T06:05:00+0100",
        "2026-11-21T06:05:00+24:00",
        "2026-11-21T06:05:00Z\n",
        " 2026-11-21T06:05:00Z",
        "2026-02-29T06:05:00Z",
        "2026-13-01T06:05:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T06:05:60Z",
        "1969-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "-2026-11-21T06:05:00Z",
        "2026-11-21T06:05:00[Europe/Berlin]",
        "٢٠٢٦-١١-٢١T06:05:00Z",
        "1795241100",
    ],
)
def test_what_is_no_instant_or_has_no_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|range|must be|month|day|hour|second|offset"):
        instant(text)


@given(st.datetimes(datetime(1970, 1, 1), datetime(9998, 12, 31)), st.integers(-1439, 1439))
@settings(deadline=None, max_examples=100)
def test_an_instant_is_the_same_in_every_zone_and_can_be_read_back(naive: datetime, minutes: int) -> None:
    there = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    ms = instant(there.isoformat() if minutes else f"{naive.isoformat()}Z")
    assert ms == (there - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    if there.astimezone(UTC).year >= 1970:
        assert instant(iso(ms)) == ms


def test_an_instant_is_told_in_utc_with_three_digits() -> None:
    assert iso(SIX + 7) == "2026-11-21T06:05:00.007Z"
    assert iso(0) == "1970-01-01T00:00:00.000Z"
