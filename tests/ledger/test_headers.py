"""What callers read about their limits."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keypool.limits import windows
from keypool.times import duration as read_duration
from server.ledger.headers import duration, limit_headers
from server.ledger.ratelimit import Left

DOCS = (Path(__file__).parents[2] / "docs" / "limits.md").read_text()
NOW = int(datetime(2026, 11, 21, 6, 5, tzinfo=UTC).timestamp() * 1000)
REQUESTS, TOKENS = Left(20, 17, 42), Left(40_000, 31_500, 59.2)
EXAMPLES = [
    dict(line.split(": ") for line in block.splitlines())
    for block in re.findall(r"```\n(\S+-ratelimit-.*?)\n```|```\n(x-ratelimit-.*?)\n```", DOCS, re.DOTALL)
    for block in block
    if block
]


def test_openais_headers_are_as_documented() -> None:
    assert limit_headers("openai", REQUESTS, TOKENS, 3_750_000, NOW) == EXAMPLES[0]


def test_anthropics_headers_are_as_documented() -> None:
    assert limit_headers("anthropic", REQUESTS, TOKENS, 3_750_000, NOW) == EXAMPLES[1]


def test_nothing_is_said_about_what_is_not_limited() -> None:
    assert limit_headers("openai", None, None, None, NOW) == {}
    assert limit_headers("anthropic", None, None, 0, NOW) == {"x-fairgate-budget-remaining-usd": "0.00"}
    assert set(limit_headers("openai", None, TOKENS, None, NOW)) == {
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0001, "1ms"),
        (0.017, "17ms"),
        (0.9995, "1s"),
        (1, "1s"),
        (1.001, "2s"),
        (59.5, "1m0s"),
        (360, "6m0s"),
        (3605, "1h0m5s"),
    ],
)
def test_durations_are_written_as_openai_does_and_rounded_up(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    read = read_duration(text)
    assert read is not None
    assert read >= seconds


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_another_fairgate_reads_the_headers_as_they_are_meant(dialect: str) -> None:
    read = windows(limit_headers(dialect, REQUESTS, TOKENS, None, NOW), NOW / 1000)
    assert {measure.value: (it.limit, it.remaining, it.refill) for measure, it in read.items()} == {
        "requests": (20, 17, 42),
        "tokens": (40_000, 31_500, 60),
    }


def test_an_instant_within_a_second_is_rounded_up() -> None:
    headers = limit_headers("anthropic", Left(1, 0, 0.5), None, None, NOW + 700)
    assert headers["anthropic-ratelimit-requests-reset"] == "2026-11-21T06:05:02Z"
