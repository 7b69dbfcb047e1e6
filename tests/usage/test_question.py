"""What may stand in a query string, and what it means."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.calendar import Calendar
from server.ledger.question import (
    FILTERS,
    choice,
    cursor,
    cursor_text,
    grouping,
    number,
    parameters,
    which,
    whole_days,
)
from server.ledger.reports import By, Days, Which
from server.ledger.usage import Outcome
from server.ledger.when import instant
from server.wire.errors import InvalidValue
from tests.usage.rows import BERLIN

DAY = int(timedelta(days=1) / timedelta(milliseconds=1))


# Parameters


def test_parameters_are_text() -> None:
    given = {"user": ["Bär".encode()], "model": [b"gpt 5"]}
    assert parameters(given, FILTERS) == {"user": "Bär", "model": "gpt 5"}


def test_all_filters_may_be_asked_for_at_once() -> None:
    assert parameters({name: [b"x"] for name in FILTERS}, FILTERS) == dict.fromkeys(FILTERS, "x")


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"user[$ne]": [b"x"]}, "query"),
        ({"USER": [b"ada"]}, "query"),
        ({"": [b"x"]}, "query"),
        ({"user": [b"ada"], "admin": [b"1"]}, "query"),
        ({"user": [b"ada", b"bob"]}, "user"),
        ({"user": [b"ada", b"ada"]}, "user"),
        ({"user": [b""]}, "user"),
        ({"model": [b"\xff\xfe"]}, "model"),
        ({"model": [b"\xed\xa0\x80"]}, "model"),
        ({"group": []}, "group"),
    ],
)
def test_a_parameter_that_is_unknown_repeated_empty_or_no_text_is_refused(
    given: dict[str, list[bytes]], param: str
) -> None:
    with pytest.raises(InvalidValue) as refused:
        parameters(given, FILTERS)
    assert refused.value.param == param


# Filters


def test_every_filter_narrows_the_rows() -> None:
    asked = {
        "user": "whoever was meant is known already",
        "group": "physics",
        "token": "tok_1",
        "model": "gpt-5",
        "status": "cut",
        "after": "2026-11-01T00:00:00Z",
        "before": "2026-12-01T00:00:00Z",
    }
    assert which(asked, "usr_1") == Which(
        person_id="usr_1",
        group="physics",
        token_id="tok_1",
        model="gpt-5",
        status=Outcome.CUT,
        after=instant("2026-11-01T00:00:00Z"),
        before=instant("2026-12-01T00:00:00Z"),
    )


def test_nothing_asked_is_no_condition() -> None:
    assert which({}, None) == Which()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("status", "done"),
        ("status", "COMPLETED"),
        ("after", "notadate"),
        ("after", "2026-11-21T06:05:00"),
        ("before", "10000-01-01T00:00:00Z"),
    ],
)
def test_a_filter_that_means_nothing_is_refused_by_its_name(name: str, text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        which({name: text}, None)
    assert refused.value.param == name


# How it is told


def test_sums_are_grouped_in_the_order_that_was_asked_for() -> None:
    assert grouping({"by": "user,day"}) == (By.PERSON, By.DAY)
    assert grouping({"by": "model,group,token,status"}) == (By.MODEL, By.GROUP, By.TOKEN, By.STATUS)
    assert grouping({}) == ()


@pytest.mark.parametrize("text", ["person", "day,", ",", "day,day", "day, model", "Day", "day;model", "key"])
def test_what_sums_cannot_be_grouped_by_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        grouping({"by": text})


def test_a_number_is_read_within_its_bounds() -> None:
    assert number({}, "limit", 100, 1000) == 100
    assert [number({"limit": text}, "limit", 100, 1000) for text in ("1", "007", "1000")] == [1, 7, 1000]


@pytest.mark.parametrize("text", ["0", "-1", "1001", "1e9", "1.0", "0x10", "1_0", " 1", "+1", "١", "9" * 5000])
def test_what_is_no_such_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        number({"limit": text}, "limit", 100, 1000)


def test_a_choice_is_one_of_the_words_and_by_default_the_first() -> None:
    assert choice({}, "format", "csv", "json") == "csv"
    assert choice({"format": "json"}, "format", "csv", "json") == "json"
    with pytest.raises(InvalidValue):
        choice({"format": "xml"}, "format", "csv", "json")


# Where a page ended


@given(st.integers(0, 10**14), st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True))
@settings(deadline=None, max_examples=50)
def test_a_cursor_comes_back_as_it_went_out_and_needs_no_escaping(started_at: int, request_id: str) -> None:
    text = cursor_text((started_at, request_id))
    assert text.isalnum()
    assert cursor({"cursor": text}) == (started_at, request_id)


def test_the_first_page_has_no_cursor() -> None:
    assert cursor({}) is None


@pytest.mark.parametrize(
    "text",
    ["x", "1", "zz", "é", "  ", "00", "ff"]
    + [
        text.encode().hex() for text in ("1795241100000", "1 a b", "1e3 a", "1 ", " a", f"{10**15} a", "1 " + 129 * "a")
    ],
)
def test_a_cursor_that_nobody_was_given_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        cursor({"cursor": text})
    assert refused.value.param == "cursor"


@given(st.text(max_size=50))
@settings(deadline=None, max_examples=100)
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        found = cursor({"cursor": text})
    except InvalidValue:
        return
    assert found is not None
    assert cursor({"cursor": cursor_text(found)}) == found


# Whole days


def test_from_midnight_to_midnight_where_the_operator_lives_is_whole_days() -> None:
    asked = Which(
        person_id="usr_1",
        group="physics",
        token_id="tok_1",
        model="gpt-5",
        status=Outcome.CUT,
        after=instant("2026-11-01T00:00:00+01:00"),
        before=instant("2026-12-01T00:00:00+01:00"),
    )
    assert whole_days(asked, BERLIN.day) == Days(
        person_id="usr_1",
        group="physics",
        token_id="tok_1",
        model="gpt-5",
        status=Outcome.CUT,
        first="2026-11-01",
        last="2026-11-30",
    )


def test_a_day_of_23_and_a_day_of_25_hours_are_whole_days() -> None:
    for first, next_day, day in [
        ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", "2026-03-29"),
        ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", "2026-10-25"),
    ]:
        asked = Which(after=instant(first), before=instant(next_day))
        assert whole_days(asked, BERLIN.day) == Days(first=day, last=day)


def test_no_bound_is_a_whole_bound() -> None:
    midnight = instant("2026-11-01T00:00:00+01:00")
    assert whole_days(Which(), BERLIN.day) == Days()
    assert whole_days(Which(after=midnight), BERLIN.day) == Days(first="2026-11-01")
    assert whole_days(Which(before=midnight), BERLIN.day) == Days(last="2026-10-31")


@pytest.mark.parametrize("off", [1, -1, 3_600_000])
def test_anything_else_is_not(off: int) -> None:
    midnight = instant("2026-11-01T00:00:00+01:00")
    assert whole_days(Which(after=midnight + off), BERLIN.day) is None
    assert whole_days(Which(after=midnight, before=midnight + DAY + off), BERLIN.day) is None


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12", "America/New_York"])
@pytest.mark.parametrize("text", ["1970-01-01T00:00:00+23:59", "1970-01-01T00:00:00Z", "9998-12-31T23:59:59-23:59"])
def test_the_first_and_the_last_instant_have_a_day_everywhere(zone: str, text: str) -> None:
    asked = Which(after=instant(text), before=instant(text))
    whole_days(asked, Calendar(ZoneInfo(zone)).day)
