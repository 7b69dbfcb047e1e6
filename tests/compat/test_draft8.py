"""Limits in the words of the IETF's draft 8."""

from __future__ import annotations

import pytest

from server.ledger.ratelimit import Left
from server.ledger.standard_headers import draft8

REQUESTS, TOKENS = Left(20, 19, 2.1), Left(1000, 0, 360)


def test_both_limits_are_told() -> None:
    assert draft8(REQUESTS, TOKENS) == {
        "RateLimit-Policy": '"requests";q=20;w=60, "tokens";q=1000;w=60',
        "RateLimit": '"requests";r=19;t=3, "tokens";r=0;t=360',
    }


def test_nothing_is_told_of_what_is_not_limited() -> None:
    assert draft8(None, TOKENS) == {"RateLimit-Policy": '"tokens";q=1000;w=60', "RateLimit": '"tokens";r=0;t=360'}
    assert draft8(None, None) == {}


@pytest.mark.parametrize(("reset", "seconds"), [(0.012, 1), (59.0001, 60), (360, 360), (0, 0)])
def test_a_reset_is_never_told_too_early(reset: float, seconds: int) -> None:
    assert draft8(Left(20, 19, reset), None)["RateLimit"] == f'"requests";r=19;t={seconds}'
