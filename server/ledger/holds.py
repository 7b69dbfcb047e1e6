"""The holds and charges of one request: made of the limits that apply to it.

A `Claim` is made once, when a request arrives, and goes with it to its end. It names each counter by the window of that
moment. However late the request ends, it is charged to the same counters: a hold of November is paid in
November. Where several limits share a counter, the tightest counts, so that no counter is ever held twice.

The hold is the estimate; nothing is held where it is zero, so that a model that costs nothing may be used when the
money is gone. The charge is the usage of the row, on all counters of the claim. A request that no key served does not
count as one: its slot is given back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from server.ledger.calendar import Calendar
from server.ledger.limits import Limit, LimitSet, LimitWindow, Scope, Unit, words
from server.ledger.quota import Charge, Exceeded, Hold
from server.ledger.usage import Outcome, UsageRow

UNSERVED = frozenset((Outcome.FAILED, Outcome.REJECTED))


class Who(NamedTuple):
    """The subjects whose limits apply. `groups` are those that it is booked on: at most one, for a request."""

    person_id: str
    token_id: str | None = None
    groups: tuple[str, ...] = ()


class Estimate(NamedTuple):
    """The amounts that a request will probably take, or took: micro-USD, tokens (input and output), requests."""

    cost_micro_usd: int
    tokens: int
    requests: int = 1

    def of(self, unit: Unit) -> int:
        if unit is Unit.USD:
            return self.cost_micro_usd
        return self.tokens if unit is Unit.TOKENS else self.requests


NOTHING = Estimate(0, 0, 0)


class HoldEntry(NamedTuple):
    """One counter of a claim. `most` is what the limit admits now; `needs` what the request would take of it.

    `resets_at` is when its window ends, UTC milliseconds; None for never, and for a minute, which slides.
    """

    counter: str
    limit: Limit
    most: int
    needs: int
    resets_at: int | None

    def needing(self, needs: Estimate) -> HoldEntry:
        """The same counter for a request that takes so much."""
        return HoldEntry(self.counter, self.limit, self.most, needs.of(self.limit.unit), self.resets_at)


class BudgetStanding(NamedTuple):
    """How much of a counter is taken."""

    entry: HoldEntry
    taken: int

    @property
    def remaining(self) -> int:
        return max(0, self.entry.most - self.taken)

    def retry_after(self, now_ms: int) -> int | None:
        """Whole seconds until the window is a new one; None if no waiting helps."""
        entry = self.entry
        if entry.resets_at is None or entry.needs > entry.most:
            return None
        return max(1, -((now_ms - entry.resets_at) // 1000))

    def as_dict(self) -> dict[str, Any]:
        """The fields that its owner reads."""
        entry = self.entry
        return {
            "limit": words(entry.limit),
            "scope": str(entry.limit.scope),
            "unit": str(entry.limit.unit),
            "window": str(entry.limit.window),
            "models": entry.limit.family,
            "most": entry.most,
            "taken": self.taken,
            "remaining": self.remaining,
            "resets_at": entry.resets_at,
        }


@dataclass(frozen=True, slots=True)
class Claim:
    """The counters of one request, each once: `budgets` are kept by the store, `rates` (minutes) in memory."""

    budgets: tuple[HoldEntry, ...] = ()
    rates: tuple[HoldEntry, ...] = ()

    @property
    def holds(self) -> tuple[Hold, ...]:
        """The holds to be reserved."""
        return tuple([Hold(it.counter, it.needs, it.most, it.resets_at) for it in self.budgets if it.needs])

    @property
    def counters(self) -> tuple[str, ...]:
        """All budgets' counters, whether something is held there or not."""
        return tuple(entry.counter for entry in self.budgets)

    def needing(self, budgets: Estimate, rates: Estimate) -> Claim:
        """The same counters for a request that takes so much of the budgets and of the rates of the minute."""
        return Claim(
            tuple([entry.needing(budgets) for entry in self.budgets]),
            tuple([entry.needing(rates) for entry in self.rates]),
        )

    def also(self, other: Claim) -> Claim:
        """This claim and another one, such as that of the upstream that was chosen meanwhile."""
        return Claim(_once((*self.budgets, *other.budgets)), _once((*self.rates, *other.rates)))

    def charges(self, row: UsageRow) -> tuple[Charge, ...]:
        """The charges of a row to the counters."""
        if not self.budgets:
            return ()
        used = Estimate(row.cost_micro_usd, row.usage.input + row.usage.output, int(row.status not in UNSERVED))
        return tuple([Charge(it.counter, amount) for it in self.budgets if (amount := used.of(it.limit.unit))])

    def beside(self, charges: Iterable[Charge]) -> tuple[Hold, ...]:
        """The holds with which these charges have room beside the holds of before."""
        owed = {charge.counter: charge.amount for charge in charges}
        return tuple(
            Hold(it.counter, owed[it.counter], it.most, it.resets_at) for it in self.budgets if owed.get(it.counter)
        )

    def standings(self, taken: Mapping[str, int]) -> list[BudgetStanding]:
        """How the counters stand of which is known what they have taken."""
        return [BudgetStanding(entry, taken[entry.counter]) for entry in self.budgets if entry.counter in taken]

    def reserved(self, taken: Iterable[int]) -> list[BudgetStanding]:
        """The same from `Reserved.taken`, which follows the order of the holds."""
        held = [entry for entry in self.budgets if entry.needs]
        return [BudgetStanding(entry, amount) for entry, amount in zip(held, taken, strict=True)]

    def refused(self, exceeded: Exceeded) -> BudgetStanding:
        """The budget that did not suffice. Raises KeyError if that counter is not of this claim."""
        found = self.standings({exceeded.counter: exceeded.taken})
        if not found:
            raise KeyError(exceeded.counter)
        return found[0]


