"""What providers write about their limits, and what is read of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from math import isclose, isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from keypool.limits import Measure, Window, duration, windows

WALL = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()
OPENAI = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-limit-tokens": "200000",
    "x-ratelimit-remaining-tokens": "150000",
    "x-ratelimit-reset-tokens": "6m0s",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2026-03-01T12:00:02Z",
    "anthropic-ratelimit-input-tokens-limit": "30000",
    "anthropic-ratelimit-input-tokens-remaining": "29000",
    "anthropic-ratelimit-input-tokens-reset": "2026-03-01T13:00:30+01:00",
    "anthropic-ratelimit-output-tokens-limit": "8000",
    "anthropic-ratelimit-output-tokens-remaining": "8000",
    "anthropic-ratelimit-output-tokens-reset": "2026-03-01T12:00:00Z",
}
UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def anthropic_reset(instant: str) -> float | None:
    """The refill that is read of an instant, at `WALL`."""
    headers = ANTHROPIC | {"anthropic-ratelimit-requests-reset": instant}
    return windows(headers, WALL)[Measure.REQUESTS].refill


# What a provider says


def test_openai_tells_of_requests_and_of_tokens() -> None:
    assert windows(OPENAI, WALL) == {
        Measure.REQUESTS: Window(500.0, 499.0, 0.12),
        Measure.TOKENS: Window(200_000.0, 150_000.0, 360.0),
    }


def test_anthropic_tells_of_input_and_output_apart() -> None:
    assert windows(ANTHROPIC, WALL) == {
        Measure.REQUESTS: Window(50.0, 49.0, 2.0),
        Measure.INPUT: Window(30_000.0, 29_000.0, 30.0),
        Measure.OUTPUT: Window(8000.0, 8000.0, 0.0),
    }


def test_anthropic_may_also_tell_of_tokens_as_a_whole() -> None:
    told = {"anthropic-ratelimit-tokens-limit": "38000", "anthropic-ratelimit-tokens-remaining": "1000"}
    assert windows(told, WALL) == {Measure.TOKENS: Window(38_000.0, 1000.0, None)}


def test_a_header_is_found_however_it_is_capitalised() -> None:
    shouted = {name.upper(): value for name, value in (OPENAI | ANTHROPIC).items()}
    assert windows(CIMultiDict(shouted), WALL) == windows(OPENAI | ANTHROPIC, WALL)


def test_an_answer_without_such_headers_tells_nothing() -> None:
    assert windows({"content-type": "application/json", "retry-after": "3"}, WALL) == {}


# What is told by half


@pytest.mark.parametrize("missing", ["limit", "remaining"])
def test_a_limit_of_which_half_is_missing_is_left_out_and_the_others_stay(missing: str) -> None:
    del (headers := dict(OPENAI))[f"x-ratelimit-{missing}-requests"]
    assert set(windows(headers, WALL)) == {Measure.TOKENS}


@pytest.mark.parametrize("reset", [None, "soon", "", "-5s", "2026-03-01T12:00:00Z"])
def test_a_limit_without_a_readable_reset_is_still_a_limit(reset: str | None) -> None:
    headers = {name: value for name, value in OPENAI.items() if name != "x-ratelimit-reset-requests"}
    if reset is not None:
        headers["x-ratelimit-reset-requests"] = reset
    assert windows(headers, WALL)[Measure.REQUESTS] == Window(500.0, 499.0, None)


@pytest.mark.parametrize(
    "number", ["", "-1", "many", "1e9", "0x10", "NaN", "inf", " 5", "5 ", "1_000", "٣", "1" * 16, "5.", ".5", "5\n"]
)
def test_what_is_no_plain_number_is_no_limit(number: str) -> None:
    assert Measure.REQUESTS not in windows(OPENAI | {"x-ratelimit-limit-requests": number}, WALL)
    assert Measure.REQUESTS not in windows(OPENAI | {"x-ratelimit-remaining-requests": number}, WALL)


@pytest.mark.parametrize("limit", ["0", "0.0", "000"])
def test_a_limit_of_nothing_is_no_limit(limit: str) -> None:
    assert Measure.REQUESTS not in windows(OPENAI | {"x-ratelimit-limit-requests": limit}, WALL)


def test_no_more_remains_than_there_may_be() -> None:
    headers = OPENAI | {"x-ratelimit-remaining-requests": "900"}
    assert windows(headers, WALL)[Measure.REQUESTS].remaining == 500.0


def test_an_absurd_number_is_cut() -> None:
    headers = OPENAI | {"x-ratelimit-limit-tokens": "9" * 15, "x-ratelimit-remaining-tokens": "9" * 15}
    assert windows(headers, WALL)[Measure.TOKENS] == Window(1e12, 1e12, 360.0)


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


# Instants


@pytest.mark.parametrize(
    ("instant", "seconds"),
    [
        ("2026-03-01T12:00:10Z", 10.0),
        ("2026-03-01T12:00:10.500Z", 10.5),
        ("2026-03-01T12:00:10+00:00", 10.0),
        ("2026-03-01T13:30:10+01:30", 10.0),
        ("2026-03-01T04:00:10-08:00", 10.0),
        ("2026-03-02T12:00:00Z", 86_400.0),
    ],
)
def test_an_instant_is_told_as_seconds_from_now_wherever_its_clock_stands(instant: str, seconds: float) -> None:
    assert anthropic_reset(instant) == pytest.approx(seconds)


@pytest.mark.parametrize("instant", ["2026-03-01T11:59:59Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_an_instant_that_has_passed_is_now(instant: str) -> None:
    assert anthropic_reset(instant) == 0.0


@pytest.mark.parametrize("instant", ["2026-03-01T12:00:10", "2026-03-01", "12:00:10Z", "tomorrow", "", "10", "10s"])
def test_an_instant_without_an_offset_could_be_anywhere_and_is_not_believed(instant: str) -> None:
    assert anthropic_reset(instant) is None


@settings(deadline=None)
@given(st.datetimes(), st.integers(-14 * 60, 14 * 60))
def test_every_instant_with_an_offset_is_read(instant: datetime, minutes: int) -> None:
    aware = instant.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert anthropic_reset(aware.isoformat()) == pytest.approx(max(0.0, aware.timestamp() - WALL))


# Junk

NAMES = sorted(OPENAI | ANTHROPIC)
JUNK = st.one_of(st.text(max_size=40), st.from_regex(r"[0-9.:TZdhmsnuµ+-]{0,40}", fullmatch=True))


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from(NAMES), JUNK))
def test_junk_never_raises_and_what_is_read_makes_sense(headers: Mapping[str, str]) -> None:
    for window in windows(headers, WALL).values():
        assert 0.0 < window.limit <= 1e12
        assert 0.0 <= window.remaining <= window.limit
        assert window.refill is None or (window.refill >= 0.0 and isfinite(window.refill))
