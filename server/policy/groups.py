"""Groups of people: a course, a team, a status at the university. What they are, and what they give their members.

A person is in some groups by an operator's hand and in others by what the identity provider says. Their rights add up
to the best of each: the largest weight, the models of all groups together. A group has a beginning and an end; outside
of these it gives nothing.

Absence is never permission. A person who is in no group at all has the rights of the group "everyone", or all rights
if there is none. A person in groups of which none lasts now, or who has left one (`LEFT`), has the rights of "everyone"
or none at all: the end of a course is no freedom from its limits.

One request is paid by one group, and that is the group which allows it (`payers`): no budget pays for what only another
group's members may use. A name without a group of its own is a label: it pays where no group decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from server.ledger.money import MOST
from server.wire.calls import NAME as TOOL
from server.wire.errors import InvalidValue
from server.wire.fallback import NONE, Fallback, fallback_of
from web.wording import Wording

NAME = re.compile(r"[\w][\w .@+/-]{0,63}")
MOST_WEIGHT = 1000.0
MOST_TOOLS = 100  # with prices of their own
EVERYONE = "everyone"  # the group of all who are in no other one
OPERATORS, TEACHERS = "operators", "teachers"
READERS = (OPERATORS, TEACHERS)  # who may be named to read the texts that a group keeps
LEFT = "(left)"  # stands among the groups of a person who has left one; no group can be called so

Check = Callable[[object], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group. Empty `models` means all; `running` 0 is no bound. Times are UTC milliseconds."""

    name: str
    weight: float = 1.0
    models: tuple[str, ...] = ()  # patterns such as "gpt-5*"
    running: int = 0  # requests in flight, of each member
    batch: bool = False  # its members' requests are batch work unless they have a better group
    content_days: int = 0  # so long prompts and answers are kept; 0 is not at all
    readers: tuple[str, ...] = ()  # of READERS: who may read what is kept from now on; empty: the writer alone
    since: int | None = None
    until: int | None = None
    teachers: tuple[str, ...] = ()  # ids of people who may see its totals
    join: str = ""  # the digest of the code by which people join; empty: people cannot join by themselves
    guests: bool = False  # its members may issue guest passes
    tool_prices: tuple[tuple[str, int], ...] = ()  # micro-USD a call, in place of the installation's, where it pays
    fallback: str = ""  # such as "gpt-5-mini; wait=20" (`wire/fallback.py`): its members' consent; empty: none
    note: str = ""

    def lasts_at(self, now: int) -> bool:
        return (self.since is None or self.since <= now) and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights that a person has by their groups. `models` None is all."""

    weight: float = 1.0
    models: tuple[str, ...] | None = None
    running: int = 0
    batch: bool = False
    groups: tuple[str, ...] = ()  # those that last now
    content_days: int = 0
    content_group: str = ""  # whose wish it is to keep contents
    content_readers: tuple[str, ...] = ()  # whom this group names to read them
    fallback: Fallback | None = None  # of the first group that consents to one
    decided: tuple[tuple[str, tuple[str, ...]], ...] = ()  # the groups of one's own that decide, each with its models

    def may_use(self, model: str) -> bool:
        return self.models is None or _fits(model, self.models)

    def payers(self, model: str) -> tuple[str | None, ...]:
        """The groups that may pay for this model, in order; labels, or None, if no group decides."""
        if not self.may_use(model):
            return ()
        if self.decided:
            return tuple(name for name, models in self.decided if not models or _fits(model, models))
        return self.groups or (None,)


def rights_of(names: Iterable[str], groups: Mapping[str, Group], now: int) -> Rights:
    """The rights of a member of all these groups. A name without a group of its own is a label that gives nothing.

    A person in no group that lasts has the rights of the group "everyone", if there is one, else all rights if they
    never were in one, and none if they were.
    """
    borne = tuple(names)
    lasting = [name for name in borne if name != LEFT and (name not in groups or groups[name].lasts_at(now))]
    mine = [groups[name] for name in lasting if name in groups]
    decided = tuple((group.name, group.models) for group in mine)
    if not mine and EVERYONE in groups and groups[EVERYONE].lasts_at(now):
        mine = [groups[EVERYONE]]
    if not mine:
        return Rights(models=() if len(lasting) < len(borne) else None, groups=tuple(lasting))
    keeps = max(mine, key=lambda group: group.content_days)
    return Rights(
        weight=max(group.weight for group in mine),
        models=None if any(not group.models for group in mine) else tuple(p for group in mine for p in group.models),
        running=0 if any(not group.running for group in mine) else max(group.running for group in mine),
        batch=all(group.batch for group in mine),
        groups=tuple(lasting),
        content_days=keeps.content_days,
        content_group=keeps.name if keeps.content_days else "",
        content_readers=keeps.readers if keeps.content_days else (),
        fallback=next((fallback_of(group.fallback) for group in mine if group.fallback), None),
        decided=decided,
    )


def _fits(model: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(model, pattern) for pattern in patterns)


def group_body(group: Group) -> dict[str, Any]:
    """The body of a record of kind "group"; the name is its id."""
    body = asdict(group)
    del body["name"]
    body["tool_prices"] = prices_body(group.tool_prices)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in body.items()}


def prices_body(prices: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    """Tool prices as they stand in a record and in the JSON API."""
    return [{"tool": tool, "micro_usd": amount} for tool, amount in prices]


def group_of(name: str, body: Mapping[str, Any]) -> Group:
    """Read what an operator wrote. `ValueError` names the field, never its value."""
    if not NAME.fullmatch(name):
        raise ValueError(Wording("name: expected 1 to 64 letters, digits, blanks and .@+/-_"))
    known = {each.name for each in fields(Group)} - {"name"}
    if set(body) - known:
        raise ValueError(Wording("unknown field; the fields are %(known)s", known=", ".join(sorted(known))))
    for field, check in _CHECKS.items():
        if field in body and not check(body[field]):
            raise ValueError(Wording("%(field)s: %(why)s", field=field, why=_EXPECTED[field]))
    values: dict[str, Any] = {
        field: tuple(value) if isinstance(value, list) else value for field, value in body.items()
    }
    if "tool_prices" in values:
        values["tool_prices"] = tuple((each["tool"], each["micro_usd"]) for each in values["tool_prices"])
    if "weight" in values:
        values["weight"] = float(values["weight"])
    group = Group(name=name, **values)
    if group.since is not None and group.until is not None and group.until <= group.since:
        raise ValueError(Wording("until: expected a time after since"))
    return group


def _texts(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(_text(256)(each) for each in value)


def _text(longest: int) -> Check:
    return lambda value: isinstance(value, str) and len(value) <= longest and value.isprintable()


def _whole(most: int) -> Check:
    return lambda value: type(value) is int and 0 <= value <= most


def _weight(value: object) -> bool:
    return isinstance(value, (int, float)) and value is not True and 0.01 <= value <= MOST_WEIGHT


def _prices(value: object) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(map(_price, value)):
        return False
    return len({each["tool"] for each in value}) == len(value) <= MOST_TOOLS


def _price(value: object) -> bool:
    if not isinstance(value, Mapping) or set(value) != {"tool", "micro_usd"} or not isinstance(value["tool"], str):
        return False
    return TOOL.fullmatch(value["tool"]) is not None and _whole(MOST)(value["micro_usd"])


def _time(value: object) -> bool:
    return value is None or _whole(10**14)(value)


def _fallback(value: object) -> bool:
    try:
        return isinstance(value, str) and (not value or fallback_of(value) is not NONE)
    except InvalidValue:
        return False


_CHECKS: dict[str, Check] = {
    "weight": _weight,
    "models": _texts,
    "running": _whole(1_000_000),
    "batch": lambda value: type(value) is bool,
    "content_days": _whole(3650),
    "readers": lambda value: _texts(value) and set(value) <= set(READERS),  # type: ignore[call-overload]  # texts by then
    "since": _time,
    "until": _time,
    "teachers": _texts,
    "join": _text(64),
    "guests": lambda value: type(value) is bool,
    "tool_prices": _prices,
    "fallback": _fallback,
    "note": _text(1000),
}
_EXPECTED = {
    "weight": Wording("expected a number from 0.01 to 1000"),
    "models": Wording("expected a list of model names or patterns"),
    "running": Wording("expected a whole number"),
    "batch": Wording("expected true or false"),
    "content_days": Wording("expected days from 0 to 3650"),
    "readers": Wording("expected some of operators and teachers"),
    "since": Wording("expected milliseconds since 1970, or null"),
    "until": Wording("expected milliseconds since 1970, or null"),
    "teachers": Wording("expected a list of people's ids"),
    "join": Wording("expected a text"),
    "guests": Wording("expected true or false"),
    "tool_prices": Wording("expected each tool once, with micro-USD for a call"),
    "fallback": Wording("expected a model and the seconds of waiting, such as gpt-5-mini; wait=20"),
    "note": Wording("expected at most 1000 characters"),
}
