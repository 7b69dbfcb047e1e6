"""A person's figures on the ledger, as their own pages and the administrators' show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import NamedTuple

from server.auth.token_format import budget_id
from server.http.pages.me import caller_of
from server.http.services import PageServices
from server.ledger.holds import BudgetStanding, Estimate, Who, applying, claim
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.reports import By, Cursor, Days, Sum, Which
from server.ledger.usage import UsageRow
from server.store.base import Person, Token
from web.view_me import Cell, LimitView, RequestView, SpentView, TokenView
from web.wording import Wording

NO_NEED = Estimate(0, 0, 0)
OF_ONE = (Scope.EVERYONE, Scope.PERSON)
NO_NAMES: Mapping[str, str] = {}
NEVER: Mapping[str, int] = {}


class Own(NamedTuple):
    """The names of a person's limits on this page."""

    limit: str


YOURS = Own(Wording("Yours"))
THEIRS = Own(Wording("Their own"))


def first_day(today: str, days: int) -> str:
    """The first of so many days that end today."""
    return (date.fromisoformat(today) - timedelta(days=days - 1)).isoformat()


def last_moment(until: int | None) -> int | None:
    """The last millisecond of what ends then: an end is a midnight, and that is the next day already."""
    return None if until is None else until - 1


def request_view(
    row: UsageRow, tokens: Mapping[str, str] = NO_NAMES, people: Mapping[str, str] = NO_NAMES
) -> RequestView:
    """A row of the ledger; `tokens` and `people` are names by id."""
    return RequestView(
        id=row.request_id,
        at_ms=row.started_at,
        model=row.model_asked,
        status=row.status.value,
        wait_seconds=row.queue_ms / 1000,
        first_byte_seconds=None if row.first_byte_ms is None else row.first_byte_ms / 1000,
        duration_seconds=row.duration_ms / 1000,
        tokens_in=row.usage.input,
        tokens_out=row.usage.output,
        micro_usd=row.cost_micro_usd,
        estimated=row.usage.estimated,
        token=tokens.get(row.token_id or "", ""),
        person=people.get(row.person_id, row.person_id),
    )


async def page_of_requests(
    services: PageServices, which: Which, behind: Cursor | None, count: int
) -> tuple[list[UsageRow], Cursor | None]:
    """So many rows, the newest first, and where the next page goes on."""
    rows = await services.store.usage_before(which, behind, count + 1)
    page = rows[:count]
    return page, (page[-1].started_at, page[-1].request_id) if len(rows) > count else None


async def spent(services: PageServices, label: str, days: Days) -> SpentView:
    """The usage in these days."""
    (found,) = await services.store.sums(days, ())
    return spent_view(label, found)


def spent_view(label: str, found: Sum) -> SpentView:
    return SpentView(label, found.requests, found.input, found.output, found.cost_micro_usd)


async def cells(services: PageServices, days: Days) -> tuple[Cell, ...]:
    """The same by day and model."""
    return tuple(map(_cell, await services.store.sums(days, (By.DAY, By.MODEL))))


def _cell(found: Sum) -> Cell:
    day, model = found.key
    return Cell(day or "", model or "", found.requests, found.input, found.output, found.cost_micro_usd)


# --- limits


async def limit_views(services: PageServices, person: Person, own: Own) -> tuple[LimitView, ...]:
    """All limits of a person, with the amounts that are taken of them."""
    now, caller = services.wall(), caller_of(person)
    who = Who(person.id, None, services.book.rights(caller.groups, now).groups)
    budgets = await _standings(services, applying(services.book.limits, who, None, now), who)
    minutes = [each for each in await services.reservations.standing(caller) if each["window"] == LimitWindow.MINUTE]
    views = (*(limit_view(each, now, own) for each in budgets), *(_minute(each, own) for each in minutes))
    return tuple(replace(each, raise_until=_raise_until(services, each, now)) for each in views)


def _raise_until(services: PageServices, limit: LimitView, now: int) -> str:
    """The last day of the increase that a form proposes: the end of the limit's window, or else of this month."""
    if not (limit.of_one or limit.group):
        return ""
    calendar = services.calendar
    ends = limit.resets_at_ms or calendar.window(LimitWindow.MONTH, now).ends_at or now
    return calendar.day(now if limit.window == LimitWindow.MINUTE else max(ends - 1, limit.extra_until_ms or 0))


