"""`/me/usage`: what a person has used; and what became of a single request."""

from __future__ import annotations

from typing import cast

from server.http.pages.me import MemberPage, caller_of
from server.http.pages.me_ledger import cells, first_day, page_of_requests, request_view, spent
from server.ledger.question import cursor, cursor_text
from server.ledger.reports import Days, Which
from server.ledger.usage import Outcome
from server.relay.context import RequestTrace
from server.wire.errors import InvalidValue, UnknownId
from web import formatting as words
from web import render_me
from web.view_me import ExplainView, Fact, MeView, SpentView
from web.view_public import MEASURES, Measure
from web.wording import Wording, Written

DAYS = 30  # of the chart
ROWS = 25  # requests on a page
MOST_TERMS = 3
ENDS: dict[str, str] = {
    Outcome.COMPLETED: Wording("It was answered."),
    Outcome.CANCELLED: Wording("It was cancelled."),
    Outcome.REJECTED: Wording("The provider refused it."),
    Outcome.FAILED: Wording("It got no answer."),
    Outcome.CUT: Wording("Its answer broke off."),
    Outcome.INTERRUPTED: Wording("It was interrupted."),
}


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


class ExplainPage(MemberPage):
    """`/me/requests/ID`: only for the person who made the request."""

    async def draw(self, *path: str) -> bytes:
        services, (request_id,) = self.services, path
        trace = await services.pipeline.explain(caller_of(self.me), request_id)
        if trace is None:
            raise UnknownId
        row = await services.store.usage(request_id)
        names = {token.id: token.name for token in await services.store.tokens(self.me.id)}
        mine = None if row is None or row.person_id != self.me.id else request_view(row, names)
        return render_me.explain_html(ExplainView(self.frame, mine, request_id, _sentence(trace), tuple(_facts(trace))))


def _sentence(trace: RequestTrace) -> str:
    """The answer in short."""
    if trace.refused is not None:
        return str(trace.refused["message"])
    if trace.state == "queued" and trace.position:
        return Wording("It waits, and began at place %(place)s.", place=trace.position)
    if trace.state == "queued":
        return Wording("It is being looked at.")
    end = Wording("It is being answered.") if trace.state == "running" else ENDS.get(trace.state, Wording("It ended."))
    if not trace.queue_ms:
        return Wording("It got a key at once. %(end)s", end=end)
    waited = Written(words.seconds, trace.queue_ms / 1000)
    return Wording("It got a key after %(time)s in the queue. %(end)s", time=waited, end=end)


def _facts(trace: RequestTrace) -> list[Fact]:
    facts = []
    if trace.position:
        place = Wording("place %(place)s", place=trace.position)
        if trace.expected_wait_ms:
            wait = Written(words.seconds, trace.expected_wait_ms / 1000)
            place = Wording("place %(place)s, with %(wait)s to wait", place=trace.position, wait=wait)
        facts.append(Fact(Wording("When it came"), place))
    if trace.reserved:
        given, made = trace.reserved["input"], trace.reserved["output"]
        facts.append(Fact(Wording("Kept for it"), Wording("%(given)s in, %(made)s out", given=given, made=made)))
    for attempt in trace.attempts:
        failed = attempt.get("failed")
        facts.append(
            Fact(Wording("Failed with a key") if failed else Wording("Answered with key"), failed or attempt["key"])
        )
    return facts
