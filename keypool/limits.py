"""A provider's headers about its limits, and about how long to wait.

Providers send each limit with every answer, in three headers: how much there may be, how much is left, and when it
will be full again. `NAMES` lists the headers of all providers. `retry_after` reads how long a refusal asks to wait.

A time comes in whatever form its provider likes (see `times`). Of two headers about one limit the one with less left
counts.

Known, and left out on purpose:
* anthropic-priority-*: what a commitment covers. Beyond it the standard limits serve, so it limits nothing.
* anthropic-fast-*: limits of the fast mode alone; they would throttle what is not fast.
* anthropic-ratelimit-unified-*: shares of a subscription, not amounts. Its reset is read when it refuses.
* *-month: a month's window says nothing about the next minute, and its refusal is a quota.
* "Please try again in 20s" in a message: a sentence for people is no interface, and its senders send headers too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import orjson

from keypool.times import DAY, HOUR, MINUTE, SECOND, duration, plain_number, seconds_until


class LimitMeasure(Enum):
    """The quantity that is limited. `TOKENS` counts input and output together."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    INPUT = "input-tokens"
    OUTPUT = "output-tokens"
    HOURLY = "requests per hour"
    HOURLY_TOKENS = "tokens per hour"
    DAILY = "requests per day"
    DAILY_TOKENS = "tokens per day"


@dataclass(frozen=True, slots=True)
class RateWindow:
    """One limit as a provider sends it. `refill`: seconds until it is full again; `period`: the seconds in which
    `limit` may be used. None where the provider does not send it."""

    limit: float
    remaining: float
    refill: float | None
    period: float | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """The three headers of one limit: `{}` stands for limit, remaining and reset."""

    pattern: str
    measure: LimitMeasure
    period: float | None = None


NAMES = (
    # OpenAI, Azure, xAI, DeepInfra, NVIDIA, vLLM's routers. The first is Groq's and OpenAI's smallest tiers' day.
    Name("x-ratelimit-{}-requests", LimitMeasure.REQUESTS),
    Name("x-ratelimit-{}-tokens", LimitMeasure.TOKENS),
    # Anthropic
    Name("anthropic-ratelimit-requests-{}", LimitMeasure.REQUESTS),
    Name("anthropic-ratelimit-tokens-{}", LimitMeasure.TOKENS),
    Name("anthropic-ratelimit-input-tokens-{}", LimitMeasure.INPUT),
    Name("anthropic-ratelimit-output-tokens-{}", LimitMeasure.OUTPUT),
    # Mistral, now and before
    Name("x-ratelimit-{}-req-minute", LimitMeasure.REQUESTS, MINUTE),
    Name("x-ratelimit-{}-tokens-minute", LimitMeasure.TOKENS, MINUTE),
    Name("x-ratelimitbysize-{}-minute", LimitMeasure.TOKENS, MINUTE),
    Name("ratelimitbysize-{}", LimitMeasure.TOKENS, MINUTE),
    # Cerebras, SambaNova
    Name("x-ratelimit-{}-requests-minute", LimitMeasure.REQUESTS, MINUTE),
    Name("x-ratelimit-{}-requests-hour", LimitMeasure.HOURLY, HOUR),
    Name("x-ratelimit-{}-tokens-hour", LimitMeasure.HOURLY_TOKENS, HOUR),
    Name("x-ratelimit-{}-requests-day", LimitMeasure.DAILY, DAY),
    Name("x-ratelimit-{}-tokens-day", LimitMeasure.DAILY_TOKENS, DAY),
    # Fireworks
    Name("x-ratelimit-{}-tokens-prompt", LimitMeasure.INPUT, MINUTE),
    Name("x-ratelimit-{}-tokens-cache-adjusted-prompt", LimitMeasure.INPUT, MINUTE),
    Name("x-ratelimit-{}-tokens-generated", LimitMeasure.OUTPUT, MINUTE),
    # OpenRouter, and Together, whose limits are per second and come with the second pair
    Name("x-ratelimit-{}", LimitMeasure.REQUESTS),
    Name("x-tokenlimit-{}", LimitMeasure.TOKENS, SECOND),
    # The drafts of the IETF up to -06
    Name("ratelimit-{}", LimitMeasure.REQUESTS),
)
OPENROUTER, TOGETHER = "x-ratelimit-{}", "x-tokenlimit-{}"
_PLACES = {each.pattern.format(part): (each, part) for each in NAMES for part in ("limit", "remaining", "reset")}
_DRAFT = frozenset({"ratelimit", "ratelimit-policy"})  # the IETF's drafts from -07

# Where no Retry-After is sent: the end of a window of which nothing is left, and the header that says so.
_ENDS = (
    ("x-ratelimit-reset", "x-ratelimit-remaining", "0"),
    ("ratelimit-reset", "ratelimit-remaining", "0"),
    ("ratelimitbysize-reset", "ratelimitbysize-remaining", "0"),
    ("anthropic-ratelimit-unified-reset", "anthropic-ratelimit-unified-status", "rejected"),
)
_ITEM = re.compile(r'(?:"([^"]*)"|([\w-]+))((?:;\s*\w+=[^,;]*)*)')  # of a list of structured fields, simplified
_PARAMETER = re.compile(r";\s*(\w+)=\"?([^,;\"]*)")
_LONGEST_REST = 7 * DAY


