"""A question to the ledger, read from a query string.

Every parameter is named by its endpoint, comes once and is not empty: a filter that is overlooked (a slip of the pen, a
second value, `user[$ne]=`) would answer another question than the one that was asked, with more rows than were meant.
So all of that is `InvalidValue`. It names the parameter; one that is unknown is nothing but text from outside and is
called "query".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from server.ledger.reports import By, Cursor, Days, Which
from server.ledger.usage import Outcome
from server.ledger.when import instant
from server.wire.errors import InvalidValue

FILTERS = frozenset({"user", "group", "token", "model", "status", "after", "before"})

# How sums may be grouped, by the names that callers use.
GROUPINGS = {
    "day": By.DAY,
    "model": By.MODEL,
    "user": By.PERSON,
    "group": By.GROUP,
    "token": By.TOKEN,
    "status": By.STATUS,
}
GROUPING_NAMES = {by: name for name, by in GROUPINGS.items()}

_CURSOR = re.compile(r"(-?\d{1,15}) (\S{1,128})", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


def parameters(given: Mapping[str, Sequence[bytes]], known: Collection[str]) -> dict[str, str]:
    """The parameters of a query as text. Raises `InvalidValue` if one is unknown, repeated, empty or no UTF-8."""
    if not given.keys() <= set(known):
        raise InvalidValue("query")
    return {name: _once(name, values) for name, values in given.items()}


def which(asked: Mapping[str, str], person_id: str | None) -> Which:
    """The rows that are meant, of this person or of all people."""
    return Which(
        person_id=person_id,
        group=asked.get("group"),
        token_id=asked.get("token"),
        model=asked.get("model"),
        status=_status(asked),
        after=_instant(asked, "after"),
        before=_instant(asked, "before"),
    )


def grouping(asked: Mapping[str, str]) -> tuple[By, ...]:
    """By what sums are wanted: names with commas between, each once."""
    names = asked["by"].split(",") if "by" in asked else []
    if len(set(names)) < len(names) or not GROUPINGS.keys() >= set(names):
        raise InvalidValue("by")
    return tuple(GROUPINGS[name] for name in names)


def number(asked: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A whole number from 1 to `most`."""
    if name not in asked:
        return default
    if not _NUMBER.fullmatch(asked[name]) or not 1 <= int(asked[name]) <= most:
        raise InvalidValue(name)
    return int(asked[name])


def choice(asked: Mapping[str, str], name: str, *allowed: str) -> str:
    """One of these words; the first, if nothing was said."""
    word = asked.get(name, allowed[0])
    if word not in allowed:
        raise InvalidValue(name)
    return word


def whole_days(question: Which, day: Callable[[int], str]) -> Days | None:
    """The same question to the sums by day, if it means whole days; `day` tells the operator's day of an instant."""
    after, before = question.after, question.before
    if question.key is not None or not all(bound is None or day(bound) != day(bound - 1) for bound in (after, before)):
        return None
    return Days(
        person_id=question.person_id,
        group=question.group,
        token_id=question.token_id,
        model=question.model,
        status=question.status,
        first=None if after is None else day(after),
        last=None if before is None else day(before - 1),
    )


def cursor(asked: Mapping[str, str]) -> Cursor | None:
    """Where the last page ended, as `cursor_text` wrote it."""
    if "cursor" not in asked:
        return None
    try:
        found = _CURSOR.fullmatch(bytes.fromhex(asked["cursor"]).decode())
    except ValueError:
        raise InvalidValue("cursor") from None
    if found is None:
        raise InvalidValue("cursor")
    return int(found[1]), found[2]


def cursor_text(position: Cursor) -> str:
    """A cursor for a caller to hand back: nothing in it has to be escaped, or invites to be changed."""
    started_at, request_id = position
    return f"{started_at} {request_id}".encode().hex()


def _once(name: str, values: Sequence[bytes]) -> str:
    try:
        (text,) = (value.decode() for value in values)
    except ValueError:
        raise InvalidValue(name) from None
    if not text:
        raise InvalidValue(name)
    return text


def _status(asked: Mapping[str, str]) -> Outcome | None:
    try:
        return Outcome(asked["status"]) if "status" in asked else None
    except ValueError:
        raise InvalidValue("status") from None


def _instant(asked: Mapping[str, str], name: str) -> int | None:
    try:
        return instant(asked[name]) if name in asked else None
    except ValueError:
        raise InvalidValue(name) from None
