"""What the calendar promises: windows that follow each other without gaps, in any time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.calendar import Calendar, Period
from server.ledger.limits import LimitWindow

HOUR = 3_600_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Pacific/Apia",
    "Asia/Beirut",
    "Australia/Lord_Howe",
]
ODD_ZONES = ["America/St_Johns", "America/Sao_Paulo", "Pacific/Apia", "Africa/Cairo", "America/Scoresbysund"]
NAMED = (LimitWindow.DAY, LimitWindow.WEEK, LimitWindow.MONTH)


def ms(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, zone: str = "UTC", fold: int = 0
) -> int:
    local = datetime(year, month, day, hour, minute, second, tzinfo=ZoneInfo(zone), fold=fold)
    return (local - EPOCH) // timedelta(milliseconds=1)


def calendar(zone: str = "UTC") -> Calendar:
    return Calendar(ZoneInfo(zone))


MOMENTS = st.integers(ms(1990, 1, 1), ms(2040, 1, 1))


@pytest.mark.parametrize(
    ("window", "name", "ends_at"),
    [
        (LimitWindow.MINUTE, "2026-11-21T06:05Z", ms(2026, 11, 21, 6, 6)),
        (LimitWindow.DAY, "2026-11-21", ms(2026, 11, 22)),
        (LimitWindow.WEEK, "2026-W47", ms(2026, 11, 23)),
        (LimitWindow.MONTH, "2026-11", ms(2026, 12, 1)),
        (LimitWindow.EVER, "ever", None),
    ],
)
def test_each_window_has_a_name_and_an_end(window: LimitWindow, name: str, ends_at: int | None) -> None:
    assert calendar().window(window, ms(2026, 11, 21, 6, 5, 30)) == Period(name, ends_at)


def test_a_term_is_named_by_its_first_and_last_day() -> None:
    berlin, zone = calendar("Europe/Berlin"), "Europe/Berlin"
    since, until = ms(2026, 10, 1, zone=zone), ms(2027, 4, 1, zone=zone)
    assert berlin.window(LimitWindow.TERM, since, since, until) == Period("2026-10-01..2027-03-31", until)
    assert berlin.day(since) == "2026-10-01"


def test_two_terms_on_one_day_are_told_apart() -> None:
    both = [calendar().window(LimitWindow.TERM, ms(2026, 11, 21), 0, ms(2027, 1, day)).name for day in (1, 2)]
    assert both == ["1970-01-01..2026-12-31", "1970-01-01..2027-01-01"]


def test_a_term_needs_both_ends() -> None:
    with pytest.raises(ValueError, match="a term needs since and until"):
        calendar().window(LimitWindow.TERM, 0, since=0)


def test_a_month_ends_with_december_and_with_february_of_a_leap_year() -> None:
    assert calendar().window(LimitWindow.MONTH, ms(2026, 12, 31)) == Period("2026-12", ms(2027, 1, 1))
    assert calendar().window(LimitWindow.MONTH, ms(2028, 2, 29)) == Period("2028-02", ms(2028, 3, 1))


def test_the_first_days_of_a_year_may_be_in_the_last_week_of_the_one_before() -> None:
    assert calendar().window(LimitWindow.WEEK, ms(2027, 1, 3)) == Period("2026-W53", ms(2027, 1, 4))
    assert calendar().window(LimitWindow.WEEK, ms(2027, 1, 4)) == Period("2027-W01", ms(2027, 1, 11))


def test_the_operators_day_is_not_that_of_greenwich() -> None:
    evening = ms(2026, 11, 20, 23, 30)
    assert calendar("Europe/Berlin").day(evening) == "2026-11-21"
    assert calendar("America/New_York").day(evening) == "2026-11-20"


def test_days_on_which_the_clocks_change_have_23_and_25_hours() -> None:
    berlin = calendar("Europe/Berlin")
    assert berlin.ends("2026-03-29") - berlin.starts("2026-03-29") == 23 * HOUR
    assert berlin.ends("2026-10-25") - berlin.starts("2026-10-25") == 25 * HOUR
    both = [ms(2026, 10, 25, 2, 30, zone="Europe/Berlin", fold=fold) for fold in (0, 1)]
    assert both[1] - both[0] == HOUR
    assert {berlin.day(each) for each in both} == {"2026-10-25"}


def test_the_minutes_of_an_hour_that_comes_twice_have_different_names() -> None:
    berlin = calendar("Europe/Berlin")
    both = [ms(2026, 10, 25, 2, 30, zone="Europe/Berlin", fold=fold) for fold in (0, 1)]
    assert len({berlin.window(LimitWindow.MINUTE, each).name for each in both}) == 2


def test_a_day_without_a_midnight_begins_with_its_first_moment() -> None:
    sao_paulo = calendar("America/Sao_Paulo")
    first = ms(2018, 11, 4, 3)  # 00:00 was skipped: the clocks went from 23:59 to 01:00
    assert sao_paulo.starts("2018-11-04") == first
    assert [sao_paulo.day(first - 1), sao_paulo.day(first)] == ["2018-11-03", "2018-11-04"]


def test_a_day_whose_midnight_is_within_a_skipped_hour_begins_when_it_would_have_come() -> None:
    toronto = "America/Toronto"  # in 1919 the clocks went from 23:30 to 00:30
    midnight = calendar(toronto).starts("1919-03-31")
    assert midnight == ms(1919, 3, 31, 5)
    assert [calendar(toronto).day(at) for at in (midnight - 60_000, midnight)] == ["1919-03-30", "1919-03-31"]


def test_a_midnight_that_comes_twice_begins_the_day_once() -> None:
    st_johns = "America/St_Johns"  # at 00:01 the clocks went back to 23:01
    first = ms(2007, 11, 4, 0, zone=st_johns)
    assert calendar(st_johns).starts("2007-11-04") == first
    assert {calendar(st_johns).day(first + minutes * 60_000) for minutes in range(0, 120, 7)} == {"2007-11-04"}


def test_a_day_that_a_country_left_out_is_nobodys() -> None:
    apia = calendar("Pacific/Apia")
    left_out = ms(2011, 12, 30, 10)
    assert [apia.day(left_out - 1), apia.day(left_out)] == ["2011-12-29", "2011-12-31"]


@given(st.sampled_from(ZONES), st.integers(ms(2020, 1, 1), ms(2036, 1, 1)))
@settings(deadline=None, max_examples=100)
def test_the_day_is_the_date_on_the_clock(zone: str, moment: int) -> None:
    clock = (EPOCH + timedelta(milliseconds=moment)).astimezone(ZoneInfo(zone))
    assert calendar(zone).day(moment) == clock.date().isoformat()


@given(st.sampled_from(ZONES + ODD_ZONES), MOMENTS, st.sampled_from(NAMED))
@settings(deadline=None, max_examples=100)
def test_a_window_lasts_to_its_end_and_the_next_one_begins_there(zone: str, moment: int, window: LimitWindow) -> None:
    here = calendar(zone)
    period = here.window(window, moment)
    assert period.ends_at is not None
    assert moment < period.ends_at
    assert here.window(window, period.ends_at - 1) == period
    following = here.window(window, period.ends_at)
    assert following.name > period.name
    assert following.ends_at is not None
    assert following.ends_at > period.ends_at


@given(st.sampled_from(ZONES + ODD_ZONES), st.lists(MOMENTS, min_size=1, max_size=6))
@settings(deadline=None, max_examples=50)
def test_what_was_asked_before_does_not_matter(zone: str, moments: list[int]) -> None:
    used = calendar(zone)
    for moment in moments:
        for window in NAMED:
            assert used.window(window, moment) == calendar(zone).window(window, moment)


@given(st.sampled_from(ZONES), MOMENTS)
@settings(deadline=None, max_examples=50)
def test_a_day_starts_where_the_one_before_ends(zone: str, moment: int) -> None:
    here = calendar(zone)
    day = here.day(moment)
    assert here.starts(day) <= moment < here.ends(day)
    assert here.window(LimitWindow.DAY, moment).ends_at == here.ends(day)


@pytest.mark.parametrize("text", ["", "2026-13-01", "2026-02-29", "20261121", "2026-W47-6", "today"])
def test_what_is_no_day_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a day such as 2026-11-21$"):
        calendar().starts(text)