def windows(headers: Mapping[str, str], wall: float) -> dict[LimitMeasure, RateWindow]:
    """The limits in an answer's headers. `wall` is seconds since 1970, for the instants among them.

    Names are found however they are capitalised. What cannot be read is left out.
    """
    found: dict[LimitMeasure, RateWindow] = {}
    triples: dict[Name, dict[str, str]] = {}
    draft: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower()
        if (place := _PLACES.get(lower)) is not None:
            triples.setdefault(place[0], {}).setdefault(place[1], value)
        elif lower in _DRAFT:
            draft.setdefault(lower, value)
    per_second = any(each.pattern == TOGETHER for each in triples)
    for each, parts in triples.items():
        period = SECOND if per_second and each.pattern == OPENROUTER else each.period
        refill = seconds_until(parts.get("reset", ""), wall)
        _note(found, each.measure, parts.get("limit", ""), parts.get("remaining", ""), refill, period)
    if "ratelimit" in draft:
        _read_draft(found, draft["ratelimit"], draft.get("ratelimit-policy", ""))
    return found


def retry_after(headers: Mapping[str, str], wall: float, body: bytes = b"") -> float | None:
    """Seconds that a refusal asks to wait; None when it does not say, or says something absurd.

    In this order: `retry-after-ms`, `retry-after`, a machine-readable word in the body, the end of a used-up window.
    `headers` must be case-insensitive or lower case.
    """
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if (number := plain_number(headers.get(name, ""))) is not None and (rest := _rest(number / 1000)) is not None:
            return rest
    if (rest := _rest(seconds_until(headers.get("retry-after", ""), wall))) is not None:
        return rest
    if (rest := _rest(_in_body(body, wall))) is not None:
        return rest
    return _end_of_window(headers, wall)


def _rest(seconds: float | None) -> float | None:
    """A rest that may be believed: what has passed already, or lasts longer than a week, says nothing."""
    return seconds if seconds is not None and 0.0 <= seconds <= _LONGEST_REST else None


def _end_of_window(headers: Mapping[str, str], wall: float) -> float | None:
    for reset, sign, means in _ENDS:
        if headers.get(sign) == means:
            return _rest(seconds_until(headers.get(reset, ""), wall))
    used_up = [each for _, each in _items(headers.get("ratelimit", "")) if each.get("r") == "0"]
    waits = [_rest(plain_number(each.get("t", ""))) for each in used_up]
    return max((each for each in waits if each is not None), default=None)


def _in_body(body: bytes, wall: float) -> float | None:
    """Gemini's `google.rpc.RetryInfo` (it may put its error into a list), and the headers that OpenRouter passes on."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(document, list) and document:
        document = document[0]
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return None
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith("google.rpc.RetryInfo"):
            return duration(str(detail.get("retryDelay", "")))
    metadata = error.get("metadata")
    passed_on = metadata.get("headers") if isinstance(metadata, dict) else None
    if not isinstance(passed_on, dict):
        return None
    return retry_after({name.lower(): str(value) for name, value in passed_on.items()}, wall)


def _read_draft(found: dict[LimitMeasure, RateWindow], state: str, policy: str) -> None:
    """`RateLimit: "default";r=50;t=30` with `RateLimit-Policy: "default";q=100;w=60` (from -08), or
    `RateLimit: limit=100, remaining=50, reset=30` (-07)."""
    if state.startswith("limit="):
        parts = dict(part.strip().partition("=")[::2] for part in state.split(","))
        policies = {name: each.get("w", "") for name, each in _items(policy)}
        period = plain_number(policies.get(parts["limit"], ""))
        _note_draft(found, parts["limit"], parts.get("remaining", ""), parts.get("reset", ""), period, "requests")
        return
    quotas = dict(_items(policy))
    for name, each in _items(state):
        quota = quotas.get(name, {})
        unit = quota.get("qu", "tokens" if name == "tokens" else "requests")
        _note_draft(
            found, quota.get("q", ""), each.get("r", ""), each.get("t", ""), plain_number(quota.get("w", "")), unit
        )


def _note_draft(
    found: dict[LimitMeasure, RateWindow], limit: str, remaining: str, reset: str, period: float | None, unit: str
) -> None:
    """Note a limit whose header names no measure: its unit and its period do."""
    measures = {
        "requests": (LimitMeasure.REQUESTS, LimitMeasure.HOURLY, LimitMeasure.DAILY),
        "tokens": (LimitMeasure.TOKENS, LimitMeasure.HOURLY_TOKENS, LimitMeasure.DAILY_TOKENS),
    }.get(unit)
    if measures is not None:
        longer = period or MINUTE
        measure = measures[(longer >= HOUR) + (longer >= DAY)]
        _note(found, measure, limit, remaining, plain_number(reset), period or None)


def _items(text: str) -> list[tuple[str, dict[str, str]]]:
    return [(quoted or plain, dict(_PARAMETER.findall(rest))) for quoted, plain, rest in _ITEM.findall(text[:1000])]


def _note(
    found: dict[LimitMeasure, RateWindow],
    measure: LimitMeasure,
    limit: str,
    remaining: str,
    refill: float | None,
    period: float | None,
) -> None:
    most, left = plain_number(limit.partition(",")[0]), plain_number(remaining)
    if most is None or left is None or most <= 0:
        return
    window = RateWindow(most, min(left, most), None if refill is None else max(0.0, refill), period)
    if measure not in found or window.remaining < found[measure].remaining:
        found[measure] = window
