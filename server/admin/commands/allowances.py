"""More for one person, for a while: on top of the limit that they have now, whether it is their own or each person's.

Each person's limit is never raised for all because one of them needs more. They get a limit of their own for that time,
which counts what they have used already and ends with the increase: then each person's limit holds for them again. Of
what each member of a group has, they get an increase of their own on top, whatever that is then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from server.admin.changes import NEW, Changes
from server.ledger.limits import Limit, LimitSet, LimitWindow, Scope, Unit, parse_limits
from server.ledger.money import MOST
from server.policy.commands import CommandError, NotThere
from server.store.base import Person
from web.wording import Wording


@dataclass(frozen=True, slots=True)
class More:
    """So much more of the limit of this kind. `extra` is micro-USD, tokens or requests, `until` UTC milliseconds."""

    unit: Unit
    window: LimitWindow
    extra: int
    until: int
    family: str = "*"
    group: str = ""  # of what each member of this group has; empty: of what the person has by themselves


def more_of(amount: str, kind: str, until: int) -> More:
    """An increase as people write it: "10", "usd/month gpt-5*". Raises ValueError."""
    found = parse_limits(f"{amount.strip()} {kind.strip()}")
    if len(found) != 1:
        raise ValueError(Wording("expected one limit such as usd/month"))
    return More(found[0].unit, found[0].window, found[0].amount, until, found[0].family)


async def allow_more(
    changes: Changes, actor: str, person: Person, more: More, defaults: Iterable[Limit], now: int
) -> Limit:
    """Allow a person more on top of what they may use now, an increase that is in force included; returns the limit.

    `defaults` are the settings' limits for each person. Raises NotThere if no limit of that kind holds for them. Of
    what each member of a group has, the limit that is returned holds the increase, and the amount of each member.
    """
    if not 0 < more.extra <= MOST:
        raise CommandError(Wording("expected an increase of more than nothing"))
    if more.until <= now:
        raise CommandError(Wording("the end of the increase lies in the past"))
    decided = await changes.limits()
    if more.group:
        return await changes.set_limit(actor, _of_member(decided, person, more, now))
    kinds = {each.kind for each in decided if each.scope is Scope.EVERYONE}
    limits = LimitSet((*decided, *(each for each in defaults if each.kind not in kinds)))
    found = _in_force(limits, person, more, now)
    if found is None:
        raise NotThere(Wording("no such limit holds for this person"), "`limit list` shows those that were set")
    extra = found.amount_at(now) - found.amount + more.extra
    if found.amount + extra > MOST:
        raise CommandError(Wording("that is more than any limit allows"))
    return await changes.set_limit(actor, _raised(found, person, extra, more.until))


def _in_force(limits: LimitSet, person: Person, more: More, now: int) -> Limit | None:
    """The tightest limit of this kind that holds for the person: their own, or else each person's."""
    kind = more.unit, more.window, more.family
    for whose in (limits.of(Scope.PERSON, person.id), limits.of(Scope.EVERYONE)):
        same = [each for each in whose if each.kind == kind and each.applies(None, now)]
        if same:
            return min(same, key=lambda each: each.amount_at(now))
    return None


def _of_member(decided: Iterable[Limit], person: Person, more: More, now: int) -> Limit:
    """The increase for one member of a group, with the one that they have already."""
    kind = more.unit, more.window, more.family
    limits = [it for it in LimitSet(decided).of(Scope.MEMBER, more.group) if it.kind == kind and it.applies(None, now)]
    shared = [it for it in limits if not it.person]
    if not shared or more.group not in (*person.groups, *person.claimed):
        raise NotThere(Wording("no such limit holds for this person"), "`limit list` shows those that were set")
    found = min(shared, key=lambda each: each.amount_at(now))
    is_term = found.window is LimitWindow.TERM
    mine = [it for it in limits if it.person == person.id and (not is_term or it.until == found.until)]
    extra = sum(it.extra for it in mine if it.is_raised(now)) + more.extra
    if found.amount_at(now) + extra > MOST:
        raise CommandError(Wording("that is more than any limit allows"))
    name, until = mine[0].id if mine else NEW, found.until if is_term else more.until
    since = found.since if is_term else None
    return replace(found, id=name, since=since, until=until, extra=extra, extra_until=more.until, person=person.id)


def _raised(found: Limit, person: Person, extra: int, until: int) -> Limit:
    """The person's limit with the increase. One that was made for an earlier increase lasts as long as this one."""
    if found.scope is Scope.EVERYONE:
        ends = found.until if found.window is LimitWindow.TERM else until
        own = replace(found, id=NEW, scope=Scope.PERSON, subject=person.id, until=ends)
    else:
        is_for_a_while = found.until is not None and found.until == found.extra_until
        own = replace(found, until=until) if is_for_a_while and found.window is not LimitWindow.TERM else found
    return replace(own, extra=extra, extra_until=until)
