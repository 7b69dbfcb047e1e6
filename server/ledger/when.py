"""Instants as people write and read them: ISO 8601, always with a zone. Inside they are UTC milliseconds.

A time without a zone is no instant: it would mean another one to a reader elsewhere, and the sums of a month
would differ by who asked. So it is refused. The date has the extended form, nothing is optional but the seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_EARLIEST, _LATEST = 1970, 9998  # within these years every instant has a date in every zone

# A plus that was not escaped in a query arrives as a blank. Nothing else can be meant by it in front of a zone.
_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+ -]\d\d:\d\d)", re.ASCII)


def instant(text: str) -> int:
    """UTC milliseconds of an instant such as "2026-11-21T06:05:00Z"; finer digits are cut off.

    `ValueError` if it has no zone, is no date, or lies outside of the years 1970 to 9998.
    """
    parts = _ISO.fullmatch(text)
    if parts is None:
        raise ValueError("expected a time with a zone, such as 2026-11-21T06:05:00Z")
    time, zone = parts.groups()
    found = datetime.fromisoformat(time + zone.replace(" ", "+"))
    if not _EARLIEST <= found.year <= _LATEST:
        raise ValueError("expected a year from 1970 to 9998")
    return (found - _EPOCH) // _MS


def iso(ms: int) -> str:
    """An instant for people and spreadsheets, in UTC: "2026-11-21T06:05:00.000Z"."""
    return f"{(_EPOCH + ms * _MS).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
