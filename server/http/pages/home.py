"""`/me`: what is left, what can be asked for, a chat, and the latest requests."""

from __future__ import annotations

from dataclasses import replace

from server.admin.request_search import search
from server.http.pages.me import MemberPage, caller_of
from server.http.pages.me_ledger import YOURS, limit_views, spent
from server.http.pages.me_requests import either_view
from server.ledger.reports import Days, Which
from server.store.base import Caller
from server.wire.openai import OPENAI
from web import render_me
from web.view_models import HomeView

ROWS = 5  # requests on the page


class HomePage(MemberPage):
    """`/me`"""

    async def draw(self, *path: str) -> bytes:
        services, me = self.services, self.me
        caller, today = await self._caller(), services.calendar.day(services.wall())
        rights = services.book.rights(caller.groups, services.wall())
        await services.refused.write()
        latest = await search(services.store, Which(person_id=me.id), "", ROWS, refused=None)
        names = {token.id: token.name for token in await services.store.tokens(me.id)}
        month = await spent(services, "", Days(person_id=me.id, first=f"{today[:7]}-01", last=today))
        view = HomeView(
            frame=self.frame,
            groups=rights.groups,
            limits=await limit_views(services, me, YOURS),
            models=await services.status_service.status.rows(services.admission.reached(caller, OPENAI)),
            requests=tuple(either_view(row, names) for row in latest.rows),
            base_url=self.base_url(),
            micro_usd_month=month.micro_usd,
            content_days=rights.content_days,
            content_group=rights.content_group,
        )
        return render_me.home_html(view)

    async def _caller(self) -> Caller:
        """The person with the terms of the token that began the session: it names the models."""
        visit, caller = await self.visit(), caller_of(self.me)
        return caller if visit is None or visit.token is None else replace(caller, terms=visit.token.terms)
