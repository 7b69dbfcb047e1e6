"""The verbs about tokens and guests' passes: `python -m server token | pass ...`."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import sys
from typing import Any

from server.admin.changes import OPERATOR
from server.admin.commands.guest_passes import IssuedPass, WantedPass
from server.admin.commands.tokens import TokenCommands, WantedToken
from server.admin.consequences import of_revocation
from server.admin.makers import THE_OPERATOR
from server.auth.token_terms import KINDS, NORMAL
from server.bootstrap.ownership import confirm_pepper
from server.cli.context import A_DAY, Add, CommandContext, InLoop, asks, insist, parsed, plain, wall, when
from server.cli.output import Columns, lists, show
from server.cli.people import accounts_of, day, passes_of
from server.config import parsers
from server.http.api.schemas import issued_json, token_json
from server.ledger.money import micro_usd, usd
from server.store.base import Token, TokenTerms
from server.wire.keepalive import CHOICES, DEFAULT

DAY = 86_400  # seconds
_SHOWN_NOW = "It is shown only now."
_DAYS = parsed(parsers.whole(1, 36_500))


def add_verbs(nouns: Any, in_loop: InLoop) -> None:
    """Add the nouns to the parser's; `in_loop` runs a coroutine."""
    for name, verbs, summary in (
        ("token", _token_verbs, "create USER | list | rotate, narrow, revoke ID"),
        ("pass", _pass_verbs, "issue USER --usd N | list | revoke ID: for guests"),
    ):
        verbs(Add(nouns.add_parser(name, help=summary), in_loop))


def _tokens(room: CommandContext) -> TokenCommands:
    return TokenCommands(room.store, room.changes, accounts_of(room), wall)


def _token_verbs(add: Add) -> None:
    create = add("create", _token_create, "a new token, shown once")
    create.add_argument("user", metavar="USER")
    create.add_argument("--name", default="token", help="what the token is for")
    create.add_argument("--days", type=_DAYS, metavar="N", help="how long it works; for ever if not said")
    create.add_argument("--kind", choices=KINDS, default=NORMAL, help="special has no rate limits; temporary must end")
    create.add_argument("--models", type=parsed(parsers.words), default=(), metavar="A,B*", help="which may be used")
    create.add_argument("--networks", type=parsed(parsers.words), default=(), metavar="A,B", help="from where")
    create.add_argument("--addresses", type=int, default=0, metavar="N", help="from so many different ones at most")
    create.add_argument("--budget", type=parsed(micro_usd), metavar="USD", help="what it may spend in all")
    create.add_argument("--keepalive", choices=CHOICES[1:], default=DEFAULT, help="signs of life in its streams")
    lists(add("list", _token_list, "all tokens, without their secrets"))
    rotate = add("rotate", _token_rotate, "a new secret for a token, shown once")
    rotate.add_argument("id", metavar="ID")
    rotate.add_argument("--grace", type=int, default=0, metavar="SECONDS", help="so long the old one works on")
    narrow = add("narrow", _token_narrow, "let a token do less from now on, never more")
    narrow.add_argument("id", metavar="ID")
    narrow.add_argument("--until", metavar="WHEN", help=f"when it ends; the last day is included; else {A_DAY}")
    narrow.add_argument("--kind", choices=KINDS, help="no freer than it is")
    narrow.add_argument("--models", type=parsed(parsers.words), metavar="A,B*", help="some of its own")
    narrow.add_argument("--networks", type=parsed(parsers.words), metavar="A,B", help="parts of its own")
    narrow.add_argument("--addresses", type=int, metavar="N", help="no more than its own")
    narrow.add_argument("--keepalive", choices=CHOICES[1:], help="signs of life in its streams")
    revoke = add("revoke", _token_revoke, "close the door for a token, for good")
    revoke.add_argument("id", metavar="ID")
    asks(revoke)


async def _token_create(room: CommandContext, options: argparse.Namespace) -> None:
    expires_at = None if options.days is None else wall() + options.days * DAY * 1000
    terms = TokenTerms(
        options.kind, tuple(options.models), tuple(options.networks), options.addresses, options.keepalive
    )
    await confirm_pepper(room.store, room.settings)
    person = await room.changes.person_named(options.user)
    wanted = WantedToken(options.name, expires_at, terms, options.budget)
    _, secret = await _tokens(room).create(THE_OPERATOR, OPERATOR, person.id, wanted)
    _tell(secret)


