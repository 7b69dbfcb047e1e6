"""News for feed readers: incidents, changes of keys, and the operator's notices."""

from __future__ import annotations

from collections.abc import Iterable

from server.ledger.when import iso
from server.policy.incidents import Incident, IncidentKind, detail, title
from server.policy.notices import Notice
from web.view_public import FeedEntry, FeedView

MOST = 50  # entries


def feed_view(name: str, base_url: str, incidents: Iterable[Incident], notices: Iterable[Notice], now: int) -> FeedView:
    """The newest first. A notice is news from its beginning on, scheduled maintenance before it; `now` is UTC ms."""
    news = [_notice(each, now) for each in notices if each.since <= now or each.shown_at(now)]
    found = [*map(_incident, incidents), *news]
    entries = sorted(found, key=lambda entry: (-entry.updated_ms, entry.id))[:MOST]
    updated = max((entry.updated_ms for entry in entries if entry.updated_ms <= now), default=now)
    return FeedView(name, base_url, updated, tuple(entries))


def _incident(incident: Incident) -> FeedEntry:
    ended = incident.ended_at is not None and incident.kind is not IncidentKind.KEY
    return FeedEntry(
        id=f"incident-{incident.id}",
        title=f"{title(incident)} (over)" if ended else title(incident),
        text=detail(incident),
        published_ms=incident.began_at,
        updated_ms=incident.began_at if incident.ended_at is None else incident.ended_at,
        kind="key" if incident.kind is IncidentKind.KEY else "incident",
    )


def _notice(notice: Notice, now: int) -> FeedEntry:
    ahead = notice.until is not None and now < notice.since
    times = f" (from {iso(notice.since)} until {iso(notice.until or 0)})" if ahead else ""
    return FeedEntry(
        id=f"notice-{notice.id}",
        title=notice.kind.value.capitalize(),
        text=notice.text + times,
        published_ms=notice.since,
        updated_ms=notice.since,
        kind=notice.kind.value,
    )
