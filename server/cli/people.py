"""The verbs about people: `python -m server user ...`."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from server.admin.changes import OPERATOR
from server.admin.commands.allowances import allow_more, more_of
from server.admin.commands.guest_passes import GuestPassCommands
from server.admin.commands.invitations import InvitationCommands
from server.admin.commands.people import PeopleCommands
from server.admin.commands.people_import import PeopleTable
from server.admin.commands.privacy import PrivacyCommands
from server.admin.consequences import of_disabling, of_erasure, of_promotion
from server.admin.makers import THE_OPERATOR
from server.admin.people_csv import COLUMNS, decoded
from server.auth.accounts import Accounts
from server.auth.guest_passes import Passes
from server.auth.sessions import Sessions
from server.cli.context import A_DAY, Add, CommandContext, InLoop, asks, insist, parsed, plain, read, wall, when
from server.cli.output import Columns, lists, show
from server.config import parsers
from server.http.api.schemas import person_json
from server.ledger.limits import words
from server.policy.commands import CommandError
from server.store.base import Person
from server.store.token_secret import pepper_for


def add_verbs(nouns: Any, in_loop: InLoop) -> None:
    """Add the nouns to the parser's; `in_loop` runs a coroutine."""
    summary = "list | create, change, disable, enable, raise, invite, withdraw, erase NAME | export | import FILE"
    _user_verbs(Add(nouns.add_parser("user", help=summary), in_loop))


def pepper_of(room: CommandContext) -> bytes:
    """The pepper of this gateway."""
    configured = room.settings.token_pepper
    return pepper_for(room.settings.store_url, configured.reveal() if configured else "")


def accounts_of(room: CommandContext) -> Accounts:
    proxy_key = room.settings.proxy_key
    return Accounts(room.store, room.settings.gatekeeper, proxy_key.reveal() if proxy_key else "", pepper_of(room))


def people_of(room: CommandContext) -> PeopleCommands:
    return PeopleCommands(room.store, room.changes, accounts_of(room))


def passes_of(room: CommandContext) -> GuestPassCommands:
    return GuestPassCommands(room.store, room.changes, Passes(pepper_of(room)), wall)


def day(milliseconds: int) -> str:
    return when(milliseconds)[:10]


def names(text: str) -> tuple[str, ...]:
    """Names with commas between; they may hold blanks."""
    return tuple(dict.fromkeys(parsers.words(text)))


def _user_verbs(add: Add) -> None:
    for name, work, summary in (
        ("create", _user_create, "add a person, who may have tokens then"),
        ("change", _user_change, "change the fields that are given, and leave the rest"),
    ):
        _fields(add(name, work, summary), changes=name == "change")
    for name, work, summary in (
        ("disable", _user_disable, "close the door for all tokens of a person"),
        ("enable", _user_enable, "open it again"),
        ("erase", _user_erase, "forget a person; what was used stays, as no one's"),
        ("remove", _user_erase, "the same as erase"),
    ):
        each = add(name, work, summary)
        each.add_argument("user", metavar="NAME")
        if name != "enable":
            asks(each)
    more = add("raise", _user_raise, "allow a person more for a while: raise ada 10 usd/month --until 2026-12-31")
    more.add_argument("user", metavar="NAME")
    more.add_argument("amount", metavar="AMOUNT", help="on top of what they may use now")
    more.add_argument(
        "limit", metavar="LIMIT", help='the unit and window of the limit, such as usd/month or "requests/day gpt-4*"'
    )
    more.add_argument("--group", metavar="NAME", help="of what each member of this group has")
    more.add_argument("--until", required=True, metavar="WHEN", help=A_DAY)
    for name, work, summary in (
        ("invite", _user_invite, "a link for a first login, which works once"),
        ("withdraw", _user_withdraw, "end the invitation of a person"),
    ):
        add(name, work, summary).add_argument("user", metavar="NAME")
    lists(add("list", _user_list, "all people"))
    add("export", _user_export, "all people as a table, on the standard output")
    table_in = add("import", _user_import, "add and change people as a table says: all of them, or with a mistake none")
    table_in.add_argument("file", metavar="FILE", help=f"CSV with commas or semicolons; line 1: {', '.join(COLUMNS)}")
    table_in.add_argument("--partial", action="store_true", help="do what has no mistake")
    table_in.add_argument("--invite", action="store_true", help="print an invitation link for each who is added")
    table_in.add_argument("--trial", action="store_true", help="do nothing, and say what would come of it")


def _fields(parser: argparse.ArgumentParser, *, changes: bool) -> None:
    """Add the options for a person's fields. A new person cannot be made an administrator."""
    parser.add_argument("user", metavar="NAME")
    parser.add_argument("--email", metavar="ADDRESS", help="'' is none")
    parser.add_argument("--groups", type=parsed(names), metavar="A,B", help="'' is none")
    parser.add_argument("--note", metavar="TEXT")
    if changes:
        parser.add_argument("--name", metavar="NAME", help="another name")
        asks(parser)
        parser.add_argument("--admin", action=argparse.BooleanOptionalAction, help="whether they administer")
        parser.add_argument("--mails", action=argparse.BooleanOptionalAction, help="whether they get mails")


