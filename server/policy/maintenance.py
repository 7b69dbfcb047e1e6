"""Maintenance: while a notice of that kind holds, only administrators are served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

from server.policy.notices import Notice, NoticeKind, notice_of
from server.wire.errors import Maintenance


class Stored(Protocol):
    """A notice as the store keeps it."""

    @property
    def id(self) -> str: ...
    @property
    def body(self) -> Mapping[str, Any]: ...


def maintenance(records: Iterable[Stored], now: int) -> Maintenance | None:
    """The maintenance that holds at `now`, UTC milliseconds; None while the gateway is open.

    The notice's own words are for pages: a refusal says what the catalogue says, and when to come back.
    """
    ends = [
        notice.until for notice in _notices(records) if notice.kind is NoticeKind.MAINTENANCE and notice.holds_at(now)
    ]
    if not ends:
        return None
    known = [end for end in ends if end is not None]
    return Maintenance(retry_after=(max(known) - now) / 1000) if len(known) == len(ends) else Maintenance()


def _notices(records: Iterable[Stored]) -> Iterator[Notice]:
    """Those that can be read: one that was written by hand, and wrongly, closes nothing."""
    for record in records:
        with suppress(ValueError):
            yield notice_of(record.id, record.body)
