"""`/admin/usage`: what all people have used, day by day and grouped as one likes; the same as a file."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import date
from typing import cast

from server.http.pages.admin import AdminPage
from server.http.pages.me_ledger import cells, first_day, page_of_requests, request_view
from server.http.streaming import stream
from server.ledger.export import CSV_TYPE, added, layout, sum_columns, sum_fields
from server.ledger.history import HOUR_MS, HOUSE
from server.ledger.question import GROUPINGS
from server.ledger.reports import Days, Sum, Which
from server.wire.errors import InvalidValue
from web import render_admin
from web.charts import MOST_DAYS
from web.view_admin import AdminUsageView, UsageSum
from web.view_me import RequestView
from web.view_public import MEASURES, Measure

DAYS, HOURS = 30, 48
ROWS = 25
MOST_SUMS = 500  # lines on the page; the file has all


class AdminUsagePage(AdminPage):
    """`/admin/usage?first=&last=&of=&by=`"""

    async def draw(self, *path: str) -> bytes:
        days, of = self.span(), self.grouping()
        if (by := self.asked("by", "cost")) not in MEASURES:
            raise InvalidValue("by")
        assert days.first is not None, "a span has its ends"
        assert days.last is not None, "both of them"
        sums, names = await self.services.store.sums(days, (GROUPINGS[of],)), await self.names_of(of)
        view = AdminUsageView(
            frame=self.frame,
            first_day=days.first,
            last_day=days.last,
            of=of,
            by=cast(Measure, by),
            sums=tuple(_sum(names.get(each.key[0] or "", each.key[0] or "–"), each) for each in sums[:MOST_SUMS]),
            total=_sum("all", added(sums)),
            cells=await cells(self.services, days),
            requests=await self._latest(days.first, days.last),
            hours=await self._hours(),
        )
        return render_admin.usage_html(view)

    def span(self) -> Days:
        """From which day to which; the last month, where nothing is said. Raises InvalidValue."""
        today = self.services.calendar.day(self.services.wall())
        last = self._day("last", today)
        first = self._day("first", first_day(last, DAYS))
        if not 0 <= (date.fromisoformat(last) - date.fromisoformat(first)).days < MOST_DAYS:
            raise InvalidValue("first")
        return Days(first=first, last=last)

    def grouping(self) -> str:
        if (of := self.asked("of", "model")) not in GROUPINGS:
            raise InvalidValue("of")
        return of

    async def names_of(self, of: str) -> Mapping[str, str]:
        """Names for ids, where the sums are of people or of tokens."""
        if of == "user":
            return await self.names()
        if of != "token":
            return {}
        people = await self.names()
        return {
            each.id: f"{people.get(each.person_id, '')}: {each.name}" for each in await self.services.store.tokens()
        }

    def _day(self, name: str, default: str) -> str:
        day = self.asked(name, default)
        try:
            self.services.calendar.starts(day)
            self.services.calendar.ends(day)
        except (ValueError, OverflowError):
            raise InvalidValue(name) from None
        return day

    async def _hours(self) -> tuple[tuple[int, str, int], ...]:
        """The requests of each model in the hours that are over."""
        now = self.services.wall()
        rows = await self.services.store.hours(now - HOURS * HOUR_MS, now)
        return tuple((row.hour, row.model, row.requests) for row in rows if row.model != HOUSE and row.requests)

    async def _latest(self, first: str, last: str) -> tuple[RequestView, ...]:
        starts, ends = self.services.calendar.starts(first), self.services.calendar.ends(last)
        rows, _ = await page_of_requests(self.services, Which(after=starts, before=ends), None, ROWS)
        people = await self.names()
        return tuple(request_view(row, people=people) for row in rows)


class UsageFile(AdminUsagePage):
    """`/admin/usage.csv?first=&last=&of=`"""

    async def get(self, *path: str) -> None:
        of = self.grouping()
        sums, names = await self.services.store.sums(self.span(), (GROUPINGS[of],)), await self.names_of(of)
        self.set_header("Content-Type", CSV_TYPE)
        self.set_header("Content-Disposition", 'attachment; filename="fairgate-usage.csv"')
        await stream(self, _lines(of, sums, names))


async def _lines(of: str, sums: Sequence[Sum], names: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
    table = layout("csv", sum_columns([of]))
    yield table.head
    for each in sums:
        key = each.key[0]
        yield table.page([{of: names.get(key or "", key), **sum_fields(each)}])


def _sum(name: str, found: Sum) -> UsageSum:
    return UsageSum(name, found.requests, found.input, found.output, found.cost_micro_usd)
