"""The limits that apply to a caller's requests, and the counters that these draw on: worked out once for many.

It depends on the caller, the group that is booked, the model and the time. So it is kept by the first three until the
fourth can change it: until the next midnight, and until a limit begins, ends or loses its increase. A decision makes
a new `LimitSet`, and nothing that was kept outlives the old one: a limit that is lowered counts at the next request. A
token that is revoked and a person who leaves a group ask here no more, or with another key. At most `MOST` answers
are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from server.auth.token_format import budget_id
from server.auth.token_terms import SPECIAL
from server.ledger.calendar import Calendar
from server.ledger.holds import NOTHING, Claim, Estimate, HoldEntry, Who, applying, claim
from server.ledger.limits import Limit, LimitSet, LimitWindow, Scope, Unit
from server.store.base import Caller

MOST = 4_096
KNOCKING = Estimate(0, 1)


class Drawn(NamedTuple):
    """`claim` needs nothing yet. `knocks` are the rates of the minute that count all models, for one request."""

    who: Who
    limits: tuple[Limit, ...]
    claim: Claim
    knocks: tuple[HoldEntry, ...]


class Counters:
    """`limits`: those that hold now, the same object as long as nothing is decided."""

    def __init__(self, limits: Callable[[], LimitSet], calendar: Calendar) -> None:
        self._limits, self._calendar = limits, calendar
        self._kept: dict[tuple[object, ...], Drawn] = {}
        self._of: LimitSet | None = None
        self._from = self._until = 0  # UTC milliseconds: what is kept is true in between

    def __len__(self) -> int:
        """The number of answers that are kept."""
        return len(self._kept)

    def of(self, caller: Caller, groups: tuple[str, ...], model: str | None, at: int) -> Drawn:
        """The limits and counters of a caller who is booked on these groups, at a time (UTC ms); None: every model."""
        limits = self._limits()
        if limits is not self._of or not self._from <= at < self._until or len(self._kept) >= MOST:
            self._begin(limits, at)
        key = caller.person_id, caller.token_id, caller.terms.kind, caller.spend, groups, model
        drawn = self._kept.get(key)
        if drawn is None:
            drawn = self._kept[key] = self._find(limits, caller, groups, model, at)
        return drawn

    def _begin(self, limits: LimitSet, at: int) -> None:
        self._kept.clear()
        self._of, self._from = limits, at
        midnight = self._calendar.ends(self._calendar.day(at))
        self._until = min((instant for instant in limits.instants() if instant > at), default=midnight)
        self._until = min(self._until, midnight)

    def _find(self, limits: LimitSet, caller: Caller, groups: tuple[str, ...], model: str | None, at: int) -> Drawn:
        who = who_counts(caller, groups)
        found = applying(limits, who, model, at)
        if caller.terms.kind == SPECIAL:
            found = [limit for limit in found if limit.window is not LimitWindow.MINUTE]
        if caller.spend is not None and caller.token_id is not None:
            found.append(Limit(caller.token_id, Scope.TOKEN, caller.token_id, Unit.USD, LimitWindow.EVER, caller.spend))
        knocks = [limit for limit in found if limit.family == "*" and limit.window is LimitWindow.MINUTE]
        return Drawn(
            who,
            tuple(found),
            claim(found, who, NOTHING, self._calendar, at),
            claim(knocks, who, KNOCKING, self._calendar, at).rates,
        )


def who_counts(caller: Caller, groups: tuple[str, ...]) -> Who:
    """The person, token and groups whose limits count. A token that took another one's place has that one's."""
    return Who(caller.person_id, None if caller.token_id is None else budget_id(caller.token_id), groups)
