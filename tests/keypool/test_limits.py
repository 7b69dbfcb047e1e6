"""What providers write about their limits, and what is read of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from keypool.limits import NAMES, LimitMeasure, RateWindow, retry_after, windows

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


# What a provider says


def test_openai_tells_of_requests_and_of_tokens() -> None:
    assert windows(OPENAI, WALL) == {
        LimitMeasure.REQUESTS: RateWindow(500.0, 499.0, 0.12),
        LimitMeasure.TOKENS: RateWindow(200_000.0, 150_000.0, 360.0),
    }


def test_anthropic_tells_of_input_and_output_apart() -> None:
    assert windows(ANTHROPIC, WALL) == {
        LimitMeasure.REQUESTS: RateWindow(50.0, 49.0, 2.0),
        LimitMeasure.INPUT: RateWindow(30_000.0, 29_000.0, 30.0),
        LimitMeasure.OUTPUT: RateWindow(8000.0, 8000.0, 0.0),
    }


def test_anthropic_may_also_tell_of_tokens_as_a_whole() -> None:
    headers = {"anthropic-ratelimit-tokens-limit": "38000", "anthropic-ratelimit-tokens-remaining": "1000"}
    assert windows(headers, WALL) == {LimitMeasure.TOKENS: RateWindow(38_000.0, 1000.0, None)}


def test_a_header_is_found_however_it_is_capitalised() -> None:
    shouted = {name.upper(): value for name, value in (OPENAI | ANTHROPIC).items()}
    assert windows(CIMultiDict(shouted), WALL) == windows(OPENAI | ANTHROPIC, WALL)


def test_an_answer_without_such_headers_tells_nothing() -> None:
    assert windows({"content-type": "application/json", "retry-after": "3"}, WALL) == {}


# What each of them calls it

SOON = int(WALL) + 30
SENT: dict[str, tuple[dict[str, str], dict[LimitMeasure, RateWindow]]] = {
    "OpenAI, and compatible ones": (
        {
            "x-ratelimit-limit-tokens": "30000",
            "x-ratelimit-remaining-tokens": "29000",
            "x-ratelimit-reset-tokens": "2s",
        },
        {LimitMeasure.TOKENS: RateWindow(30_000, 29_000, 2)},
    ),
    "Azure, in whole seconds": (
        {"x-ratelimit-limit-tokens": "30000", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "37"},
        {LimitMeasure.TOKENS: RateWindow(30_000, 0, 37)},
    ),
    "Azure, which does not know": (
        {"x-ratelimit-limit-tokens": "-1", "x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "0"},
        {},
    ),
    "xAI, without a reset": (
        {"x-ratelimit-limit-requests": "480", "x-ratelimit-remaining-requests": "479"},
        {LimitMeasure.REQUESTS: RateWindow(480, 479, None)},
    ),
    "Groq, a day's requests by their refill": (
        {
            "x-ratelimit-limit-requests": "14400",
            "x-ratelimit-remaining-requests": "14370",
            "x-ratelimit-reset-requests": "2m59.56s",
        },
        {LimitMeasure.REQUESTS: RateWindow(14_400, 14_370, 179.56)},
    ),
    "seconds since 1970": (
        {
            "x-ratelimit-limit-requests": "20",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": str(SOON),
        },
        {LimitMeasure.REQUESTS: RateWindow(20, 0, 30)},
    ),
    "an HTTP date": (
        {
            "x-ratelimit-limit-requests": "20",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "Sun, 01 Mar 2026 12:00:30 GMT",
        },
        {LimitMeasure.REQUESTS: RateWindow(20, 0, 30)},
    ),
    "OpenRouter, in milliseconds since 1970": (
        {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "3", "X-RateLimit-Reset": f"{SOON}000"},
        {LimitMeasure.REQUESTS: RateWindow(20, 3, 30)},
    ),
    "Together, per second": (
        {
            "x-ratelimit-limit": "10",
            "x-ratelimit-remaining": "9",
            "x-ratelimit-reset": "1",
            "x-tokenlimit-limit": "33333",
            "x-tokenlimit-remaining": "33000",
        },
        {LimitMeasure.REQUESTS: RateWindow(10, 9, 1, 1), LimitMeasure.TOKENS: RateWindow(33_333, 33_000, None, 1)},
    ),
    "Mistral": (
        {
            "x-ratelimit-limit-req-minute": "720",
            "x-ratelimit-remaining-req-minute": "717",
            "x-ratelimit-limit-tokens-minute": "5000000",
            "x-ratelimit-remaining-tokens-minute": "4999911",
            "x-ratelimit-tokens-query-cost": "52",
        },
        {
            LimitMeasure.REQUESTS: RateWindow(720, 717, None, 60),
            LimitMeasure.TOKENS: RateWindow(5_000_000, 4_999_911, None, 60),
        },
    ),
    "Mistral, before": (
        {"ratelimitbysize-limit": "500000", "ratelimitbysize-remaining": "499900", "ratelimitbysize-reset": "28"},
        {LimitMeasure.TOKENS: RateWindow(500_000, 499_900, 28, 60)},
    ),
    "Mistral, before, by the minute and by the month": (
        {
            "x-ratelimitbysize-limit-minute": "500000",
            "x-ratelimitbysize-remaining-minute": "499900",
            "x-ratelimitbysize-limit-month": "1000000000",
            "x-ratelimitbysize-remaining-month": "5",
        },
        {LimitMeasure.TOKENS: RateWindow(500_000, 499_900, None, 60)},
    ),
    "Mistral, a model that the plan does not have": (
        {"x-ratelimit-limit-req-minute": "0", "x-ratelimit-remaining-req-minute": "0"},
        {},
    ),
    "Cerebras": (
        {
            "x-ratelimit-limit-requests-day": "1000",
            "x-ratelimit-remaining-requests-day": "750",
            "x-ratelimit-reset-requests-day": "33011.382867",
            "x-ratelimit-limit-tokens-minute": "100000",
            "x-ratelimit-remaining-tokens-minute": "90000",
            "x-ratelimit-reset-tokens-minute": "11.4",
        },
        {
            LimitMeasure.DAILY: RateWindow(1000, 750, 33_011.382867, 86_400),
            LimitMeasure.TOKENS: RateWindow(100_000, 90_000, 11.4, 60),
        },
    ),
    "Cerebras, each period apart": (
        {
            "x-ratelimit-limit-requests-minute": "5",
            "x-ratelimit-remaining-requests-minute": "4",
            "x-ratelimit-limit-requests-hour": "150",
            "x-ratelimit-remaining-requests-hour": "140",
            "x-ratelimit-limit-tokens-hour": "60000",
            "x-ratelimit-remaining-tokens-hour": "50000",
            "x-ratelimit-limit-tokens-day": "1000000",
            "x-ratelimit-remaining-tokens-day": "900000",
        },
        {
            LimitMeasure.REQUESTS: RateWindow(5, 4, None, 60),
            LimitMeasure.HOURLY: RateWindow(150, 140, None, 3600),
            LimitMeasure.HOURLY_TOKENS: RateWindow(60_000, 50_000, None, 3600),
            LimitMeasure.DAILY_TOKENS: RateWindow(1_000_000, 900_000, None, 86_400),
        },
    ),
    "SambaNova, a minute's and a day's": (
        {
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-remaining-requests": "42",
            "x-ratelimit-reset-requests": str(SOON),
            "x-ratelimit-limit-requests-day": "1000",
            "x-ratelimit-remaining-requests-day": "900",
            "x-ratelimit-reset-requests-day": "86400",
        },
        {LimitMeasure.REQUESTS: RateWindow(60, 42, 30), LimitMeasure.DAILY: RateWindow(1000, 900, 86_400, 86_400)},
    ),
    "Fireworks: of two limits of the prompt the one with less left": (
        {
            "x-ratelimit-limit-tokens-prompt": "3600000",
            "x-ratelimit-remaining-tokens-prompt": "3500000",
            "x-ratelimit-limit-tokens-cache-adjusted-prompt": "900000",
            "x-ratelimit-remaining-tokens-cache-adjusted-prompt": "800000",
            "x-ratelimit-limit-tokens-generated": "36000",
            "x-ratelimit-remaining-tokens-generated": "35000",
            "x-ratelimit-over-limit": "yes",
        },
        {
            LimitMeasure.INPUT: RateWindow(900_000, 800_000, None, 60),
            LimitMeasure.OUTPUT: RateWindow(36_000, 35_000, None, 60),
        },
    ),
    "Anthropic's commitment, beyond which the standard limits serve": (
        {
            "anthropic-priority-input-tokens-limit": "10000",
            "anthropic-priority-input-tokens-remaining": "0",
            "anthropic-priority-input-tokens-reset": "2026-03-01T12:00:30Z",
        },
        {},
    ),
    "Anthropic's fast mode, which limits nothing else": (
        {"anthropic-fast-output-tokens-limit": "0", "anthropic-fast-output-tokens-remaining": "0"},
        {},
    ),
    "Anthropic's subscriptions, in shares": (
        {
            "anthropic-ratelimit-unified-status": "allowed",
            "anthropic-ratelimit-unified-5h-utilization": "0.12",
            "anthropic-ratelimit-unified-5h-reset": str(SOON),
        },
        {},
    ),
    "the IETF's draft up to -06": (
        {"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "50", "RateLimit-Reset": "30"},
        {LimitMeasure.REQUESTS: RateWindow(100, 50, 30)},
    ),
    "the IETF's draft -07": (
        {"RateLimit": "limit=100, remaining=50, reset=30", "RateLimit-Policy": "100;w=60"},
        {LimitMeasure.REQUESTS: RateWindow(100, 50, 30, 60)},
    ),
    "the IETF's draft -07 without a policy": (
        {"RateLimit": "limit=100, remaining=50, reset=30"},
        {LimitMeasure.REQUESTS: RateWindow(100, 50, 30)},
    ),
    "the IETF's draft from -08": (
        {"RateLimit": '"default";r=50;t=30', "RateLimit-Policy": '"default";q=100;w=60'},
        {LimitMeasure.REQUESTS: RateWindow(100, 50, 30, 60)},
    ),
    "the IETF's draft from -08, several policies": (
        {
            "RateLimit": '"burst";r=50;t=30, "hour";r=900;t=1200, "day";r=4000',
            "RateLimit-Policy": '"burst";q=100;w=60, "hour";q=1000;w=3600, "day";q=5000;w=86400',
        },
        {
            LimitMeasure.REQUESTS: RateWindow(100, 50, 30, 60),
            LimitMeasure.HOURLY: RateWindow(1000, 900, 1200, 3600),
            LimitMeasure.DAILY: RateWindow(5000, 4000, None, 86_400),
        },
    ),
    "the IETF's draft from -08, of tokens": (
        {"RateLimit": '"t";r=50;t=30', "RateLimit-Policy": '"t";q=100;w=60;qu="tokens"'},
        {LimitMeasure.TOKENS: RateWindow(100, 50, 30, 60)},
    ),
    "another fairgate's: the policy of tokens is called so": (
        {
            "RateLimit": '"requests";r=19;t=3, "tokens";r=50',
            "RateLimit-Policy": '"requests";q=20;w=60, "tokens";q=99;w=60',
        },
        {LimitMeasure.REQUESTS: RateWindow(20, 19, 3, 60), LimitMeasure.TOKENS: RateWindow(99, 50, None, 60)},
    ),
    "the IETF's draft from -08, of bytes": (
        {"RateLimit": '"b";r=50;t=30', "RateLimit-Policy": '"b";q=100;w=60;qu="content-bytes"'},
        {},
    ),
    "the IETF's draft from -08, without its policy": ({"RateLimit": '"default";r=50;t=30'}, {}),
}


@pytest.mark.parametrize("sender", SENT)
def test_every_providers_headers_are_known(sender: str) -> None:
    headers, expected = SENT[sender]
    assert windows(CIMultiDict(headers), WALL) == expected


# How long to wait

RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}
GEMINI = {
    "error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"@type": "x/google.rpc.Help"}, RETRY_INFO]}
}


def openrouter(**headers: object) -> dict[str, object]:
    return {"error": {"code": 429, "metadata": {"headers": headers}}}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "1m30s"}, 90.0),
        ({"retry-after": "250ms"}, 0.25),
        ({"retry-after": "Sun, 01 Mar 2026 12:01:30 GMT"}, 90.0),
        ({"retry-after": "Sunday, 01-Mar-26 12:01:30 GMT"}, 90.0),
        ({"retry-after": "Sun Mar  1 12:01:30 2026"}, 90.0),
        ({"retry-after": "2026-03-01T12:01:30Z"}, 90.0),
        ({"retry-after": f"{WALL + 90:.0f}"}, 90.0),
        ({"retry-after": f"{WALL + 90:.0f}000"}, 90.0),
        ({"retry-after": f"{WALL + 0.25:.2f}"}, 0.25),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        ({"retry-after-ms": "999999999999", "retry-after": "2"}, 2.0),
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "604800"}, 604_800.0),
        ({"retry-after": "604801"}, None),
        ({"retry-after": "999999999"}, None),
        ({"retry-after": f"{WALL + 8 * 86_400:.0f}"}, None),
        ({"retry-after": f"{WALL - 5:.0f}"}, None),
        ({"retry-after": "Sun, 01 Mar 2026 11:59:59 GMT"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, None),
        ({"retry-after": "Sun, 01 Mar 2926 12:00:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "soon"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{WALL + 90:.0f}000"}, 90.0),
        ({"x-ratelimit-remaining": "1", "x-ratelimit-reset": f"{WALL + 90:.0f}000"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "90", "retry-after": "3"}, 3.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1e9"}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "90"}, 90.0),
        ({"ratelimitbysize-remaining": "0", "ratelimitbysize-reset": "28"}, 28.0),
        (
            {"anthropic-ratelimit-unified-status": "rejected", "anthropic-ratelimit-unified-reset": f"{WALL + 90:.0f}"},
            90.0,
        ),
        (
            {"anthropic-ratelimit-unified-status": "allowed", "anthropic-ratelimit-unified-reset": f"{WALL + 90:.0f}"},
            None,
        ),
        ({"ratelimit": '"default";r=0;t=30, "day";r=5;t=900'}, 30.0),
        ({"ratelimit": '"default";r=1;t=30'}, None),
        ({"ratelimit": '"default";r=0'}, None),
    ],
)
def test_a_wait_is_read_in_whatever_form_it_comes_and_an_absurd_one_is_not_believed(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers, WALL) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("document", "seconds"),
    [
        (GEMINI, 34.0),
        ([GEMINI], 34.0),
        ({"error": {"details": [RETRY_INFO | {"retryDelay": "0.5s"}]}}, 0.5),
        ({"error": {"details": [RETRY_INFO | {"retryDelay": "9999999s"}]}}, None),
        ({"error": {"details": [RETRY_INFO | {"retryDelay": None}]}}, None),
        ({"error": {"details": [{"@type": "type.googleapis.com/google.rpc.QuotaFailure"}, "RetryInfo", None]}}, None),
        ({"error": {"details": {"@type": "google.rpc.RetryInfo"}}}, None),
        (openrouter(**{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{WALL + 90:.0f}000"}), 90.0),
        (openrouter(**{"X-RateLimit-Remaining": 0, "X-RateLimit-Reset": int(WALL + 90) * 1000}), 90.0),
        (openrouter(**{"Retry-After": "12"}), 12.0),
        ({"error": {"metadata": {"headers": ["Retry-After: 5"]}}}, None),
        ({"error": {"message": "Rate limit reached. Please try again in 1m30s.", "code": "rate_limit_exceeded"}}, None),
        ({"error": "slow down"}, None),
        ([], None),
        ("Retry-After: 5", None),
    ],
)
def test_a_wait_in_the_body_counts_where_it_is_made_for_machines(document: object, seconds: float | None) -> None:
    assert retry_after({}, WALL, orjson.dumps(document)) == seconds


def test_a_header_goes_before_the_body() -> None:
    assert retry_after({"retry-after": "3"}, WALL, orjson.dumps(GEMINI)) == 3.0


def test_a_body_that_is_no_json_says_nothing() -> None:
    assert retry_after({}, WALL, b"<html>Retry-After: 5</html>") is None


# Limits of which some headers are missing


@pytest.mark.parametrize("missing", ["limit", "remaining"])
def test_a_limit_of_which_half_is_missing_is_left_out_and_the_others_stay(missing: str) -> None:
    del (headers := dict(OPENAI))[f"x-ratelimit-{missing}-requests"]
    assert set(windows(headers, WALL)) == {LimitMeasure.TOKENS}


@pytest.mark.parametrize("reset", [None, "soon", "", "-5s", "2026-03-01T12:00:00", "1e9"])
def test_a_limit_without_a_readable_reset_is_still_a_limit(reset: str | None) -> None:
    headers = {name: value for name, value in OPENAI.items() if name != "x-ratelimit-reset-requests"}
    if reset is not None:
        headers["x-ratelimit-reset-requests"] = reset
    assert windows(headers, WALL)[LimitMeasure.REQUESTS] == RateWindow(500.0, 499.0, None)


@pytest.mark.parametrize(
    "number", ["", "-1", "many", "1e9", "0x10", "NaN", "inf", " 5", "5 ", "1_000", "٣", "1" * 16, "5.", ".5", "5\n"]
)
def test_what_is_no_plain_number_is_no_limit(number: str) -> None:
    assert LimitMeasure.REQUESTS not in windows(OPENAI | {"x-ratelimit-limit-requests": number}, WALL)
    assert LimitMeasure.REQUESTS not in windows(OPENAI | {"x-ratelimit-remaining-requests": number}, WALL)


@pytest.mark.parametrize("limit", ["0", "0.0", "000"])
def test_a_limit_of_nothing_is_no_limit(limit: str) -> None:
    assert LimitMeasure.REQUESTS not in windows(OPENAI | {"x-ratelimit-limit-requests": limit}, WALL)


def test_no_more_remains_than_there_may_be() -> None:
    headers = OPENAI | {"x-ratelimit-remaining-requests": "900"}
    assert windows(headers, WALL)[LimitMeasure.REQUESTS].remaining == 500.0


def test_an_absurd_number_is_cut() -> None:
    headers = OPENAI | {"x-ratelimit-limit-tokens": "9" * 15, "x-ratelimit-remaining-tokens": "9" * 15}
    assert windows(headers, WALL)[LimitMeasure.TOKENS] == RateWindow(1e12, 1e12, 360.0)


# Junk

EVERY_NAME = sorted(
    {name.pattern.format(part) for name in NAMES for part in ("limit", "remaining", "reset")}
    | {"ratelimit", "ratelimit-policy", "retry-after", "retry-after-ms"}
)
JUNK = st.one_of(st.text(max_size=40), st.from_regex(r'[0-9.:TZdhmsnuµ+;,="rtqw -]{0,40}', fullmatch=True))


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from(EVERY_NAME), JUNK))
def test_junk_never_raises_and_what_is_read_makes_sense(headers: Mapping[str, str]) -> None:
    for window in windows(headers, WALL).values():
        assert 0.0 < window.limit <= 1e12
        assert 0.0 <= window.remaining <= window.limit
        assert window.refill is None or (window.refill >= 0.0 and isfinite(window.refill))
    rest = retry_after(headers, WALL)
    assert rest is None or 0.0 <= rest <= 7 * 86_400.0