async def group_limits(
    services: PageServices, person_id: str, group: str, scopes: Iterable[Scope]
) -> tuple[LimitView, ...]:
    """The pot of a group, or what one of its members has of it."""
    now = services.wall()
    decided = services.book.limits
    each = {Scope.MEMBER: decided.of_member(group, person_id, now), Scope.GROUP: decided.of(Scope.GROUP, group)}
    limits = [it for scope in scopes for it in each[scope] if it.applies(None, now)]
    return tuple(limit_view(each, now) for each in await _standings(services, limits, Who(person_id, None, (group,))))


async def token_limits(services: PageServices, tokens: Iterable[Token]) -> dict[str, LimitView]:
    """The budgets of tokens by the tokens' ids: of each the first one that it has in all time."""
    now, found = services.wall(), {}
    for token in tokens:
        budget = budget_id(token.id)
        limits = [it for it in services.book.limits.of(Scope.TOKEN, budget) if it.applies(None, now)]
        for standing in (await _standings(services, limits, Who(token.person_id, budget)))[:1]:
            found[token.id] = limit_view(standing, now)
    return found


async def _standings(services: PageServices, limits: Iterable[Limit], who: Who) -> list[BudgetStanding]:
    mine = claim(limits, who, NO_NEED, services.calendar, services.wall())
    if not mine.counters:
        return []
    taken = await services.store.taken(mine.counters)
    return mine.standings(dict(zip(mine.counters, taken, strict=True)))


def limit_view(standing: BudgetStanding, now: int, own: Own = YOURS) -> LimitView:
    entry, limit = standing.entry, standing.entry.limit
    raised = bool(limit.extra) and (limit.extra_until is None or now < limit.extra_until)
    return LimitView(
        whose=_whose(limit.scope, limit.subject, own),
        unit=limit.unit.value,
        window=limit.window.value,
        most=entry.most,
        taken=standing.taken,
        models=limit.family,
        resets_at_ms=entry.resets_at,
        extra=limit.extra if raised else 0,
        extra_until_ms=last_moment(limit.extra_until) if raised else None,
        of_one=limit.scope in OF_ONE,
        group=limit.subject if limit.scope is Scope.MEMBER else "",
    )


def _minute(state: Mapping[str, object], own: Own) -> LimitView:
    unit, most, taken = Unit(str(state["unit"])), state["most"], state["taken"]
    assert isinstance(most, int), "a limit is a number"
    assert isinstance(taken, int), "and so is what is taken of it"
    scope = Scope(str(state["scope"]))
    whose, models = _whose(scope, "", own), str(state["models"])
    return LimitView(whose, unit.value, "minute", most, taken, models, of_one=scope in OF_ONE)


def _whose(scope: Scope, subject: str, own: Own) -> str:
    group = subject or Wording("a group")
    if scope is Scope.GROUP:
        return Wording("Shared budget of %(group)s", group=group)
    if scope is Scope.MEMBER:
        if own is YOURS:
            return Wording("Your share of %(group)s", group=group)
        return Wording("Their share of %(group)s", group=group)
    return Wording("Of this token") if scope is Scope.TOKEN else own.limit


# --- tokens


async def last_used(services: PageServices, tokens: Iterable[Token]) -> dict[str, int]:
    """When each of these tokens was used last for a request, by its id: UTC milliseconds. Unused ones are left out."""
    found = {}
    for token in tokens:
        for row in await services.store.usage_before(Which(person_id=token.person_id, token_id=token.id), None, 1):
            found[token.id] = row.started_at
    return found


def token_view(
    token: Token, limit: LimitView | None = None, owner: str = "", used: Mapping[str, int] = NEVER
) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        hint=token.hint,
        kind=token.terms.kind,
        created_ms=token.created_at,
        expires_ms=last_moment(token.expires_at),
        revoked_ms=token.revoked_at,
        last_used_ms=used.get(token.id),
        models=token.terms.models,
        networks=token.terms.networks,
        addresses=token.terms.addresses,
        keepalive=token.terms.keepalive,
        limit=limit,
        owner=owner,
    )