def applying(limits: LimitSet, who: Who, model: str | None, now_ms: int) -> list[Limit]:
    """The limits of a caller for a model; None for all models. Those of upstreams are another matter.

    A person's own limit replaces the default of the same unit, window and family while it applies.
    """
    found = _now(limits.of(Scope.PERSON, who.person_id), model, now_ms)
    own = {limit.kind for limit in found}
    found += [it for it in _now(limits.of(Scope.EVERYONE), model, now_ms) if it.kind not in own]
    if who.token_id is not None:
        found += _now(limits.of(Scope.TOKEN, who.token_id), model, now_ms)
    for group in who.groups:
        found += _now(limits.of(Scope.GROUP, group), model, now_ms)
        found += _now(limits.of_member(group, who.person_id, now_ms), model, now_ms)
    return found


def applying_to_upstream(limits: LimitSet, upstream: str, model: str | None, now_ms: int) -> list[Limit]:
    """The caps of an upstream for a model."""
    return _now(limits.of(Scope.UPSTREAM, upstream), model, now_ms)


def claim(limits: Iterable[Limit], who: Who, needs: Estimate, calendar: Calendar, now_ms: int) -> Claim:
    """The claim of a request, under the limits that apply to it."""
    entries = _once(_entry(limit, who, needs, calendar, now_ms) for limit in limits)
    return Claim(
        tuple(entry for entry in entries if entry.limit.window is not LimitWindow.MINUTE),
        tuple(entry for entry in entries if entry.limit.window is LimitWindow.MINUTE),
    )


def tightest(standings: Iterable[BudgetStanding], unit: Unit) -> BudgetStanding | None:
    """The one of a unit with the least left."""
    return min((it for it in standings if it.entry.limit.unit is unit), key=lambda it: it.remaining, default=None)


def _now(limits: Iterable[Limit], model: str | None, now_ms: int) -> list[Limit]:
    return [limit for limit in limits if limit.applies(model, now_ms)]


def _entry(limit: Limit, who: Who, needs: Estimate, calendar: Calendar, now_ms: int) -> HoldEntry:
    """A counter's name begins with whose it is and ends with when: `person:usr_1/usd/*/month/2026-11`."""
    name = f"{_owner(limit, who)}/{limit.unit}/{_escaped(limit.family)}/{limit.window}"
    most, amount = limit.amount_at(now_ms), needs.of(limit.unit)
    if limit.window is LimitWindow.MINUTE:
        return HoldEntry(name, limit, most, amount, None)
    period = calendar.window(limit.window, now_ms, limit.since, limit.until)
    return HoldEntry(f"{name}/{period.name}", limit, most, amount, period.ends_at)


def _owner(limit: Limit, who: Who) -> str:
    """The default and a person's own limit share a counter, so that a new limit counts the usage of before."""
    if limit.scope in (Scope.EVERYONE, Scope.PERSON):
        return f"person:{_escaped(who.person_id)}"
    if limit.scope is Scope.MEMBER:
        return f"member:{_escaped(limit.subject)}/{_escaped(who.person_id)}"
    return f"{limit.scope}:{_escaped(limit.subject)}"


def _escaped(part: str) -> str:
    """No slash of a group's or a model's name can make one counter's name out of two others."""
    return part.replace("%", "%25").replace("/", "%2F")


def _once(entries: Iterable[HoldEntry]) -> tuple[HoldEntry, ...]:
    kept: dict[str, HoldEntry] = {}
    for entry in entries:
        other = kept.get(entry.counter)
        if other is None or entry.most < other.most:
            kept[entry.counter] = entry
    return tuple(kept.values())
