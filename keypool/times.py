"""A time as the providers write it.

In whatever form each of them likes: seconds ("7", "1.5"), a Go duration ("6m0s", "17ms"), an HTTP date, an RFC 3339
instant, or seconds or milliseconds since 1970. A number is a duration up to a month, and an epoch where it means an
instant within a month of now; what fits neither is not believed. So an epoch never makes a day's limit of a minute's.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

SECOND, MINUTE, HOUR, DAY = 1.0, 60.0, 3600.0, 86_400.0
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")
_NUMBER = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)
_MOST = 1e12  # what is larger is a mistake or an attack
_FARTHEST = 31 * DAY  # no limit is longer than a month


def seconds_until(text: str, wall: float) -> float | None:
    """Seconds from now to the time that a header tells, in any of the forms above. Negative: it has passed."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number <= _FARTHEST:
            return number
        distances = (number - wall, number / 1000 - wall)
        return next((each for each in distances if abs(each) <= _FARTHEST), None)
    seconds = duration(text)
    if seconds is None and (instant := _instant(text)) is not None:
        seconds = instant - wall
    return seconds if seconds is not None and seconds <= _FARTHEST else None


def duration(text: str) -> float | None:
    """Seconds of a Go duration: "17ms" is 0.017, "1d2h" is 93600, a bare number is seconds; None if it is neither."""
    text = text.strip()
    if _DURATION.fullmatch(text):
        return min(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)), _MOST)
    return plain_number(text)


def _instant(text: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 instant or of an HTTP date. Without an offset an instant could be anywhere."""
    try:
        instant = datetime.fromisoformat(text)
        return instant.timestamp() if instant.tzinfo is not None else None
    except (ValueError, OverflowError):
        pass
    if not text[:3].isalpha():
        return None  # an HTTP date begins with its weekday
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def plain_number(text: str) -> float | None:
    """A number without sign, exponent or blanks, cut at 10^12; None if it is none."""
    return min(float(text), _MOST) if _NUMBER.fullmatch(text) else None
