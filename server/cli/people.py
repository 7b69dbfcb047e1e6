"""The verbs about people, their tokens and guests' passes: `python -m server user | token | pass ...`."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import sys
from typing import Any

from server.admin.changes import OPERATOR
from server.admin.commands.guest_passes import GuestPassCommands, WantedPass
from server.admin.makers import THE_OPERATOR
from server.auth.accounts import Accounts
from server.auth.guest_passes import Passes
from server.auth.token_terms import KINDS, NORMAL
from server.bootstrap.ownership import confirm_pepper
from server.cli.context import Add, CommandContext, InLoop, parsed, plain, table, wall, when
from server.config import parsers
from server.ledger.money import micro_usd, usd
from server.store.base import Token, TokenTerms
from server.store.token_secret import pepper_for
from server.wire.keepalive import CHOICES, DEFAULT

DAY = 86_400  # seconds
_SHOWN_NOW = "It is shown only now."
_DAYS = parsed(parsers.whole(1, 36_500))


def add_verbs(nouns: Any, in_loop: InLoop) -> None:
    """Add the nouns to the parser's; `in_loop` runs a coroutine."""
    for name, verbs, told in (
        ("user", _user_verbs, "create NAME | list | disable NAME | enable NAME"),
        ("token", _token_verbs, "create USER | list | rotate ID | revoke ID"),
        ("pass", _pass_verbs, "issue USER --usd N | list | revoke ID: for guests"),
    ):
        verbs(Add(nouns.add_parser(name, help=told), in_loop))


def pepper_of(room: CommandContext) -> bytes:
    """The pepper of this gateway."""
    configured = room.settings.token_pepper
    return pepper_for(room.settings.store_url, configured.reveal() if configured else "")


def _accounts(room: CommandContext) -> Accounts:
    proxy_key = room.settings.proxy_key
    return Accounts(room.store, room.settings.gatekeeper, proxy_key.reveal() if proxy_key else "", pepper_of(room))


# ---- people ----


def _user_verbs(add: Add) -> None:
    for name, work, told in (
        ("create", _user_create, "let somebody have tokens"),
        ("disable", _user_disable, "close the door for all tokens of somebody"),
        ("enable", _user_enable, "open it again"),
    ):
        add(name, work, told).add_argument("user", metavar="NAME")
    add("list", _user_list, "everybody")


async def _user_create(room: CommandContext, options: argparse.Namespace) -> None:
    accounts = _accounts(room)
    person = await accounts.create_person(options.user)
    await room.changes.note(OPERATOR, "person.create", person.id, None, {"name": person.name})
    print(f"{person.name} may have tokens now: python -m server token create {person.name!r}")


async def _user_list(room: CommandContext, _: argparse.Namespace) -> None:
    for person in await _accounts(room).people():
        state = "disabled" if person.disabled else "may ask"
        groups = ", ".join(dict.fromkeys((*person.groups, *person.claimed)))
        print(f"{person.name:<24} since {_day(person.created_at)}  {state}  {plain(groups)}".rstrip())


async def _user_disable(room: CommandContext, options: argparse.Namespace) -> None:
    await room.changes.set_disabled(OPERATOR, (await room.changes.person_named(options.user)).id, True)


async def _user_enable(room: CommandContext, options: argparse.Namespace) -> None:
    await room.changes.set_disabled(OPERATOR, (await room.changes.person_named(options.user)).id, False)


# ---- tokens ----


def _token_verbs(add: Add) -> None:
    create = add("create", _token_create, "a new token, shown once")
    create.add_argument("user", metavar="USER")
    create.add_argument("--name", default="token", help="what the token is for")
    create.add_argument("--days", type=_DAYS, metavar="N", help="how long it works; for ever if not said")
    create.add_argument("--kind", choices=KINDS, default=NORMAL, help="special has no rate limits; temporary must end")
    create.add_argument("--models", type=parsed(parsers.words), default=(), metavar="A,B*", help="which may be used")
    create.add_argument("--networks", type=parsed(parsers.words), default=(), metavar="A,B", help="from where")
    create.add_argument("--addresses", type=int, default=0, metavar="N", help="from so many different ones at most")
    create.add_argument("--keepalive", choices=CHOICES[1:], default=DEFAULT, help="signs of life in its streams")
    add("list", _token_list, "all tokens, without their secrets")
    rotate = add("rotate", _token_rotate, "a new secret for a token, shown once")
    rotate.add_argument("id", metavar="ID")
    rotate.add_argument("--grace", type=int, default=0, metavar="SECONDS", help="so long the old one works on")
    add("revoke", _token_revoke, "close the door for a token, for good").add_argument("id", metavar="ID")


