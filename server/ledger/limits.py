"""Limits: their units, their scopes, and the windows in which they start anew.

A limit is a sentence: *so much* of a *unit* in a *window*, for a *scope*, of a *family* of models.

* scope: EVERYONE is the default that each person has for themselves; a PERSON's own limit stands in place of the
  default of the same unit, window and family; a TOKEN has its own; a GROUP is one pot that all its members share; a
  MEMBER limit is a cap per head within a group; an UPSTREAM has a cap for what all people together spend there.
* unit: micro-USD, tokens (input and output together) or requests.
* window: what a budget's counter is named after, so that a new day, week, month or term begins at nothing by itself. A
  MINUTE is a sliding window, kept in memory (`ratelimit.py`), and never money: what a request costs is known too late
  for that.
* family: models by name, a star for any characters; several patterns with blanks between them: "gpt-4* o1".

A limit is kept as a record whose body is what JSON can say (`limit_of`, `limit_body`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, TypeVar

from server.ledger.money import MOST, micro_usd, usd
from web.wording import Plural, Wording

Word = TypeVar("Word", bound=StrEnum)


class Unit(StrEnum):
    """The unit that is counted. USD is counted in micro-USD, tokens are input plus output."""

    USD = "usd"
    TOKENS = "tokens"
    REQUESTS = "requests"


class LimitWindow(StrEnum):
    """How long a counter counts. A TERM begins and ends when its limit says; EVER never ends."""

    MINUTE = "minute"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TERM = "term"
    EVER = "ever"


class Scope(StrEnum):
    """The kind of a limit's subject."""

    EVERYONE = "everyone"
    PERSON = "person"
    TOKEN = "token"  # noqa: S105 - a word
    GROUP = "group"
    MEMBER = "member"
    UPSTREAM = "upstream"


