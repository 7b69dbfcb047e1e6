"""The operator's notices to all: an announcement, maintenance, an incident.

A notice is one line of plain text with a beginning and an end. It is shown as it is, on pages as in headers, so nothing
in it is ever taken for markup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from web.wording import Wording

LONGEST = 500  # characters
_LATEST = 10**14  # milliseconds since 1970
_FIELDS = {"kind", "text", "since", "until"}


class NoticeKind(StrEnum):
    """The kind of a notice."""

    ANNOUNCEMENT = "announcement"
    MAINTENANCE = "maintenance"
    INCIDENT = "incident"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice. Times are UTC milliseconds; `until` is exclusive, and None is until it is removed."""

    id: str
    kind: NoticeKind
    text: str
    since: int
    until: int | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError(Wording("id: expected a name"))
        if not 0 < len(self.text) <= LONGEST or not self.text.isprintable() or not self.text.strip():
            raise ValueError(
                Wording("text: expected one line of at most %(longest)s printable characters", longest=LONGEST)
            )
        if not 0 <= self.since < _LATEST or (self.until is not None and not 0 <= self.until < _LATEST):
            raise ValueError(Wording("since, until: expected milliseconds since 1970"))
        if self.until is not None and self.until <= self.since:
            raise ValueError(Wording("until: expected a time after since"))

    def holds_at(self, now: int) -> bool:
        return self.since <= now and (self.until is None or now < self.until)

    def shown_at(self, now: int) -> bool:
        """Whether it is public: while it holds, and maintenance from the moment it is scheduled on."""
        ahead = self.kind is NoticeKind.MAINTENANCE and now < self.since
        return ahead or self.holds_at(now)


def notice_body(notice: Notice) -> dict[str, Any]:
    """The body of a record of kind "notice"."""
    return {"kind": str(notice.kind), "text": notice.text, "since": notice.since, "until": notice.until}


def notice_of(notice_id: str, body: Mapping[str, Any]) -> Notice:
    """A record's notice. `ValueError` names the field that is wrong, never what was written there."""
    if not set(body) <= _FIELDS:
        raise ValueError("expected no other fields than " + ", ".join(sorted(_FIELDS)))
    text, since, until = body.get("text"), body.get("since"), body.get("until")
    if not isinstance(text, str):
        raise ValueError(Wording("text: expected a text"))
    if type(since) is not int or not (until is None or type(until) is int):
        raise ValueError(Wording("since, until: expected milliseconds since 1970"))
    return Notice(notice_id, _kind(body.get("kind")), text, since, until)


def _kind(value: object) -> NoticeKind:
    try:
        return NoticeKind(str(value))
    except ValueError:
        raise ValueError("kind: expected one of " + ", ".join(NoticeKind)) from None
