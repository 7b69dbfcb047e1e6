"""`/me/usage`: what a person has used, by day and model."""

from __future__ import annotations

from typing import cast

from server.http.pages.me import MemberPage, caller_of
from server.http.pages.me_ledger import cells, first_day, page_of_requests, request_view, spent
from server.ledger.question import cursor, cursor_text
from server.ledger.reports import Days, Which
from server.wire.errors import InvalidValue
from web import render_me
from web.view_me import MeView, SpentView
from web.view_public import MEASURES, Measure
from web.wording import Wording

DAYS = 30  # of the chart
ROWS = 25  # requests on a page
MOST_TERMS = 3


class UsagePage(MemberPage):
    """`/me/usage?by=&after=`"""

    async def draw(self, *path: str) -> bytes:
        services, me = self.services, self.me
        if (by := self.asked("by", "cost")) not in MEASURES:
            raise InvalidValue("by")
        today = services.calendar.day(services.wall())
        first, rights = first_day(today, DAYS), services.book.rights(caller_of(me).groups, services.wall())
        after = self.asked("after")
        rows, older = await page_of_requests(
            services, Which(person_id=me.id), cursor({"cursor": after} if after else {}), ROWS
        )
        names = {token.id: token.name for token in await services.store.tokens(me.id)}
        view = MeView(
            frame=self.frame,
            groups=rights.groups,
            spent=await self._spent(today, rights.groups),
            first_day=first,
            last_day=today,
            cells=await cells(services, Days(person_id=me.id, first=first, last=today)),
            requests=tuple(request_view(row, names) for row in rows),
            by=cast(Measure, by),
            older=cursor_text(older) if older else None,
        )
        return render_me.me_html(view)

    async def _spent(self, today: str, groups: tuple[str, ...]) -> tuple[SpentView, ...]:
        """Today, this month, and the terms of the groups that have one."""
        services, me = self.services, self.me.id
        stretches: list[tuple[str, Days]] = [
            (Wording("Today"), Days(person_id=me, first=today, last=today)),
            (Wording("This month"), Days(person_id=me, first=f"{today[:7]}-01", last=today)),
        ]
        for name in groups[:MOST_TERMS]:
            group = services.book.groups.get(name)
            if group is not None and group.since is not None and group.until is not None:
                begun = services.calendar.day(group.since)
                stretches.append((name, Days(person_id=me, group=name, first=begun, last=today)))
        return tuple([await spent(services, label, days) for label, days in stretches])