_PATTERN = re.compile(r"[\w.:/@+*-]{1,100}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limit:
    """So much in a window. `ValueError` names the field that makes no sense.

    `subject` is a person's, token's, group's or upstream's id, and empty for EVERYONE. `amount` and `extra` (on top of
    it until `extra_until`) are micro-USD, tokens or requests. Times are UTC milliseconds; before `since` and from
    `until` on the limit does not apply, and for a TERM they are the window itself. Of a MEMBER limit with a `person`
    (an id) only the increase counts: it is theirs alone, on top of what each member of the group has (`of_member`).
    """

    id: str
    scope: Scope
    subject: str
    unit: Unit
    window: LimitWindow
    amount: int
    family: str = "*"
    since: int | None = None
    until: int | None = None
    extra: int = 0
    extra_until: int | None = None
    person: str = ""

    def __post_init__(self) -> None:
        _check_whom(self)
        _check_amounts(self)
        _check_times(self)
        if not self.family or not all(_PATTERN.fullmatch(pattern) for pattern in self.family.split(" ")):
            raise ValueError('family: expected names of models such as "gpt-4* o1", a star for any characters')

    @property
    def kind(self) -> tuple[Unit, LimitWindow, str]:
        """The fields that a person's own limit shares with the default that it replaces."""
        return self.unit, self.window, self.family

    def applies(self, model: str | None, now_ms: int) -> bool:
        """Whether it limits this model now. None asks for any model."""
        if (self.since is not None and now_ms < self.since) or (self.until is not None and now_ms >= self.until):
            return False
        return model is None or self.family == "*" or _matches(self.family, model)

    def amount_at(self, now_ms: int) -> int:
        """How much there may be now, temporary increase included."""
        return self.amount + self.extra if self.is_raised(now_ms) else self.amount

    def is_raised(self, now_ms: int) -> bool:
        """Whether its increase is in force, if it has one."""
        return bool(self.extra) and (self.extra_until is None or now_ms < self.extra_until)


class LimitSet:
    """All limits, found by whom they are for: a person does not pay for the number of the others."""

    def __init__(self, limits: Iterable[Limit] = ()) -> None:
        self._by_subject: dict[tuple[Scope, str], list[Limit]] = {}
        for limit in limits:
            self._by_subject.setdefault((limit.scope, limit.subject), []).append(limit)
        self.caps = tuple(limit for limit in self if limit.scope is Scope.UPSTREAM)  # of whichever upstream

    def __iter__(self) -> Iterator[Limit]:
        return (limit for limits in self._by_subject.values() for limit in limits)

    def of(self, scope: Scope, subject: str = "") -> list[Limit]:
        return self._by_subject.get((scope, subject), [])

    def of_member(self, group: str, person: str, now_ms: int) -> list[Limit]:
        """The limits of one member of a group: those of each member, with the increases that are theirs alone."""
        found = [limit for limit in self.of(Scope.MEMBER, group) if limit.applies(None, now_ms)]
        mine = [limit for limit in found if limit.person == person and limit.is_raised(now_ms)]
        return [_increased(limit, mine, now_ms) for limit in found if not limit.person]

    def instants(self) -> Iterator[int]:
        """When a limit begins, ends or loses its increase: UTC milliseconds."""
        return (at for it in self for at in (it.since, it.until, it.extra_until) if at is not None)

    def caps_of(self, model: str, now_ms: int) -> list[Limit]:
        """The caps of whichever upstream that apply to a model."""
        return [limit for limit in self.caps if limit.applies(model, now_ms)]


def _increased(limit: Limit, mine: Iterable[Limit], now_ms: int) -> Limit:
    """A limit with those of a member's increases that are on top of it."""
    more = [each for each in mine if each.kind == limit.kind and _same_term(each, limit)]
    if not more:
        return limit
    extra, until = sum(each.extra for each in more), min(each.extra_until or _LAST for each in more)
    return replace(limit, amount=limit.amount_at(now_ms), extra=extra, extra_until=until)


def _same_term(one: Limit, other: Limit) -> bool:
    return one.window is not LimitWindow.TERM or (one.since, one.until) == (other.since, other.until)


@lru_cache(maxsize=4096)
def _matches(family: str, model: str) -> bool:
    return any(fnmatchcase(model, pattern) for pattern in family.split(" "))


def family_of(patterns: Iterable[str]) -> str:
    """Patterns in the one way they are written, so that the same family is always the same text."""
    return " ".join(sorted(set(patterns))) or "*"


# --- what makes sense


def _check_whom(limit: Limit) -> None:
    if not limit.id:
        raise ValueError("id: expected a name")
    if (limit.scope is Scope.EVERYONE) == bool(limit.subject):
        raise ValueError('subject: expected a subject, and none for the scope "everyone"')
    if limit.person and limit.scope is not Scope.MEMBER:
        raise ValueError("person: expected for a member of a group alone")
    if limit.window is LimitWindow.MINUTE and (limit.unit is Unit.USD or limit.scope is Scope.UPSTREAM):
        raise ValueError("window: a minute is for people's requests and tokens, not for money or an upstream")


def _check_amounts(limit: Limit) -> None:
    for name, amount in (("amount", limit.amount), ("extra", limit.extra)):
        if not 0 <= amount <= MOST:
            raise ValueError(f"{name}: expected a number from 0 to {MOST}")


def _check_times(limit: Limit) -> None:
    for name, at in (("since", limit.since), ("until", limit.until), ("extra_until", limit.extra_until)):
        if at is not None and not 0 <= at < _LAST:
            raise ValueError(f"{name}: expected milliseconds since 1970")
    if limit.since is not None and limit.until is not None and limit.since >= limit.until:
        raise ValueError("until: expected a time later than since")
    if limit.window is LimitWindow.TERM and (limit.since is None or limit.until is None):
        raise ValueError("since: a term needs since and until")


_LAST = 253_000_000_000_000  # the year 9987, in milliseconds: calendars end soon after


# --- as records

_FIELDS = tuple(field for field in fields(Limit) if field.name != "id")
_NAMES = [field.name for field in _FIELDS]


def limit_body(limit: Limit) -> dict[str, Any]:
    """The limit as a record's body; what goes without saying is left out."""
    said = (
        (field.name, getattr(limit, field.name)) for field in _FIELDS if getattr(limit, field.name) != field.default
    )
    return {name: str(value) if isinstance(value, StrEnum) else value for name, value in said if value != ""}


def limit_of(limit_id: str, body: Mapping[str, Any]) -> Limit:
    """A record's limit. `ValueError` names the field that is wrong, and never what was written there."""
    if not set(body) <= set(_NAMES):
        raise ValueError("expected no other fields than " + ", ".join(_NAMES))
    return Limit(
        id=limit_id,
        scope=_word(body, "scope", Scope),
        subject=_text(body, "subject", ""),
        unit=_word(body, "unit", Unit),
        window=_word(body, "window", LimitWindow),
        amount=_number(body, "amount"),
        family=family_of(_text(body, "family", "*").split()),
        since=_time(body, "since"),
        until=_time(body, "until"),
        extra=_number(body, "extra") if "extra" in body else 0,
        extra_until=_time(body, "extra_until"),
        person=_text(body, "person", ""),
    )


def _word(body: Mapping[str, Any], name: str, words: type[Word]) -> Word:
    try:
        return words(str(body.get(name)))
    except ValueError:
        raise ValueError(f"{name}: expected one of " + ", ".join(words)) from None


def _text(body: Mapping[str, Any], name: str, otherwise: str) -> str:
    text = body.get(name, otherwise)
    if not isinstance(text, str) or len(text) > 1000:
        raise ValueError(f"{name}: expected a text of at most 1000 characters")
    return text


def _number(body: Mapping[str, Any], name: str) -> int:
    number = body.get(name)
    if type(number) is not int:  # True is an int, too
        raise ValueError(f"{name}: expected a whole number")
    return number


def _time(body: Mapping[str, Any], name: str) -> int | None:
    return None if body.get(name) is None else _number(body, name)


# --- in words

_SENTENCE = re.compile(
    r"(?P<amount>[\d.]{1,20})\s*(?P<unit>[A-Za-z]+)\s*/\s*(?P<window>[A-Za-z]+)(?P<family>(?:\s+\S+)*)", re.ASCII
)
_UNITS = {"usd": Unit.USD, "token": Unit.TOKENS, "request": Unit.REQUESTS}
_WINDOWS = {str(window): window for window in LimitWindow if window is not LimitWindow.TERM}
_EXAMPLE = 'limits such as "20 requests/minute, 5 usd/day, 200000 tokens/month gpt-4*"'
_PERIODS = {
    LimitWindow.MINUTE: Wording("a minute"),
    LimitWindow.DAY: Wording("a day"),
    LimitWindow.WEEK: Wording("a week"),
    LimitWindow.MONTH: Wording("a month"),
    LimitWindow.TERM: Wording("in its term"),
    LimitWindow.EVER: Wording("in all"),
}


def parse_limits(text: str) -> tuple[Limit, ...]:
    """The default limits from "20 requests/minute, 5 usd/day, 200000 tokens/month gpt-4*"; none from an empty text.

    `ValueError` says what was expected.
    """
    limits = tuple(_parsed(part.strip()) for part in text.split(",")) if text.strip() else ()
    if len({limit.kind for limit in limits}) < len(limits):
        raise ValueError("expected each unit, window and family of models once")
    return limits


def _parsed(text: str) -> Limit:
    match = _SENTENCE.fullmatch(text)
    unit = _UNITS.get(match["unit"].lower().removesuffix("s")) if match else None
    window = _WINDOWS.get(match["window"].lower()) if match else None
    if match is None or unit is None or window is None:
        raise ValueError(f"expected {_EXAMPLE}; the windows are " + ", ".join(_WINDOWS))
    amount, family = _amount(match["amount"], unit), family_of(match["family"].split())
    return Limit(f"everyone/{unit}/{family}/{window}", Scope.EVERYONE, "", unit, window, amount, family)


def _amount(text: str, unit: Unit) -> int:
    if unit is Unit.USD:
        return micro_usd(text)
    if not text.isdecimal():
        raise ValueError("expected a whole number of requests or tokens")
    return int(text)


_WHOSE = {
    Scope.EVERYONE: "for each person",
    Scope.PERSON: "for you",
    Scope.TOKEN: "for this token",
    Scope.GROUP: "for all members of your group together",
    Scope.MEMBER: "for each member of your group",
    Scope.UPSTREAM: "for all people together",
}


def words(limit: Limit) -> str:
    """For people: "5.00 USD a day", "1 request a minute", "200,000 tokens a month for gpt-4*"."""
    amount, period = _counted(limit.amount, limit.unit), _PERIODS[limit.window]
    if limit.family == "*":
        return Wording("%(amount)s %(period)s", amount=amount, period=period)
    models = limit.family.replace(" ", ", ")
    return Wording("%(amount)s %(period)s for %(models)s", amount=amount, period=period, models=models)


def named(limit: Limit) -> str:
    """A limit for who has reached it: "5.00 USD a day, for each person"."""
    return f"{words(limit)}, {_WHOSE[limit.scope]}"


def _counted(amount: int, unit: Unit) -> str:
    if unit is Unit.USD:
        return f"{usd(amount)} USD"
    if unit is Unit.TOKENS:
        return Plural("1 token", "%(count)s tokens", amount)
    return Plural("1 request", "%(count)s requests", amount)
