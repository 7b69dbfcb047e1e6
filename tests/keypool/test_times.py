"""Times in the forms in which providers write them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypool.times import duration, plain_number, seconds_until

WALL = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()
MONTH = 31 * 86_400.0
UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


# Durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12ms", 0.012),
        ("17ms", 0.017),
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("1d2h", 93_600.0),
        ("1h0m0s", 3600.0),
        ("2m59.56s", 179.56),
        ("7.66s", 7.66),
        ("1m0.5s", 60.5),
        ("24h0m1s", 86_401.0),
        ("250us", 0.00025),
        ("250µs", 0.00025),
        ("100ns", 1e-7),
        ("0s", 0.0),
        ("5", 5.0),
        ("0.25", 0.25),
        (" 1s ", 1.0),
    ],
)
def test_a_duration_is_read_as_go_writes_it(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", " ", "-1s", "1 s", "1x", "s", "ms12", "1s2", "1.s", ".5s", "1m-2s", "1S", "1,5s"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert duration(text) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 999), st.sampled_from(sorted(UNITS))), min_size=1, max_size=8))
def test_every_sum_of_units_is_read(parts: list[tuple[int, str]]) -> None:
    read = duration("".join(f"{number}{unit}" for number, unit in parts))
    assert read is not None
    assert isclose(read, sum(number * UNITS[unit] for number, unit in parts), rel_tol=1e-9, abs_tol=1e-12)


def test_a_duration_of_a_thousand_digits_is_cut() -> None:
    assert duration("9" * 1000 + "d") == 1e12


# Any form


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10.0),
        (" 10 ", 10.0),
        ("10s", 10.0),
        ("1m30s", 90.0),
        ("2678400", MONTH),
        ("744h", MONTH),
        ("744h1s", None),
        ("2678401", None),
        ("1e9", None),
        ("-10", None),
        ("999999999999999", None),
        (f"{WALL + 10:.0f}", 10.0),
        (f"{WALL - 10:.0f}", -10.0),
        (f"{WALL + 10:.0f}250", 10.25),
        (f"{WALL + MONTH + 1:.0f}", None),
        (f"{WALL - MONTH - 1:.0f}", None),
        ("9000h", None),
        ("2026-03-01T12:00:10Z", 10.0),
        ("2026-03-01T12:00:10.500Z", 10.5),
        ("2026-03-01T12:00:10+00:00", 10.0),
        ("2026-03-01T13:30:10+01:30", 10.0),
        ("2026-03-01T04:00:10-08:00", 10.0),
        ("2026-03-02T12:00:00Z", 86_400.0),
        ("2026-03-01T11:59:59Z", -1.0),
        ("Sun, 01 Mar 2026 12:00:10 GMT", 10.0),
        ("Sun, 01 Mar 2026 13:00:10 +0100", 10.0),
        ("Sunday, 01-Mar-26 12:00:10 GMT", 10.0),
        ("Sun Mar  1 12:00:10 2026", 10.0),
    ],
)
def test_a_time_is_read_as_seconds_from_now_whatever_its_form_and_wherever_its_clock_stands(
    text: str, seconds: float | None
) -> None:
    assert seconds_until(text, WALL) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the machine has one clock for all")
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/New_York"])
def test_a_date_without_a_zone_is_utc_wherever_this_machine_stands(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        for text in ("Sun Mar  1 12:00:10 2026", "Sun, 01 Mar 2026 12:00:10 GMT", "Sun, 01 Mar 2026 12:00:10 -0000"):
            assert seconds_until(text, WALL) == pytest.approx(10.0)
    time.tzset()


@pytest.mark.parametrize(
    "text",
    ["2026-03-01T12:00:10", "2026-03-01", "12:00:10Z", "tomorrow", "", "Sun, 99 Mar 2026 12:00:10 GMT", "Sun", "1 2 3"],
)
def test_what_could_be_any_instant_is_not_believed(text: str) -> None:
    assert seconds_until(text, WALL) is None


@settings(deadline=None)
@given(st.datetimes(), st.integers(-14 * 60, 14 * 60))
def test_every_instant_with_an_offset_is_read_unless_it_is_farther_than_a_month(
    instant: datetime, minutes: int
) -> None:
    aware = instant.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    distance = aware.timestamp() - WALL
    assert seconds_until(aware.isoformat(), WALL) == (pytest.approx(distance) if distance <= MONTH else None)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_raises(text: str) -> None:
    seconds = seconds_until(text, WALL)
    assert seconds is None or seconds <= MONTH


@pytest.mark.parametrize(
    ("text", "number"), [("5", 5.0), ("0.25", 0.25), ("9" * 15, 1e12), ("9" * 16, None), ("5.", None)]
)
def test_a_plain_number_has_no_frills(text: str, number: float | None) -> None:
    assert plain_number(text) == number
