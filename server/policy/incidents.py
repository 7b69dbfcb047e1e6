"""Incidents: noticed by looking every few seconds, shown by the status page and the feed.

A model is away when for a minute none of its keys could serve it; the store, when for a minute it could not be reached.
It began when it was first seen so. A restart lasts from the drain until a gateway is there again. A key's change is
shown when it lasts longer than a rest: its quota is gone, it is refused, paused, or well again. A key has no name here,
only that of its provider.

An incident is written while it lasts, again and again, with the time at which it was seen last: if the gateway dies
meanwhile, that time counts as its end. Several gateways see the same incident; `merged_incidents` makes one of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from web.wording import Wording

GRACE_MS = 60_000
STALE_MS = 180_000  # after so long without news of it, the gateway that saw it is dead
SAME_MS = 120_000  # what comes again within this time has never been over

_WELL = "ready"
_REPORTED = frozenset({"exhausted", "revoked", "paused"})


class IncidentKind(StrEnum):
    """The subject of an incident."""

    MODEL = "model"
    STORE = "store"
    RESTART = "restart"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Incident:
    """Times are UTC milliseconds. `subject` is a model, or the provider of a key; `detail` the new state of a key."""

    id: str
    kind: IncidentKind
    subject: str
    began_at: int
    seen_at: int
    ended_at: int | None = None
    detail: str = ""


Subject = tuple[IncidentKind, str]


@dataclass(frozen=True, slots=True)
class ReportedKey:
    """One key as it stands: "ready", "cooling", ... `provider` is its upstream's name."""

    provider: str
    state: str


class IncidentWatch:
    """Notices what begins and ends. `new_id` gives an id never used, which names no person."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._since: dict[Subject, int] = {}  # when each that ails was first seen so
        self._open: dict[Subject, Incident] = {}
        self._keys: dict[str, str] = {}

    def look(self, ailing: Mapping[Subject, bool], now: int) -> list[Incident]:
        """The incidents that have begun or ended since the last look. A subject that `ailing` lacks is well."""
        changed = [self._ended(subject, now) for subject in [*self._since] if not ailing.get(subject)]
        for subject in (subject for subject, ails in ailing.items() if ails):
            since = self._since.setdefault(subject, now)
            if now - since >= GRACE_MS and subject not in self._open:
                kind, name = subject
                self._open[subject] = Incident(self._new_id(), kind, name, since, now)
                changed.append(self._open[subject])
        return [each for each in changed if each is not None]

    def lasting(self, now: int) -> list[Incident]:
        """The incidents that are not over, as seen now."""
        return [replace(each, seen_at=now) for each in self._open.values()]

    def look_at_keys(self, keys: Mapping[str, ReportedKey], now: int) -> list[Incident]:
        """The keys whose state has changed, by ids that stay here. A new key is no incident."""
        changed = []
        for key_id, key in keys.items():
            state = key.state if key.state in _REPORTED else _WELL
            if self._keys.get(key_id, state) != state:
                changed.append(Incident(self._new_id(), IncidentKind.KEY, key.provider, now, now, now, state))
            self._keys[key_id] = state
        for gone in self._keys.keys() - keys.keys():
            del self._keys[gone]
        return changed

    def _ended(self, subject: Subject, now: int) -> Incident | None:
        del self._since[subject]
        incident = self._open.pop(subject, None)
        return None if incident is None else replace(incident, seen_at=now, ended_at=now)


def merged_incidents(incidents: Iterable[Incident], now: int) -> list[Incident]:
    """The incidents at `now`, the newest first.

    One that several gateways saw is one; a restart that took less than a minute is left out.
    """
    found: dict[tuple[IncidentKind, str, str], list[Incident]] = {}
    for each in sorted((_concluded(each, now) for each in incidents), key=lambda each: (each.began_at, each.id)):
        same = found.setdefault((each.kind, each.subject, each.detail), [])
        if same and each.began_at <= _end(same[-1], now) + SAME_MS:
            same[-1] = _joined(same[-1], each)
        else:
            same.append(each)
    worth = [each for same in found.values() for each in same if not _is_brief(each, now)]
    return sorted(worth, key=lambda each: (-each.began_at, each.id))


def title(incident: Incident) -> str:
    """An incident in a few words."""
    match incident.kind:
        case IncidentKind.MODEL:
            return Wording("%(model)s did not answer", model=incident.subject)
        case IncidentKind.STORE:
            return Wording("The database could not be reached")
        case IncidentKind.RESTART:
            return Wording("The gateway was restarted")
        case IncidentKind.KEY:
            return _BECAME.get(incident.detail, _changed)(incident.subject)


def _changed(name: str) -> Wording:
    return Wording("A key of %(upstream)s has changed", upstream=name)


def detail(incident: Incident) -> str:
    """One sentence more; empty where the title says it all."""
    return _SENTENCES.get(incident.kind, "")


def _concluded(incident: Incident, now: int) -> Incident:
    """An incident that no gateway has seen for long ended when it was seen last."""
    silent = incident.ended_at is None and now - incident.seen_at > STALE_MS
    return replace(incident, ended_at=incident.seen_at) if silent else incident


def _is_brief(incident: Incident, now: int) -> bool:
    return incident.kind is IncidentKind.RESTART and _end(incident, now) - incident.began_at < GRACE_MS


def _end(incident: Incident, now: int) -> int:
    return now if incident.ended_at is None else incident.ended_at


def _joined(first: Incident, second: Incident) -> Incident:
    both = (first.ended_at, second.ended_at)
    known = [end for end in both if end is not None]
    return replace(
        first, seen_at=max(first.seen_at, second.seen_at), ended_at=max(known) if len(known) == len(both) else None
    )


_BECAME: dict[str, Callable[[str], Wording]] = {
    "exhausted": lambda name: Wording("A key of %(upstream)s has used up its quota", upstream=name),
    "revoked": lambda name: Wording("A key of %(upstream)s is refused by the provider", upstream=name),
    "paused": lambda name: Wording("A key of %(upstream)s was paused", upstream=name),
    "ready": lambda name: Wording("A key of %(upstream)s is in use again", upstream=name),
}
_SENTENCES = {
    IncidentKind.MODEL: Wording("None of its keys could serve it."),
    IncidentKind.STORE: Wording("Requests went on as far as their budgets were known."),
    IncidentKind.RESTART: Wording("Running requests were finished before."),
}
