"""`/me/requests`: a person's requests, those that were refused among them, and why each ended as it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.admin.request_search import REFUSED, STATUSES, ranking_of, search
from server.http.pages.me import MemberPage, caller_of
from server.http.pages.me_ledger import NO_NAMES, request_view
from server.http.services import PageServices
from server.ledger.refused import RefusedRequest
from server.ledger.reports import By, Days, Ranking, Which
from server.ledger.usage import Outcome, UsageRow
from server.store.base import Person
from server.wire.errors import InvalidValue, UnknownId
from web import formatting as words
from web import render_me
from web.explanations import OF_OUTCOMES, Explanation, of_ended, of_refusal
from web.listing import Listing
from web.view import Frame
from web.view_me import ExplainView, Fact, RequestsView, RequestView
from web.wording import Wording, Written

PAGE = 50  # requests
FILTERS = ("status", "model", "token", "first", "last")


def chosen(page: MemberPage, filters: Mapping[str, str], person_id: str | None) -> tuple[Which, bool | None]:
    """The rows that the filters of an address mean, and whether they are refused ones. Raises InvalidValue."""
    status, calendar = filters["status"], page.services.calendar
    if status and status not in STATUSES:
        raise InvalidValue("status")
    spans = {}
    for name, instant in (("first", calendar.starts), ("last", calendar.ends)):
        try:
            spans[name] = instant(filters[name]) if filters[name] else None
        except (ValueError, OverflowError):
            raise InvalidValue(name) from None
    which = Which(
        person_id=person_id,
        token_id=filters["token"] or None,
        model=filters["model"] or None,
        key=filters.get("key") or None,
        status=Outcome(status) if status and status != REFUSED else None,
        after=spans["first"],
        before=spans["last"],
    )
    return which, True if status == REFUSED else None


def order(page: MemberPage, refused: bool | None) -> tuple[str, Ranking | None]:
    """By what the address sorts a list, as it says it and as it is meant. Raises InvalidValue.

    Refused requests have no figures: a list of them alone is the newest first, whatever the address says.
    """
    sort = "" if refused else page.asked("sort")
    return sort, ranking_of(sort)


def either_view(
    row: UsageRow | RefusedRequest, tokens: Mapping[str, str] = NO_NAMES, people: Mapping[str, str] = NO_NAMES
) -> RequestView:
    """A row of the list; `tokens` and `people` are names by id."""
    if isinstance(row, UsageRow):
        return request_view(row, tokens, people)
    return RequestView(
        id=row.request_id,
        at_ms=row.first_at,
        model=row.model,
        status=REFUSED,
        wait_seconds=0.0,
        first_byte_seconds=None,
        duration_seconds=0.0,
        tokens_in=0,
        tokens_out=0,
        micro_usd=0,
        token=tokens.get(row.token_id or "", ""),
        person=people.get(row.person_id, row.person_id),
        why=of_refusal(row.code, row.detail).what,
        count=row.count,
    )


class RequestsPage(MemberPage):
    """`/me/requests?status=&model=&token=&first=&last=&sort=&after=`"""

    async def draw(self, *path: str) -> bytes:
        services, me = self.services, self.me
        filters = {name: self.asked(name) for name in FILTERS}
        which, refused = chosen(self, filters, me.id)
        await services.refused.write()
        sort, ranking = order(self, refused)
        found = await search(services.store, which, self.asked("after"), PAGE, refused=refused, ranking=ranking)
        tokens = {token.id: token.name for token in await services.store.tokens(me.id)}
        view = RequestsView(
            frame=self.frame,
            requests=tuple(either_view(row, tokens) for row in found.rows),
            listing=Listing("/me/requests", filters, sort),
            statuses=STATUSES,
            models=await models_of(services, me.id),
            tokens=tuple(tokens.items()),
            older=found.older,
            since_ms=found.since,
        )
        return render_me.requests_html(view)


async def models_of(services: PageServices, person_id: str | None) -> tuple[str, ...]:
    """The models that a person has used, or all people have."""
    sums = await services.store.sums(Days(person_id=person_id), (By.MODEL,))
    return tuple(sorted(each.key[0] for each in sums if each.key[0]))


class ExplainPage(MemberPage):
    """`/me/requests/ID`: only for the person who made the request."""

    async def draw(self, *path: str) -> bytes:
        (request_id,) = path
        view = await explained(self.services, self.frame, self.me, request_id, "/me/requests")
        return render_me.explain_html(view, "me requests")


async def explained(
    services: PageServices, frame: Frame, person: Person, request_id: str, back: str, *, of_another: bool = False
) -> ExplainView:
    """How a request of a person went. `of_another`: an administrator asks. Raises UnknownId."""
    await services.refused.write()
    trace = await services.everywhere.explain(caller_of(person), request_id)
    row, refused = await services.store.usage(request_id), await services.store.refused_request(request_id)
    row = row if row is not None and row.person_id == person.id else None
    refused = refused if refused is not None and refused.person_id == person.id else None
    found = row or refused
    if trace is None and found is None:
        raise UnknownId
    tokens = {token.id: token.name for token in await services.store.tokens(person.id)}
    what, advice = _explanation(row, refused, trace or {})
    return ExplainView(
        frame,
        None if found is None else either_view(found, tokens, {person.id: person.name} if of_another else NO_NAMES),
        request_id,
        what,
        tuple(_facts(trace or {}, row, of_another=of_another)),
        advice,
        back,
        person.name if of_another else "",
    )


def _explanation(row: UsageRow | None, refused: RefusedRequest | None, trace: Mapping[str, Any]) -> Explanation:
    if row is not None:
        return of_ended(row.status.value, row.error)
    if refused is not None:
        return of_refusal(refused.code, refused.detail)
    if (answered := trace.get("refused")) is not None:
        return of_refusal(answered["code"], "")
    if trace["state"] == "running":
        return Explanation(Wording("It has a key, and is being answered."), Wording("There is nothing to do."))
    if trace["state"] == "queued":
        return Explanation(
            Wording("It waits in the queue."), Wording("Its stream or its answer begins as soon as a key is free.")
        )
    return OF_OUTCOMES.get(trace["state"], Explanation(Wording("It has ended."), ""))


def _facts(trace: Mapping[str, Any], row: UsageRow | None, *, of_another: bool) -> list[Fact]:
    """What else is known. The provider's words about a request may repeat its prompt: they are for its maker alone."""
    facts = []
    if trace.get("position"):
        seconds = trace["expected_wait_ms"] / 1000
        value = Wording(
            "%(place)s, expected wait %(wait)s", place=trace["position"], wait=Written(words.seconds, seconds)
        )
        facts.append(Fact(Wording("Place in the queue when it came"), value))
    if held := trace.get("reserved"):
        value = Wording("%(input)s tokens in, %(output)s out", input=held["input"], output=held["output"])
        facts.append(Fact(Wording("Held for it at first"), value))
    unanswered = trace.get("state") in (Outcome.FAILED, Outcome.INTERRUPTED)
    answered = Wording("Sent with key") if unanswered else Wording("Answered with key")
    for attempt in trace.get("attempts", ()):
        failed = attempt.get("failed")
        label = Wording("A key that failed") if failed else answered
        facts.append(Fact(label, failed or attempt["key"]))
        if (said := attempt.get("said")) and not of_another:
            facts.append(Fact(Wording("The provider’s words"), said))
    if row is not None and row.error:
        facts.append(Fact(Wording("Error code"), row.error))
    if row is not None and row.attempts > 1:
        facts.append(Fact(Wording("Attempts"), str(row.attempts)))
    return facts
