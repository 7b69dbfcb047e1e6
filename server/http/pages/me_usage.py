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
from web import render_me
from web.view_me import ExplainView, Fact, MeView, SpentView
from web.view_public import MEASURES, Measure

DAYS = 30  # of the chart
ROWS = 25  # requests on a page
MOST_TERMS = 3
ENDS: dict[str, str] = {
    Outcome.COMPLETED: "was answered",
    Outcome.CANCELLED: "was cancelled",
    Outcome.REJECTED: "was refused by the provider",
    Outcome.FAILED: "got no answer",
    Outcome.CUT: "its answer broke off",
    Outcome.INTERRUPTED: "was interrupted",
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
        stretches = [
            ("Today", Days(person_id=me, first=today, last=today)),
            ("This month", Days(person_id=me, first=f"{today[:7]}-01", last=today)),
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
    waited = "at once" if not trace.queue_ms else f"after {trace.queue_ms / 1000:.1f} s in the queue"
    if trace.state == "queued":
        return f"It waits, and began at place {trace.position}." if trace.position else "It is being looked at."
    if trace.state == "running":
        return f"It got a key {waited}, and is being answered."
    return f"It got a key {waited}, and {ENDS.get(trace.state, 'ended')}."


def _facts(trace: RequestTrace) -> list[Fact]:
    facts = []
    if trace.position:
        expected = f", with {trace.expected_wait_ms / 1000:.1f} s to wait" if trace.expected_wait_ms else ""
        facts.append(Fact("When it came", f"place {trace.position}{expected}"))
    if trace.reserved:
        facts.append(Fact("Kept for it", f"{trace.reserved['input']:,} tokens in, {trace.reserved['output']:,} out"))
    for attempt in trace.attempts:
        failed = attempt.get("failed")
        facts.append(Fact("Failed with a key" if failed else "Answered with key", failed or attempt["key"]))
    return facts
