"""`/admin/audit`: every change, who made it, and how it was before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from server.http.pages.admin import AdminPage
from server.ledger.money import usd
from server.ledger.question import cursor, cursor_text
from server.ledger.when import iso
from server.store.base import Audit
from web import render_admin
from web.view_admin import AuditRow, AuditView

PAGE = 50
INSTANTS = ("since", "until", "extra_until", "valid_from", "at")
AMOUNTS = ("amount", "extra")


class AuditPage(AdminPage):
    """`/admin/audit?after=`, the newest first."""

    async def draw(self, *path: str) -> bytes:
        after, names = self.asked("after"), await self.names()
        found = await self.services.changes.audits(cursor({"cursor": after} if after else {}), PAGE + 1)
        page = found[:PAGE]
        rows = tuple(_row(entry, names) for entry in page)
        more = cursor_text((page[-1].at, page[-1].id)) if len(found) > PAGE else None
        return render_admin.audit_html(AuditView(self.frame, rows, more))


def _row(entry: Audit, names: Mapping[str, str]) -> AuditRow:
    return AuditRow(
        at_ms=entry.at,
        actor=names.get(entry.actor, entry.actor),
        action=entry.action,
        target=names.get(entry.target, entry.target),
        before=tuple(_lines(entry.before or {})),
        after=tuple(_lines(entry.after or {})),
    )


def _lines(body: Mapping[str, Any]) -> Iterator[str]:
    """One line for each field."""
    for name, value in body.items():
        in_money = name in AMOUNTS and body.get("unit") == "usd"
        yield f"{name}: {f'{usd(value)} USD' if in_money else _words(name, value)}"


def _words(name: str, value: object) -> str:
    if value is None or value in ("", [], ()):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and (name in INSTANTS or name.endswith("_at")):
        return iso(value)
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
