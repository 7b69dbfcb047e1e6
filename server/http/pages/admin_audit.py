"""`/admin/audit`: every change, who made it, and how it was before; filtered by what stands in the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.admin.commands.undo import is_undoable, undo
from server.admin.differences import lines
from server.http.pages.admin import AdminPage
from server.http.pages.forms import Done, Form
from server.ledger.limits import Scope, limit_of, words
from server.ledger.question import cursor, cursor_text
from server.ledger.reports import Cursor
from server.store.base import DONE, FAILED, PENDING, Audit
from web import render_admin
from web.listing import Listing
from web.view_admin import AuditRow, AuditView
from web.wording import Wording

AUDIT = "/admin/audit"
PAGE = 50
BATCH, MOST_LOOKED_AT = 500, 10_000  # entries, for one page
OUTCOMES = {DONE: "", PENDING: Wording("begun; its end is not known"), FAILED: Wording("made in part")}
KINDS = (
    *("alias", "group", "invitation", "journal", "key", "limit", "notice", "pass", "person", "price", "request"),
    *("store", "token", "usage"),
)

Names = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Texts are parts of a name or an id; `kind` is what an action begins with. What is empty filters nothing."""

    who: str = ""
    kind: str = ""
    what: str = ""

    def admits(self, entry: Audit, names: Names) -> bool:
        """Whether all that is asked for is true of this entry."""
        if self.kind and entry.action.partition(".")[0] != self.kind:
            return False
        actor = f"{entry.actor}\n{names.get(entry.actor, '')}".casefold()
        target = f"{entry.target}\n{named_target(entry, names)}".casefold()
        return self.who.strip().casefold() in actor and self.what.strip().casefold() in target


class AuditPage(AdminPage):
    """`/admin/audit?who=&kind=&what=&first=&last=&after=`, the newest first."""

    async def draw(self, *path: str) -> bytes:
        asked = {name: self.asked(name) for name in ("who", "kind", "what", "first", "last")}
        wanted = AuditFilter(asked["who"], asked["kind"], asked["what"])
        names = await self._names_of_all()
        found, more = await self._page(wanted, names)
        kinds = tuple((kind, kind) for kind in KINDS)
        rows = tuple(_row(entry, names) for entry in found)
        view = AuditView(self.frame, rows, more and cursor_text(more), Listing(AUDIT, asked), kinds)
        return render_admin.audit_html(view)

    async def undo(self, _: Form, entry_id: str) -> Done:
        await undo(self.services.changes, self.me.id, entry_id)
        return Done("undone", AUDIT)

    async def _page(self, wanted: AuditFilter, names: Names) -> tuple[list[Audit], Cursor | None]:
        """One page of the entries that are meant, and where the next one goes on.

        Not all of the log is looked at for a page on which there is little: then the next one goes on there.
        """
        calendar, after = self.services.calendar, self.asked("after")
        begins, ends = self.day("first", calendar.starts), self.day("last", calendar.ends)
        at = cursor({"cursor": after}) if after else None if ends is None else (ends, "")
        found: list[Audit] = []
        for _ in range(MOST_LOOKED_AT // BATCH):
            entries = await self.services.changes.audits(at, BATCH)
            for entry in entries:
                if begins is not None and entry.at < begins:
                    return found, None
                if not wanted.admits(entry, names):
                    continue
                if len(found) == PAGE:
                    return found, (found[-1].at, found[-1].id)
                found.append(entry)
            if len(entries) < BATCH:
                return found, None
            at = entries[-1].at, entries[-1].id
        return found, at

    async def _names_of_all(self) -> dict[str, str]:
        """Those of people, and of tokens with their owners'."""
        people = await self.names()
        tokens = await self.services.store.tokens()
        return people | {each.id: f"{people.get(each.person_id, '')}: {each.name}" for each in tokens}


def named_target(entry: Audit, names: Names) -> str:
    """What was changed, as people call it: a limit by its sentence, all else by its name."""
    if entry.action.startswith("limit."):
        try:
            limit = limit_of(entry.target, entry.after or entry.before or {})
        except ValueError:
            return entry.target
        whose = Wording("each person") if limit.scope is Scope.EVERYONE else names.get(limit.subject, limit.subject)
        return Wording("%(whose)s: %(limit)s", whose=whose, limit=words(limit))
    return names.get(entry.target, entry.target)


def _row(entry: Audit, names: Names) -> AuditRow:
    return AuditRow(
        at_ms=entry.at,
        actor=names.get(entry.actor, entry.actor),
        action=entry.action,
        target=named_target(entry, names),
        before=tuple(lines(entry.before or {}, names)),
        after=tuple(lines(entry.after or {}, names)),
        id=entry.id if is_undoable(entry) else "",
        outcome=OUTCOMES[entry.outcome],
        target_id=entry.target,
    )
