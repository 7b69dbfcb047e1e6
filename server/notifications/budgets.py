"""Budgets that reach a threshold, as events. No request asks the store for it.

What was used stands in the store's counters, and a threshold is a question about that (`ledger/thresholds.py`). Two
looks ask it:

* every few seconds, of the counters that the requests have charged which ended here since then: twice, because a
  settlement is written behind its answer;
* at the start and every quarter of an hour, of all counters of all people, tokens, groups and upstreams that have a
  limit now: what a process that died had not looked at, and limits that were lowered.

The same event is made as often as it is seen, with the same id; the store takes it once. The id names the counter,
which names its period, and how much the limit admits: where more is admitted, there is another wall to speak of.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from server.auth.token_format import budget_id
from server.ledger.calendar import Calendar
from server.ledger.holds import (
    NOTHING,
    BudgetStanding,
    HoldEntry,
    Who,
    applying,
    applying_to_upstream,
    claim,
)
from server.ledger.limits import Limit, LimitSet, LimitWindow, Scope, words
from server.ledger.thresholds import reached
from server.ledger.usage import UsageRow
from server.policy.notifications import Event, EventKind
from server.store.base import Person, Token

AT_ONCE = 500  # counters, with one question
PEOPLE_AT_ONCE = 100
MOST_TOUCHED = 20_000  # callers between two looks; beyond them the whole look finds what they have used
COMMON = (Scope.GROUP, Scope.UPSTREAM)


class Budget(NamedTuple):
    """A counter and the person whose it is; "" of a group's or an upstream's."""

    entry: HoldEntry
    person: str


class Touched(NamedTuple):
    """Whose counters a settlement may have charged."""

    person: str
    token: str | None
    group: str | None
    upstream: str


class BudgetStore(Protocol):
    """The part of a store that is needed here."""

    async def settled(self, counters: Sequence[str]) -> list[int]: ...

    async def people(self) -> list[Person]: ...

    async def tokens(self, person_id: str | None = None) -> list[Token]: ...


class BudgetWatch:
    """`limits`: those that hold now. `wall`: UTC milliseconds."""

    def __init__(
        self,
        store: BudgetStore,
        limits: Callable[[], LimitSet],
        calendar: Calendar,
        thresholds: Sequence[int],
        wall: Callable[[], int],
    ) -> None:
        self._store, self._limits, self._calendar = store, limits, calendar
        self._thresholds, self._wall = tuple(thresholds), wall
        self._fresh: set[Touched] = set()
        self._seen: set[Touched] = set()  # looked at once

    def observe(self, row: UsageRow) -> None:
        """A request has ended, and its settlement is being written."""
        if self._thresholds and len(self._fresh) < MOST_TOUCHED and not row.with_own_key:
            token = None if row.token_id is None else budget_id(row.token_id)
            self._fresh.add(Touched(row.person_id, token, row.group, row.upstream))

    async def look(self) -> list[Event]:
        """What the requests have reached that ended lately. Raises StoreError; then the next look sees it."""
        fresh, seen = self._fresh, self._seen
        self._fresh, self._seen = set(), fresh
        try:
            return await self._reached(self._of(fresh | seen))
        except BaseException:
            self._fresh |= fresh | seen
            raise

    async def look_at_all(self) -> AsyncIterator[list[Event]]:
        """What has been reached by now, by whichever gateway, some people at once. Raises StoreError."""
        if not self._thresholds or all(each.window is LimitWindow.MINUTE for each in self._limits()):
            return
        people = [each for each in await self._store.people() if not each.disabled]
        owners = {budget_id(each.id): each.person_id for each in await self._store.tokens()}
        yield await self._reached(self._of_others(owners))
        for first in range(0, len(people), PEOPLE_AT_ONCE):
            yield await self._reached(self._of_people(people[first : first + PEOPLE_AT_ONCE]))

    def _of(self, touched: Iterable[Touched]) -> dict[str, Budget]:
        limits, now, found = self._limits(), self._wall(), dict[str, Budget]()
        for each in touched:
            who = Who(each.person, each.token, () if each.group is None else (each.group,))
            mine = (*applying(limits, who, None, now), *applying_to_upstream(limits, each.upstream, None, now))
            found |= self._budgets(mine, who, now)
        return found

    def _of_people(self, people: Iterable[Person]) -> dict[str, Budget]:
        limits, now, found = self._limits(), self._wall(), dict[str, Budget]()
        for person in people:
            who = Who(person.id, None, (*person.groups, *person.claimed))
            found |= self._budgets(applying(limits, who, None, now), who, now)
        return found

    def _of_others(self, owners: Mapping[str, str]) -> dict[str, Budget]:
        """The budgets of tokens, whose owners are named, and of groups and upstreams."""
        now, found = self._wall(), dict[str, Budget]()
        for limit in self._limits():
            person = owners.get(limit.subject, "") if limit.scope is Scope.TOKEN else ""
            if (limit.scope in COMMON or person) and limit.applies(None, now):
                found |= self._budgets((limit,), Who(person, limit.subject), now)
        return found

    def _budgets(self, limits: Iterable[Limit], who: Who, now: int) -> dict[str, Budget]:
        entries = claim(limits, who, NOTHING, self._calendar, now).budgets
        return {it.counter: Budget(it, "" if it.limit.scope in COMMON else who.person_id) for it in entries}

    async def _reached(self, budgets: Mapping[str, Budget]) -> list[Event]:
        counters, events = list(budgets), list[Event]()
        for first in range(0, len(counters), AT_ONCE):
            names = counters[first : first + AT_ONCE]
            for name, used in zip(names, await self._store.settled(names), strict=True):
                standing = BudgetStanding(budgets[name].entry, used)
                if (threshold := reached(standing, self._thresholds)) is not None:
                    events.append(_event(standing, budgets[name].person, threshold, self._wall()))
        return events


def _event(standing: BudgetStanding, person: str, threshold: int, now: int) -> Event:
    entry, limit = standing.entry, standing.entry.limit
    facts = {
        "threshold": threshold,
        "limit": str(words(limit)),
        "scope": str(limit.scope),
        "person": person,
        "subject": "" if limit.scope in (Scope.PERSON, Scope.EVERYONE) else limit.subject,
        "unit": str(limit.unit),
        "window": str(limit.window),
        "models": limit.family,
        "used": standing.taken,
        "most": entry.most,
        "resets_at": entry.resets_at,
    }
    name = f"{EventKind.BUDGET}/{entry.counter}/{entry.most}/{threshold}"
    return Event(name, EventKind.BUDGET, now, facts, entry.resets_at)