async def _user_create(room: CommandContext, options: argparse.Namespace) -> None:
    groups = () if options.groups is None else options.groups
    person = await people_of(room).create(OPERATOR, options.user, options.email, groups, options.note or "")
    print(f"{person.name} may have tokens now: python -m server token create {person.name!r}")


async def _user_change(room: CommandContext, options: argparse.Namespace) -> None:
    said = {name: getattr(options, name) for name in ("name", "email", "groups", "note", "admin", "mails")}
    changes = {name: value for name, value in said.items() if value is not None}
    if changes.get("email") == "":
        changes["email"] = None
    person = await room.changes.person_named(options.user)
    if options.admin and not person.admin:
        insist(options, *(await of_promotion(room.store, person)).lines())
    await people_of(room).change(OPERATOR, person.id, changes, THE_OPERATOR.authority)


async def _user_erase(room: CommandContext, options: argparse.Namespace) -> None:
    person, privacy = await room.changes.person_named(options.user), _privacy(room)
    insist(options, *(await of_erasure(room.store, person)).lines())
    await privacy.erase(OPERATOR, person.id)


def _privacy(room: CommandContext) -> PrivacyCommands:
    sessions = Sessions(room.store, pepper_of(room), wall, room.settings.session_hours)
    return PrivacyCommands(room.store, room.changes, accounts_of(room), sessions, passes_of(room), wall)


async def _user_export(room: CommandContext, _: argparse.Namespace) -> None:
    print((await PeopleTable(room.store, room.changes, people_of(room)).export()).decode(), end="")


async def _user_import(room: CommandContext, options: argparse.Namespace) -> None:
    text = decoded(read(Path(options.file).read_bytes))
    reader = PeopleTable(room.store, room.changes, people_of(room))
    found = await reader.read(OPERATOR, text, options.partial, options.trial, THE_OPERATOR.authority)
    for mistake in found.mistakes:
        print(f"line {mistake.line}: {plain(mistake.sentence)}", file=sys.stderr)
    print(f"{'' if found.done else 'would be '}added {found.added:,}, changed {found.changed:,}")
    if options.invite:
        invitations = _invitations(room)
        for made in await invitations.invite_each(THE_OPERATOR, OPERATOR, await reader.to_invite(found)):
            print(f"{plain(made.person.name)},{plain(made.person.email or '')},{made.link(_base_url(room))}")
    if found.mistakes and not found.done and not options.trial:
        raise CommandError("nothing is done")


def _invitations(room: CommandContext) -> InvitationCommands:
    return InvitationCommands(room.store, room.changes, accounts_of(room), pepper_of(room), time.monotonic, wall)


def _base_url(room: CommandContext) -> str:
    """Where people reach the gateway, as far as the settings say."""
    settings = room.settings
    return settings.public_url or f"http://{settings.host}:{settings.port}"


async def _user_invite(room: CommandContext, options: argparse.Namespace) -> None:
    person = await room.changes.person_named(options.user)
    made = await _invitations(room).invite(THE_OPERATOR, OPERATOR, person.id)
    print(made.link(_base_url(room)))
    print(f"It works once, until {when(made.expires_at)}, and is shown this once.", file=sys.stderr)


async def _user_withdraw(room: CommandContext, options: argparse.Namespace) -> None:
    await _invitations(room).withdraw(OPERATOR, (await room.changes.person_named(options.user)).id)


async def _user_raise(room: CommandContext, options: argparse.Namespace) -> None:
    person = await room.changes.person_named(options.user)
    until = room.ends(options.until)
    more = replace(read(lambda: more_of(options.amount, options.limit, until)), group=options.group or "")
    found = await allow_more(room.changes, OPERATOR, person, more, room.settings.limits, wall())
    allowed = words(replace(found, amount=found.amount + found.extra))
    print(f"{plain(person.name)} may use {allowed} until {when(more.until)}")


async def _user_list(room: CommandContext, options: argparse.Namespace) -> None:
    columns: Columns[Person] = {
        "name": lambda each: each.name,
        "since": lambda each: day(each.created_at),
        "state": lambda each: "disabled" if each.disabled else "may ask",
        "groups": lambda each: ", ".join(dict.fromkeys((*each.groups, *each.claimed))),
    }
    show(room.settings, options, await accounts_of(room).people(), person_json, columns)


async def _user_disable(room: CommandContext, options: argparse.Namespace) -> None:
    person = await room.changes.person_named(options.user)
    insist(options, *(await of_disabling(room.store, person)).lines())
    await room.changes.set_disabled(OPERATOR, person.id, True)


async def _user_enable(room: CommandContext, options: argparse.Namespace) -> None:
    await room.changes.set_disabled(OPERATOR, (await room.changes.person_named(options.user)).id, False)
