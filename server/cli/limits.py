"""The verbs about limits: `python -m server limit ...`.

A limit that is set again for the same purpose takes the place of the one before, under the same id.
"""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import replace

from server.admin.changes import NEW, OPERATOR, no_such
from server.admin.consequences import of_limit_removal
from server.admin.differences import differences
from server.cli.context import (
    A_DAY,
    Add,
    CommandContext,
    asks,
    creates,
    insist,
    plain,
    tell_unreadable,
    times,
    when,
)
from server.cli.output import Columns, lists, show
from server.config import parsers
from server.http.api.schemas import limit_json
from server.ledger.limits import Limit, LimitWindow, Scope, Unit, limit_body, parse_limits, words
from server.ledger.money import micro_usd, usd
from server.policy.commands import CommandError

_TERM = re.compile(r"/\s*term\b", re.IGNORECASE)


def add_verbs(add: Add) -> None:
    lists(add("list", _list, "the limits that were decided at run time; those of LIMITS hold beside them"))
    each = add("set", _set, 'such as: set --person ada "5 usd/day"')
    whom = each.add_mutually_exclusive_group(required=True)
    whom.add_argument("--everyone", action="store_true", help="each person for themselves")
    for scope, name, summary in (
        ("person", "NAME", "one person, in place of the limit of the same kind for each person"),
        ("token", "ID", "one token"),
        ("group", "NAME", "one pot for all members"),
        ("member", "NAME", "each member of a group"),
        ("upstream", "NAME", "all that is used at an upstream"),
    ):
        whom.add_argument(f"--{scope}", metavar=name, help=summary)
    each.add_argument("limit", metavar="LIMIT", help='"5 usd/day", "200 usd/term", "100 requests/day gpt-4*"')
    times(each)
    creates(each)
    each = add("raise", _raise, 'allow more for a while: raise ID "50 usd" --until 2026-12-31')
    each.add_argument("id", metavar="ID")
    each.add_argument("amount", metavar="AMOUNT", help="in the unit of the limit")
    each.add_argument("--until", required=True, metavar="WHEN", help=A_DAY)
    remove = add("remove", _remove, "limit nothing by it any more")
    remove.add_argument("id", metavar="ID")
    asks(remove)


async def _list(room: CommandContext, options: argparse.Namespace) -> None:
    names = {person.id: person.name for person in await room.store.people()}

    def named(subject: str) -> str:
        return names.get(subject, subject)

    columns: Columns[Limit] = {
        "id": lambda each: each.id,
        "for": lambda each: (
            f"{each.scope} {names.get(each.subject, each.subject)} {names.get(each.person, each.person)}".strip()
        ),
        "limit": _amount_words,
        "since": lambda each: when(each.since),
        "until": lambda each: when(each.until),
    }
    show(room.settings, options, await room.changes.limits(), limit_json, columns)
    await tell_unreadable(room, "limit")


def _amount_words(limit: Limit) -> str:
    if not limit.extra:
        return words(limit)
    more = f"{usd(limit.extra)} USD" if limit.unit is Unit.USD else f"{limit.extra:,}"
    return f"{words(limit)}, and {more} more until {when(limit.extra_until)}"


async def _set(room: CommandContext, options: argparse.Namespace) -> None:
    scope, subject = await _whom(room, options)
    since, until = room.begins_if(options.since), room.ends_if(options.until)
    for wanted in _said_limits(options.limit, scope, subject, since, until):
        known = await room.changes.limit_like(wanted)
        limit = await room.changes.set_limit(OPERATOR, wanted, options.new)
        print(f"{limit.id}  {words(limit)}")
        for difference in differences(limit_body(known), limit_body(limit)) if known else ():
            print(plain(difference))


async def _whom(room: CommandContext, options: argparse.Namespace) -> tuple[Scope, str]:
    scope = next(each for each in Scope if getattr(options, each))
    if scope is Scope.EVERYONE:
        return scope, ""
    subject = str(getattr(options, scope))
    if scope is Scope.PERSON:
        return scope, (await room.changes.person_named(subject)).id
    return scope, subject


def _said_limits(text: str, scope: Scope, subject: str, since: int | None, until: int | None) -> Iterator[Limit]:
    for part in text.split(","):
        try:
            (limit,) = parse_limits(_TERM.sub("/ever", part))
            window = LimitWindow.TERM if _TERM.search(part) else limit.window
            yield replace(limit, id=NEW, scope=scope, subject=subject, window=window, since=since, until=until)
        except ValueError as error:
            raise CommandError(str(error) if part.strip() else "expected a limit such as 5 usd/day") from None


async def _raise(room: CommandContext, options: argparse.Namespace) -> None:
    limit = next((each for each in await room.changes.limits() if each.id == options.id), None)
    if limit is None:
        raise no_such("limit")
    await room.changes.raise_limit(OPERATOR, limit.id, _amount(options.amount, limit.unit), room.ends(options.until))


def _amount(text: str, unit: Unit) -> int:
    """So much of the unit, whose name may stand behind it."""
    number = re.sub(rf"\s*{unit.removesuffix('s')}s?$", "", text.strip(), flags=re.IGNORECASE)
    try:
        return micro_usd(number) if unit is Unit.USD else parsers.whole(1, 10**15 - 1)(number)
    except ValueError as error:
        raise CommandError(f"{error}, of {unit}") from None


async def _remove(room: CommandContext, options: argparse.Namespace) -> None:
    insist(options, *(await of_limit_removal(room.store, room.changes, options.id)).lines())
    await room.changes.remove_limit(OPERATOR, options.id)
