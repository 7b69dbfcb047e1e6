"""What a provider says about its limits, in the headers of every answer.

OpenAI and compatibles:  x-ratelimit-{limit,remaining,reset}-{requests,tokens}; reset is a Go duration (17ms, 1s, 6m0s)
Anthropic:               anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset};
                         reset is an instant (RFC 3339)

Both say the same: how much there may be, how much is left, and when it will be full again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class Measure(Enum):
    """What is limited. `TOKENS` counts input and output together."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    INPUT = "input-tokens"
    OUTPUT = "output-tokens"
    DAILY = "requests per day"


@dataclass(frozen=True, slots=True)
class Window:
    """One limit as a provider tells it. `refill`: seconds until it is full again, None if not told."""

    limit: float
    remaining: float
    refill: float | None


# Which headers tell a limit, what remains of it, and when it is full again.
_OPENAI = [
    (each, f"x-ratelimit-limit-{each.value}", f"x-ratelimit-remaining-{each.value}", f"x-ratelimit-reset-{each.value}")
    for each in (Measure.REQUESTS, Measure.TOKENS)
]
_ANTHROPIC = [
    (each, f"{prefix}-limit", f"{prefix}-remaining", f"{prefix}-reset")
    for each in (Measure.REQUESTS, Measure.TOKENS, Measure.INPUT, Measure.OUTPUT)
    for prefix in (f"anthropic-ratelimit-{each.value}",)
]
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")
_MOST = 1e12  # what is larger is a mistake or an attack


def windows(headers: Mapping[str, str], wall: float) -> dict[Measure, Window]:
    """The limits that an answer's headers tell. `wall` is seconds since 1970, for the instants among them.

    `headers` must be case-insensitive or lower case. What cannot be read is left out.
    """
    found: dict[Measure, Window] = {}
    for measure, limit, remaining, reset in _OPENAI:
        if limit in headers:
            _note(found, measure, headers[limit], headers.get(remaining), duration(headers.get(reset, "")))
    for measure, limit, remaining, reset in _ANTHROPIC:
        if limit in headers:
            _note(found, measure, headers[limit], headers.get(remaining), _until(headers.get(reset, ""), wall))
    return found


def duration(text: str) -> float | None:
    """Seconds of a Go duration: "17ms" is 0.017, "1d2h" is 93600, a bare number is seconds; None if it is neither."""
    text = text.strip()
    if _DURATION.fullmatch(text):
        return min(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)), _MOST)
    return _number(text)


def _until(text: str, wall: float) -> float | None:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return max(0.0, instant.timestamp() - wall) if instant.tzinfo is not None else None


def _note(
    found: dict[Measure, Window], measure: Measure, limit: str, remaining: str | None, refill: float | None
) -> None:
    most, left = _number(limit), _number(remaining or "")
    if most is not None and left is not None and most > 0:
        found[measure] = Window(most, min(left, most), refill)


def _number(text: str) -> float | None:
    if not re.fullmatch(r"\d{1,15}(\.\d{1,9})?", text, re.ASCII):
        return None
    return min(float(text), _MOST)
