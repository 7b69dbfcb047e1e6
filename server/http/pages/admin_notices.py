"""`/admin/notices`: what everyone reads, and whether requests are turned away."""

from __future__ import annotations

from server.http.pages.admin import AdminPage
from server.http.pages.forms import Done, Form, FormError, sentence
from server.policy.maintenance import maintenance
from server.policy.notices import Notice, NoticeKind, notice_of
from server.status.views import notice_view
from web import render_admin
from web.view_admin import NoticeRow, NoticesView

NOTICES = "/admin/notices"
AT_WORK = "The operator is at work; new requests are turned away."


class NoticesPage(AdminPage):
    """`/admin/notices`, the latest first."""

    async def draw(self, *path: str) -> bytes:
        now = self.services.wall()
        known = sorted(await self.services.changes.notices(), key=lambda notice: -notice.since)
        rows = tuple(NoticeRow(each.id, notice_view(each), each.holds_at(now)) for each in known)
        shut = maintenance(self.services.book.notices, now) is not None
        return render_admin.notices_html(NoticesView(self.frame, rows, shut))

    async def announce(self, form: Form) -> Done:
        since = form.moment("since")
        body = {
            "kind": form.needed("kind"),
            "text": form.needed("text"),
            "since": self.services.wall() if since is None else since,
            "until": form.moment("until"),
        }
        try:
            notice = notice_of(self.services.changes.new_id(), body)
        except ValueError as error:
            raise FormError(sentence(error)) from None
        await self.services.changes.set_notice(self.me.id, notice)
        return Done("notice-set", NOTICES)

    async def remove(self, _: Form, notice_id: str) -> Done:
        await self.services.changes.remove_notice(self.me.id, notice_id)
        return Done("notice-removed", NOTICES)

    async def switch(self, form: Form) -> Done:
        """Turn requests away from now on, or serve them again."""
        changes, now = self.services.changes, self.services.wall()
        if form.needed("on") == "yes":
            await changes.set_notice(self.me.id, Notice(changes.new_id(), NoticeKind.MAINTENANCE, AT_WORK, now))
            return Done("maintenance-on", NOTICES)
        for notice in await changes.notices():
            if notice.kind is NoticeKind.MAINTENANCE and notice.holds_at(now):
                await changes.remove_notice(self.me.id, notice.id)
        return Done("maintenance-off", NOTICES)
