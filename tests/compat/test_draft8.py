"""Limits in the words of the IETF's draft 8."""

from __future__ import annotations

import pytest

from server.ledger.standard_headers import draft8

HEADERS = {
    "x-ratelimit-limit-requests": "20",
    "x-ratelimit-remaining-requests": "19",
    "x-ratelimit-reset-requests": "2.1s",
    "x-ratelimit-limit-tokens": "1000",
    "x-ratelimit-remaining-tokens": "0",
    "x-ratelimit-reset-tokens": "6m0s",
}


def test_both_limits_are_told() -> None:
    assert draft8(HEADERS) == {
        "RateLimit-Policy": '"requests";q=20;w=60, "tokens";q=1000;w=60',
        "RateLimit": '"requests";r=19;t=3, "tokens";r=0;t=360',
    }


def test_nothing_is_told_of_what_is_not_limited() -> None:
    assert draft8({"x-ratelimit-limit-requests": "20"}) == {}
    assert draft8({}) == {}


@pytest.mark.parametrize(("text", "seconds"), [("12ms", 1), ("1d2h3m4.5s", 93_785), ("6m0s", 360), ("0s", 0)])
def test_a_reset_is_never_told_too_early(text: str, seconds: int) -> None:
    only = {name: HEADERS[name] for name in HEADERS if "requests" in name} | {"x-ratelimit-reset-requests": text}
    assert draft8(only)["RateLimit"] == f'"requests";r=19;t={seconds}'
