"""`/admin/usage`: what people have used, who used most first; the choice stands in the address."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple, cast

from server.http.pages.admin import AdminPage
from server.http.pages.me_ledger import cells, first_day, page_of_requests, request_view
from server.http.streaming import stream
from server.ledger.export import CSV_TYPE, added, layout, sum_columns, sum_fields
from server.ledger.history import HOUR_MS, HOUSE
from server.ledger.question import GROUPINGS
from server.ledger.reports import By, Days, Sum, Which
from server.wire.errors import InvalidValue
from web import render_admin
from web.charts import MOST_DAYS
from web.listing import Listing, arranged
from web.view_admin import AdminUsageView, UsageSum
from web.view_me import RequestView
from web.view_public import MEASURES, Measure

USAGE, FILE = "/admin/usage", "/admin/usage.csv"
DAYS, HOURS = 30, 48
ROWS = 25
MOST_SUMS = 500  # lines on the page; the file has all
FILTERS = ("user", "group", "model", "token")
# What a line of these sums narrows the page to, and by what it is grouped then.
NARROWER = {"model": "user", "user": "model", "group": "user", "token": "model"}


class NamedSum(NamedTuple):
    """A sum with what it is called."""

    name: str
    found: Sum


SORTS: Mapping[str, Callable[[NamedSum], Any]] = {
    "name": lambda it: it.name.casefold(),
    "requests": lambda it: it.found.requests,
    "in": lambda it: it.found.input,
    "out": lambda it: it.found.output,
    "cost": lambda it: it.found.cost_micro_usd,
}


class AdminUsagePage(AdminPage):
    """`/admin/usage?first=&last=&user=&group=&model=&token=&of=&by=&sort=`"""

    async def draw(self, *path: str) -> bytes:
        days, of = await self.choice(), self.grouping()
        if (by := self.asked("by", "cost")) not in MEASURES:
            raise InvalidValue("by")
        listing, sums = self.listing(days, {"of": of, "by": by}), await self.sums(days)
        total = added([each.found for each in sums])
        rows = tuple(_line(each, of, total) for each in sums[:MOST_SUMS])
        view = AdminUsageView(
            frame=self.frame,
            first_day=days.first or "",
            last_day=days.last or "",
            of=of,
            by=cast(Measure, by),
            sums=rows,
            total=_sum("all", total),
            cells=await cells(self.services, days),
            requests=await self._latest(days),
            listing=listing,
            file=self.listing(days, {"of": of}, FILE).address(),
            group_options=await self._options(days, By.GROUP),
            model_options=await self._options(days, By.MODEL),
            more=len(sums) - len(rows),
            hours=await self._hours(days),
        )
        return render_admin.usage_html(view)

    def listing(self, days: Days, kept: Mapping[str, str], path: str = USAGE) -> Listing:
        """The choice as it stands in the address."""
        filters = {"first": days.first or "", "last": days.last or "", **{it: self.asked(it) for it in FILTERS}}
        return Listing(path, filters, self._sorting(), kept)

    async def choice(self) -> Days:
        """The rows that are meant; a person by their name, or by their id. Raises InvalidValue."""
        first, last = self._span()
        user = self.asked("user").strip()
        ids = {name: person_id for person_id, name in (await self.names()).items()} if user else {}
        return Days(
            first=first,
            last=last,
            person_id=ids.get(user, user) or None,
            group=self.asked("group") or None,
            model=self.asked("model") or None,
            token_id=self.asked("token").strip() or None,
        )

    def grouping(self) -> str:
        if (of := self.asked("of", "model")) not in GROUPINGS:
            raise InvalidValue("of")
        return of

    async def sums(self, days: Days) -> list[NamedSum]:
        """The sums in the order that the address asks for."""
        of = self.grouping()
        found, names = await self.services.store.sums(days, (GROUPINGS[of],)), await self._names_of(of)
        named = [NamedSum(names.get(each.key[0] or "", each.key[0] or "–"), each) for each in found]
        return arranged(named, self._sorting(), SORTS)

    def _sorting(self) -> str:
        """Who used most comes first; days follow each other."""
        return self.sorting(SORTS, "name" if self.grouping() == "day" else "-cost")

    async def _names_of(self, of: str) -> Mapping[str, str]:
        """Names for ids, where the sums are of people or of tokens."""
        if of == "user":
            return await self.names()
        if of != "token":
            return {}
        people = await self.names()
        return {
            each.id: f"{people.get(each.person_id, '')}: {each.name}" for each in await self.services.store.tokens()
        }

    async def _options(self, days: Days, by: By) -> tuple[tuple[str, str], ...]:
        """What occurs in these days, whatever else is chosen."""
        found = await self.services.store.sums(Days(first=days.first, last=days.last), (by,))
        return tuple((name, name) for name in sorted({each.key[0] for each in found if each.key[0]}))

    async def _hours(self, days: Days) -> tuple[tuple[int, str, int], ...]:
        """The requests of each model in the hours that are over; they are not known of one person, group or token."""
        if days.person_id or days.group or days.token_id:
            return ()
        now = self.services.wall()
        rows = await self.services.store.hours(now - HOURS * HOUR_MS, now)
        wanted = (row for row in rows if row.requests and row.model != HOUSE and days.model in (None, row.model))
        return tuple((row.hour, row.model, row.requests) for row in wanted)

    def _span(self) -> tuple[str, str]:
        """From which day to which; the last month, where nothing is said. Raises InvalidValue."""
        today = self.services.calendar.day(self.services.wall())
        last = self._day("last", today)
        first = self._day("first", first_day(last, DAYS))
        if not 0 <= (date.fromisoformat(last) - date.fromisoformat(first)).days < MOST_DAYS:
            raise InvalidValue("first")
        return first, last

    def _day(self, name: str, default: str) -> str:
        self.day(name, self.services.calendar.starts)
        self.day(name, self.services.calendar.ends)
        return self.asked(name, default)

    async def _latest(self, days: Days) -> tuple[RequestView, ...]:
        calendar = self.services.calendar
        which = Which(
            person_id=days.person_id,
            group=days.group,
            model=days.model,
            token_id=days.token_id,
            after=calendar.starts(days.first or ""),
            before=calendar.ends(days.last or ""),
        )
        rows, _ = await page_of_requests(self.services, which, None, ROWS)
        people = await self.names()
        return tuple(request_view(row, people=people) for row in rows)


class UsageFile(AdminUsagePage):
    """`/admin/usage.csv`: the sums of the page, all of them and in its order."""

    async def get(self, *path: str) -> None:
        of, sums = self.grouping(), await self.sums(await self.choice())
        self.set_header("Content-Type", CSV_TYPE)
        self.set_header("Content-Disposition", 'attachment; filename="fairgate-usage.csv"')
        await stream(self, _lines(of, sums))


async def _lines(of: str, sums: Sequence[NamedSum]) -> AsyncGenerator[bytes, None]:
    table = layout("csv", sum_columns([of]))
    yield table.head
    for each in sums:
        yield table.page([{of: each.name if each.found.key[0] else None, **sum_fields(each.found)}])


def _sum(name: str, found: Sum, share: float = 0.0, narrows: Mapping[str, str] | None = None) -> UsageSum:
    requests, tokens = found.requests, (found.input, found.output)
    return UsageSum(name, requests, *tokens, found.cost_micro_usd, share, narrows or {})


def _part(one: int, whole: int) -> float:
    return one / whole if whole else 0.0


def _line(each: NamedSum, of: str, total: Sum) -> UsageSum:
    """A line of the table: its share of the cost, or of the requests where all was free."""
    found, key = each.found, each.found.key[0]
    share = _part(found.cost_micro_usd, total.cost_micro_usd)
    if not total.cost_micro_usd:
        share = _part(found.requests, total.requests)
    if key is None:
        return _sum(each.name, found, share)
    if of == "day":
        return _sum(each.name, found, share, {"first": key, "last": key, "of": "model"})
    said = each.name if of == "user" else key
    return _sum(each.name, found, share, {of: said, "of": NARROWER[of]} if of in NARROWER else None)
