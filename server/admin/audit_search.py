"""The search in the audit log: by who made a change, what it is about, its object and its time; ids are found as names.

The log is read backwards and looked at here, because the store keeps no names with it: a person may be called otherwise
by now, and is found by what they are called today.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.admin.changes import Changes
from server.ledger.limits import Scope, limit_of, words
from server.ledger.reports import Cursor
from server.store.base import Audit, Store
from web.wording import Wording

BATCH, MOST_LOOKED_AT = 500, 10_000  # entries, for one answer
KINDS = (
    *("alias", "group", "invitation", "journal", "key", "limit", "notice", "pass", "person", "price", "request"),
    *("store", "token", "usage"),
)

Names = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Texts are parts of a name or an id; `kind` is what an action begins with. What is empty filters nothing.

    `since` and `until` (exclusive) are UTC milliseconds.
    """

    who: str = ""
    kind: str = ""
    what: str = ""
    since: int | None = None
    until: int | None = None

    def admits(self, entry: Audit, names: Names) -> bool:
        """Whether all that is asked for, but the time, is true of this entry."""
        if self.kind and entry.action.partition(".")[0] != self.kind:
            return False
        actor = f"{entry.actor}\n{names.get(entry.actor, '')}".casefold()
        target = f"{entry.target}\n{named_target(entry, names)}".casefold()
        return self.who.strip().casefold() in actor and self.what.strip().casefold() in target


async def find_changes(
    changes: Changes, wanted: AuditFilter, names: Names, after: Cursor | None, count: int
) -> tuple[list[Audit], Cursor | None]:
    """At most so many entries that are meant, the newest first, and where the next ones begin.

    Not all of the log is looked at for an answer in which there is little: the next one goes on where this one ends.
    """
    at = after or (None if wanted.until is None else (wanted.until, ""))
    found: list[Audit] = []
    for _ in range(MOST_LOOKED_AT // BATCH):
        entries = await changes.audits(at, BATCH)
        for entry in entries:
            if wanted.since is not None and entry.at < wanted.since:
                return found, None
            if not wanted.admits(entry, names):
                continue
            if len(found) == count:
                return found, (found[-1].at, found[-1].id)
            found.append(entry)
        if len(entries) < BATCH:
            return found, None
        at = entries[-1].at, entries[-1].id
    return found, at


async def names_of_all(store: Store) -> dict[str, str]:
    """The names of people by id, and those of tokens with their owners'."""
    people = {person.id: person.name for person in await store.people()}
    return people | {each.id: f"{people.get(each.person_id, '')}: {each.name}" for each in await store.tokens()}


def named_target(entry: Audit, names: Names) -> str:
    """What was changed, as people call it: a limit by its sentence, all else by its name."""
    if entry.action.startswith("limit."):
        try:
            limit = limit_of(entry.target, entry.after or entry.before or {})
        except ValueError:
            return entry.target
        subject = limit.person or limit.subject
        whose = Wording("each person") if limit.scope is Scope.EVERYONE else names.get(subject, subject)
        return Wording("%(whose)s: %(limit)s", whose=whose, limit=words(limit))
    return names.get(entry.target, entry.target)
