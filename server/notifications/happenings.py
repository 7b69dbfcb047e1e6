"""What happens to the gateway, as events for its operator: a key that is lost, a model or the store that is away,
maintenance that is scheduled.

They are seen by looking every few seconds, as the status page's incidents are (`policy/incidents.py`): a model or the
store is away after a minute of it, and a key is lost when the provider refuses it or its quota is gone. The id of each
event names the hour or the day, so that gateways that see the same make the same: of a key and a state there is one
message a day, of a model and of the store one an hour. The states of keys are not kept over a restart, so that a key
which is still lost then is seen anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from keypool.health import KeyState
from keypool.snapshot import PoolSnapshot
from server.ledger.calendar import Calendar
from server.policy.incidents import Incident, IncidentKind, IncidentWatch, ReportedKey, Subject
from server.policy.notices import NoticeKind, notice_of
from server.policy.notifications import HOUR_MS, Event, EventKind
from server.store.base import Record

LOST = frozenset({KeyState.EXHAUSTED.value, KeyState.REVOKED.value})
SERVABLE = frozenset({KeyState.READY, KeyState.UNCHECKED})


class HappeningsWatch:
    """`new_id` gives an id never used; no event's id has it."""

    def __init__(self, calendar: Calendar, new_id: Callable[[], str]) -> None:
        self._calendar, self._watch = calendar, IncidentWatch(new_id)

    def look(self, pool: PoolSnapshot, *, well: bool, notices: Iterable[Record], now: int) -> list[Event]:
        """What has begun since the last look, and all maintenance that lies ahead. `well`: the store is reached.

        `now`: UTC milliseconds.
        """
        ailing: dict[Subject, bool] = {
            (IncidentKind.MODEL, model.name): SERVABLE.isdisjoint(model.keys) for model in pool.models
        }
        ailing[IncidentKind.STORE, ""] = not well
        begun = [each for each in self._watch.look(ailing, now) if each.ended_at is None]
        keys = {each.id: ReportedKey(f"{each.upstream}/{each.id}", each.state.value) for each in pool.keys}
        lost = [each for each in self._watch.look_at_keys(keys, now) if each.detail in LOST]
        return [*map(_away, begun), *(self._key_lost(each) for each in lost), *_ahead(notices, now)]

    def _key_lost(self, incident: Incident) -> Event:
        upstream, _, key = incident.subject.rpartition("/")
        at = incident.began_at
        name = f"{EventKind.KEY}/{key}/{incident.detail}/{self._calendar.day(at)}"
        return Event(name, EventKind.KEY, at, {"upstream": upstream, "key": key, "state": incident.detail}, at)


def _away(incident: Incident) -> Event:
    kind = EventKind.STORE if incident.kind is IncidentKind.STORE else EventKind.MODEL
    facts: Mapping[str, object] = {"since": incident.began_at}
    if kind is EventKind.MODEL:
        facts = {**facts, "model": incident.subject}
    name = f"{kind}/{incident.subject}/{incident.began_at // HOUR_MS}"
    return Event(name, kind, incident.seen_at, facts, incident.seen_at)


def _ahead(records: Iterable[Record], now: int) -> list[Event]:
    """Maintenance that is announced and has not begun. What cannot be read is left out here as elsewhere."""
    found = []
    for record in records:
        try:
            notice = notice_of(record.id, record.body)
        except ValueError:
            continue
        if notice.kind is NoticeKind.MAINTENANCE and now < notice.since and notice.until is not None:
            name = f"{EventKind.MAINTENANCE}/{notice.id}/{notice.since}/{notice.until}"
            facts = {"text": notice.text, "since": notice.since, "until": notice.until}
            found.append(Event(name, EventKind.MAINTENANCE, now, facts, notice.until))
    return found
