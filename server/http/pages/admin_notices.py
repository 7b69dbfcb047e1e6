"""`/admin/notices`: the notices that all people read, scheduled maintenance, and whether the gateway is closed now."""

from __future__ import annotations

from server.admin.commands import closing
from server.http.pages.admin import AdminPage
from server.http.pages.forms import Done, Form, FormError, sentence
from server.policy.maintenance import maintenance
from server.policy.notices import Notice, NoticeKind, notice_of
from server.status.views import notice_view
from web import render_admin
from web.view_admin import NoticeRow, NoticesView
from web.wording import Wording

NOTICES = "/admin/notices"


class NoticesPage(AdminPage):
    """`/admin/notices`, the latest first."""

    async def draw(self, *path: str) -> bytes:
        now = self.services.wall()
        known = sorted(await self.services.changes.notices(), key=lambda notice: -notice.since)
        rows = tuple(NoticeRow(each.id, notice_view(each), each.shown_at(now)) for each in known)
        shut = maintenance(self.services.book.notices, now) is not None
        return render_admin.notices_html(NoticesView(self.frame, rows, shut))

    async def announce(self, form: Form) -> Done:
        since = form.moment("since")
        begins = self.services.wall() if since is None else since
        notice = self._read(form, form.needed("kind"), begins, form.moment("until"))
        await closing.announce(self.services.changes, self.me.id, notice)
        return Done("notice-set", NOTICES)

    async def schedule(self, form: Form) -> Done:
        """Maintenance that begins later, and that all people read beforehand."""
        form.needed("since")
        form.needed("until")
        notice = self._read(form, NoticeKind.MAINTENANCE, form.moment("since") or 0, form.moment("until"))
        await closing.schedule(self.services.changes, self.me.id, notice, self.services.wall())
        return Done("maintenance-scheduled", NOTICES)

    async def remove(self, _: Form, notice_id: str) -> Done:
        await self.services.changes.remove_notice(self.me.id, notice_id)
        return Done("notice-removed", NOTICES)

    async def close(self, form: Form) -> Done:
        """Turn requests away from now on."""
        services, until = self.services, form.moment("until")
        hit = closing.hit(await services.everywhere.live())
        form.insist(Wording("Close the gateway now?"), hit.lines(), Wording("Close it now"))
        await closing.close(services.changes, self.me.id, services.wall(), form.text("text"), until)
        return Done("maintenance-on", NOTICES)

    async def reopen(self, _: Form) -> Done:
        await closing.reopen(self.services.changes, self.me.id, self.services.wall())
        return Done("maintenance-off", NOTICES)

    def _read(self, form: Form, kind: str, since: int, until: int | None) -> Notice:
        body = {"kind": kind, "text": form.needed("text"), "since": since, "until": until}
        try:
            return notice_of(self.services.changes.new_id(), body)
        except ValueError as error:
            raise FormError(sentence(error)) from None
