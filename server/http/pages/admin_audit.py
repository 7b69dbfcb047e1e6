"""`/admin/audit`: every change, who made it, and how it was before."""

from __future__ import annotations

from collections.abc import Mapping

from server.admin.commands.undo import is_undoable, undo
from server.admin.differences import lines
from server.http.pages.admin import AdminPage
from server.http.pages.forms import Done, Form
from server.ledger.question import cursor, cursor_text
from server.store.base import DONE, FAILED, PENDING, Audit
from web import render_admin
from web.view_admin import AuditRow, AuditView

AUDIT = "/admin/audit"
PAGE = 50
OUTCOMES = {DONE: "", PENDING: "begun; its end is not known", FAILED: "made in part"}


class AuditPage(AdminPage):
    """`/admin/audit?after=`, the newest first."""

    async def draw(self, *path: str) -> bytes:
        after, names = self.asked("after"), await self.names()
        found = await self.services.changes.audits(cursor({"cursor": after} if after else {}), PAGE + 1)
        page = found[:PAGE]
        rows = tuple(_row(entry, names) for entry in page)
        more = cursor_text((page[-1].at, page[-1].id)) if len(found) > PAGE else None
        return render_admin.audit_html(AuditView(self.frame, rows, more))

    async def undo(self, _: Form, entry_id: str) -> Done:
        await undo(self.services.changes, self.me.id, entry_id)
        return Done("undone", AUDIT)


def _row(entry: Audit, names: Mapping[str, str]) -> AuditRow:
    return AuditRow(
        at_ms=entry.at,
        actor=names.get(entry.actor, entry.actor),
        action=entry.action,
        target=names.get(entry.target, entry.target),
        before=tuple(lines(entry.before or {})),
        after=tuple(lines(entry.after or {})),
        id=entry.id if is_undoable(entry) else "",
        outcome=OUTCOMES[entry.outcome],
    )
