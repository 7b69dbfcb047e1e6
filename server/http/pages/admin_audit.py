"""`/admin/audit`: every change, who made it, and how it was before; filtered by what stands in the address."""

from __future__ import annotations

from collections.abc import Mapping

from server.admin.audit_search import KINDS, AuditFilter, find_changes, named_target, names_of_all
from server.admin.commands.undo import is_undoable, undo
from server.admin.differences import lines
from server.http.pages.admin import AdminPage
from server.http.pages.forms import Done, Form
from server.ledger.question import cursor, cursor_text
from server.store.base import DONE, FAILED, PENDING, Audit
from web import render_admin
from web.listing import Listing
from web.view_admin import AuditRow, AuditView
from web.wording import Wording

AUDIT = "/admin/audit"
PAGE = 50
OUTCOMES = {DONE: "", PENDING: Wording("begun; its end is not known"), FAILED: Wording("made in part")}


class AuditPage(AdminPage):
    """`/admin/audit?who=&kind=&what=&first=&last=&after=`, the newest first."""

    async def draw(self, *path: str) -> bytes:
        asked = {name: self.asked(name) for name in ("who", "kind", "what", "first", "last")}
        after = self.asked("after")
        calendar, names = self.services.calendar, await names_of_all(self.services.store)
        since, until = self.day("first", calendar.starts), self.day("last", calendar.ends)
        wanted = AuditFilter(asked["who"], asked["kind"], asked["what"], since, until)
        behind = cursor({"cursor": after}) if after else None
        found, more = await find_changes(self.services.changes, wanted, names, behind, PAGE)
        rows, kinds = tuple(_row(entry, names) for entry in found), tuple((kind, kind) for kind in KINDS)
        view = AuditView(self.frame, rows, more and cursor_text(more), Listing(AUDIT, asked), kinds)
        return render_admin.audit_html(view)

    async def undo(self, _: Form, entry_id: str) -> Done:
        await undo(self.services.changes, self.me.id, entry_id)
        return Done("undone", AUDIT)


def _row(entry: Audit, names: Mapping[str, str]) -> AuditRow:
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
