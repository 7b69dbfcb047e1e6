"""The verbs of coming over: `fairgate import oai-reverse-proxy | flask | java FILE`, `import fhswf URI`."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.admin.changes import OPERATOR
from server.admin.coming_over import Arrivals, of_fhswf, of_flask, of_java, of_oai_reverse_proxy
from server.admin.commands.coming_over import Arrived, ComingOver
from server.admin.commands.tokens import TokenCommands
from server.cli.context import Add, CommandContext, CommandVerb, InLoop, wall
from server.cli.output import lists, show
from server.cli.people import accounts_of, people_of
from server.policy.commands import CommandError

FILES: dict[str, tuple[Callable[[Path], Arrivals], str]] = {
    "oai-reverse-proxy": (of_oai_reverse_proxy, "users.json of the OAI Reverse Proxy"),
    "flask": (of_flask, "the SQLite file of AI-Northstar's openai-proxy"),
    "java": (of_java, "the SQLite file of SSEHUB's openai-api-proxy"),
}
COLUMNS = {
    "person": lambda each: each.name,
    "result": lambda each: each.result,
    "token, shown once": lambda each: each.secret or "-",
}


def add_verbs(nouns: Any, in_loop: InLoop) -> None:
    """Add the noun `import`."""
    add = Add(
        nouns.add_parser("import", help="people of another proxy: oai-reverse-proxy, flask, java, fhswf"), in_loop
    )
    for name, (reader, summary) in FILES.items():
        _manner(add(name, _from_file(reader), summary)).add_argument("file", metavar="FILE")
    each = _manner(add("fhswf", _fhswf, "the MongoDB of fhswf's openai-proxy"))
    each.add_argument("uri", metavar="URI", help="such as mongodb://localhost:27017/accounting")


def _manner(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--dry-run", action="store_true", help="change nothing, and say what would come of it")
    return lists(parser)


def _from_file(reader: Callable[[Path], Arrivals]) -> CommandVerb:
    async def work(room: CommandContext, options: argparse.Namespace) -> None:
        await _arrive(room, options, reader(Path(options.file)))

    return work


async def _fhswf(room: CommandContext, options: argparse.Namespace) -> None:
    issuer = room.settings.oidc_issuer
    if not issuer:
        raise CommandError("set OIDC_ISSUER first: people are found by it at their next login")
    from server.store.mongo.requests_of_fhswf import users_of  # late: the driver takes a while to load

    users = await users_of(options.uri, room.settings.store_driver)
    await _arrive(room, options, of_fhswf(users, issuer))


async def _arrive(room: CommandContext, options: argparse.Namespace, arrivals: Arrivals) -> None:
    tokens = TokenCommands(room.store, room.changes, accounts_of(room), wall)
    verb = ComingOver(room.store, room.changes, people_of(room), tokens, wall())
    found = await verb.arrive(OPERATOR, arrivals, options.dry_run)
    show(room.settings, options, found, _json, COLUMNS)
    for note in (*arrivals.notes, *([f"{len(arrivals.prices):,} prices."] if arrivals.prices else [])):
        print(note, file=sys.stderr)
    if options.dry_run:
        print("Nothing is changed: leave --dry-run away to do it.", file=sys.stderr)


def _json(each: Arrived) -> dict[str, Any]:
    return {"person": each.name, "result": each.result, "token": each.secret or None}