async def _token_create(room: CommandContext, options: argparse.Namespace) -> None:
    expires_at = None if options.days is None else wall() + options.days * DAY * 1000
    terms = TokenTerms(
        options.kind, tuple(options.models), tuple(options.networks), options.addresses, options.keepalive
    )
    await confirm_pepper(room.store, room.settings)
    person = await room.changes.person_named(options.user)
    token, secret = await _accounts(room).create_token(person.name, options.name, expires_at, terms)
    await room.changes.note(OPERATOR, "token.create", token.id, None, {"person": person.id, "name": token.name})
    _tell(secret)


async def _token_list(room: CommandContext, _: argparse.Namespace) -> None:
    names = {person.id: person.name for person in await room.store.people()}
    for token in await room.store.tokens():
        print(
            f"{token.id}  {token.hint}  {names[token.person_id]:<24} {token.name:<16} {_validity(token)}{_told(token)}"
        )


async def _token_rotate(room: CommandContext, options: argparse.Namespace) -> None:
    await confirm_pepper(room.store, room.settings)
    token, secret = await _accounts(room).rotate(options.id, grace_seconds=options.grace)
    await room.changes.note(
        OPERATOR, "token.rotate", options.id, None, {"by": token.id, "grace_seconds": options.grace}
    )
    _tell(secret)


async def _token_revoke(room: CommandContext, options: argparse.Namespace) -> None:
    await room.changes.revoke_token(OPERATOR, options.id)


def _validity(token: Token) -> str:
    if token.revoked_at is not None:
        return f"revoked {_day(token.revoked_at)}"
    if token.expires_at is None:
        return "valid"
    return f"{'valid until' if wall() < token.expires_at else 'expired'} {_day(token.expires_at)}"


def _told(token: Token) -> str:
    """Its terms, where it has some."""
    terms = token.terms
    said = [] if terms.kind == NORMAL else [terms.kind]
    said += [f"models {' '.join(terms.models)}"] if terms.models else []
    said += [f"from {' '.join(terms.networks)}"] if terms.networks else []
    said += [f"from {terms.addresses} addresses"] if terms.addresses else []
    said += [f"keepalive {terms.keepalive}"] if terms.keepalive else []
    return "".join(f", {plain(each)}" for each in said)


# ---- passes ----


def _pass_verbs(add: Add) -> None:
    issue = add("issue", _pass_issue, "a pass for a guest of somebody's, shown once")
    issue.add_argument("user", metavar="USER", help="on whom it is booked")
    issue.add_argument("--usd", type=parsed(micro_usd), required=True, metavar="N", help="what it may spend in all")
    issue.add_argument("--days", type=parsed(parsers.whole(1, 30)), default=1, metavar="N", help="how long it works")
    issue.add_argument("--group", default="", metavar="GROUP", help="one of USER's, whose rights and pot it has")
    issue.add_argument("--models", type=parsed(parsers.words), default=(), metavar="A,B*", help="which may be used")
    add("list", _pass_list, "the passes that have not expired")
    add("revoke", _pass_revoke, "make a pass good for nothing").add_argument("id", metavar="ID")


def _office(room: CommandContext) -> GuestPassCommands:
    return GuestPassCommands(room.store, room.changes, Passes(pepper_of(room)), wall)


async def _pass_issue(room: CommandContext, options: argparse.Namespace) -> None:
    await confirm_pepper(room.store, room.settings)
    person = await room.changes.person_named(options.user)
    wanted = WantedPass(options.days * DAY, options.usd, options.group, tuple(options.models))
    _, text = await _office(room).issue_for(THE_OPERATOR, OPERATOR, person, wanted)
    _tell(text)


async def _pass_list(room: CommandContext, _: argparse.Namespace) -> None:
    names = {person.id: person.name for person in await room.store.people()}
    rows = [
        (
            each.what.id,
            names.get(each.what.issuer),
            each.what.group or None,
            f"{usd(each.what.usd)} USD",
            "revoked" if each.revoked else f"until {when(each.what.expires_at)}",
        )
        for each in await _office(room).issued()
    ]
    if rows:
        print(table(("id", "issued by", "group", "may spend", "good"), rows))


async def _pass_revoke(room: CommandContext, options: argparse.Namespace) -> None:
    await _office(room).revoke(OPERATOR, options.id)


def _tell(secret: str) -> None:
    print(secret)
    print(_SHOWN_NOW, file=sys.stderr)


def _day(milliseconds: int) -> str:
    return when(milliseconds)[:10]