async def _token_list(room: CommandContext, options: argparse.Namespace) -> None:
    names = {person.id: person.name for person in await room.store.people()}
    columns: Columns[Token] = {
        "id": lambda each: each.id,
        "hint": lambda each: each.hint,
        "person": lambda each: names[each.person_id],
        "name": lambda each: each.name,
        "state": lambda each: f"{_validity(each)}{_terms(each)}",
    }
    show(room.settings, options, await room.store.tokens(), token_json, columns)


async def _token_rotate(room: CommandContext, options: argparse.Namespace) -> None:
    await confirm_pepper(room.store, room.settings)
    _, secret = await _tokens(room).rotate(THE_OPERATOR, OPERATOR, options.id, grace_seconds=options.grace)
    _tell(secret)


async def _token_narrow(room: CommandContext, options: argparse.Namespace) -> None:
    said = {name: getattr(options, name) for name in ("kind", "models", "networks", "addresses", "keepalive")}
    wanted = {name: value for name, value in said.items() if value is not None}
    if options.until is not None:
        wanted["expires_at"] = room.ends(options.until)
    await _tokens(room).narrow(OPERATOR, options.id, wanted)


async def _token_revoke(room: CommandContext, options: argparse.Namespace) -> None:
    insist(options, *(await of_revocation(room.store, options.id)).lines())
    await _tokens(room).revoke(OPERATOR, options.id)


def _validity(token: Token) -> str:
    if token.revoked_at is not None:
        return f"revoked {day(token.revoked_at)}"
    if token.expires_at is None:
        return "valid"
    return f"{'valid until' if wall() < token.expires_at else 'expired'} {day(token.expires_at)}"


def _terms(token: Token) -> str:
    """Its terms as the end of a line; "" if it has none."""
    terms = token.terms
    said = [] if terms.kind == NORMAL else [terms.kind]
    said += [f"models {' '.join(terms.models)}"] if terms.models else []
    said += [f"from {' '.join(terms.networks)}"] if terms.networks else []
    said += [f"from {terms.addresses} addresses"] if terms.addresses else []
    said += [f"keepalive {terms.keepalive}"] if terms.keepalive else []
    return "".join(f", {plain(each)}" for each in said)


def _pass_verbs(add: Add) -> None:
    issue = add("issue", _pass_issue, "a pass for a guest of a person's, shown once")
    issue.add_argument("user", metavar="USER", help="on whom it is booked")
    issue.add_argument("--usd", type=parsed(micro_usd), required=True, metavar="N", help="what it may spend in all")
    issue.add_argument("--days", type=parsed(parsers.whole(1, 30)), default=1, metavar="N", help="how long it works")
    issue.add_argument("--group", default="", metavar="GROUP", help="one of USER's, whose rights and pot it has")
    issue.add_argument("--models", type=parsed(parsers.words), default=(), metavar="A,B*", help="which may be used")
    lists(add("list", _pass_list, "the passes that have not expired"))
    add("revoke", _pass_revoke, "make a pass good for nothing").add_argument("id", metavar="ID")


async def _pass_issue(room: CommandContext, options: argparse.Namespace) -> None:
    await confirm_pepper(room.store, room.settings)
    person = await room.changes.person_named(options.user)
    wanted = WantedPass(options.days * DAY, options.usd, options.group, tuple(options.models))
    _, text = await passes_of(room).issue_for(THE_OPERATOR, OPERATOR, person, wanted)
    _tell(text)


async def _pass_list(room: CommandContext, options: argparse.Namespace) -> None:
    names = {person.id: person.name for person in await room.store.people()}
    columns: Columns[IssuedPass] = {
        "id": lambda each: each.what.id,
        "issued by": lambda each: names.get(each.what.issuer),
        "group": lambda each: each.what.group or None,
        "may spend": lambda each: f"{usd(each.what.usd)} USD",
        "good": lambda each: "revoked" if each.revoked else f"until {when(each.what.expires_at)}",
    }
    show(room.settings, options, await passes_of(room).issued(), issued_json, columns)


async def _pass_revoke(room: CommandContext, options: argparse.Namespace) -> None:
    await passes_of(room).revoke(OPERATOR, options.id)


def _tell(secret: str) -> None:
    print(secret)
    print(_SHOWN_NOW, file=sys.stderr)
