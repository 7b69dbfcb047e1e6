"""The verbs about what the operator decides and what was used, by their nouns; and two of the nouns themselves."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import json
import secrets
from collections.abc import Mapping
from typing import Any

from server.admin.audit_search import KINDS, AuditFilter, find_changes, names_of_all
from server.admin.changes import OPERATOR
from server.admin.commands import closing
from server.admin.commands.undo import is_undoable, undo
from server.admin.differences import differences
from server.cli import aliases as cli_aliases
from server.cli import closing as cli_closing
from server.cli import groups as cli_groups
from server.cli import limits as cli_limits
from server.cli import prices as cli_prices
from server.cli import usage as cli_usage
from server.cli.context import (
    Add,
    CommandContext,
    InLoop,
    creates,
    hooked,
    parsed,
    plain,
    read,
    tell_unreadable,
    times,
    wall,
    when,
)
from server.cli.output import Columns, lists, print_json, show
from server.config import parsers
from server.http.api.schemas import change_json, notice_json
from server.policy.notices import Notice, NoticeKind, notice_body
from server.store.base import DONE

_SHOWN_AUDITS = 50
WORDS_ONLY = [str(kind) for kind in NoticeKind if kind is not NoticeKind.MAINTENANCE]


def add_verbs(nouns: Any, in_loop: InLoop) -> None:
    """Add the nouns to the parser's; `in_loop` runs a coroutine."""
    for name, verbs, summary in (
        ("limit", cli_limits.add_verbs, "list | set WHOM LIMIT | raise ID AMOUNT | remove ID"),
        ("price", cli_prices.add_verbs, "list | set MODEL | remove ID | show MODEL"),
        ("group", cli_groups.add_verbs, "list | create, change, remove GROUP | add, drop GROUP PERSON"),
        ("alias", cli_aliases.add_verbs, "list | set NAME MODEL | remove NAME"),
        ("notice", _notice_verbs, "list | set TEXT | remove ID"),
        ("maintenance", cli_closing.add_verbs, "schedule TEXT --since --until | close [TEXT] | open"),
    ):
        verbs(Add(nouns.add_parser(name, help=summary), in_loop))
    cli_usage.add_verbs(nouns, in_loop)
    audit = nouns.add_parser(
        "audit",
        help="[--limit N] [--who, --kind, --what]: who changed what, the newest first | undo ID",
    )
    audit.add_argument("--limit", type=parsed(parsers.whole(1, 100_000)), default=_SHOWN_AUDITS, metavar="N")
    for option, about in (("who", "who made it"), ("what", "what it is about")):
        audit.add_argument(f"--{option}", default="", metavar="TEXT", help=f"{about}: a part of a name or an id")
    audit.add_argument("--kind", choices=KINDS, default="", help="what an action begins with")
    hooked(lists(audit), _audit, in_loop)
    undoing = Add(audit, in_loop, required=False)("undo", _undo, "put back a group, a limit, a price or an alias")
    undoing.add_argument("id", metavar="ID")


def _notice_verbs(add: Add) -> None:
    lists(add("list", _notice_list, "the notices that people read"))
    each = add("set", _notice_set, "tell people something, from now on if nothing else is said")
    each.add_argument("text", metavar="TEXT", help="one line, which is shown as it is")
    each.add_argument("--kind", choices=WORDS_ONLY, default=str(NoticeKind.ANNOUNCEMENT))
    each.add_argument("--id", metavar="ID", help="in place of the notice of this id")
    times(each)
    creates(each)
    add("remove", _notice_remove, "tell it no more").add_argument("id", metavar="ID")


async def _notice_list(room: CommandContext, options: argparse.Namespace) -> None:
    columns: Columns[Notice] = {
        "id": lambda each: each.id,
        "kind": lambda each: each.kind,
        "since": lambda each: when(each.since),
        "until": lambda each: when(each.until),
        "text": lambda each: each.text,
    }
    show(room.settings, options, await room.changes.notices(), notice_json, columns)
    await tell_unreadable(room, "notice")


async def _notice_set(room: CommandContext, options: argparse.Namespace) -> None:
    notice_id = options.id or f"ntc_{secrets.token_hex(4)}"
    since = wall() if options.since is None else room.begins(options.since)
    until = room.ends_if(options.until)
    notice = read(lambda: Notice(notice_id, NoticeKind(options.kind), options.text, since, until))
    known = next((each for each in await room.changes.notices() if each.id == notice_id), None)
    await closing.announce(room.changes, OPERATOR, notice, options.new)
    print(notice.id)
    for difference in differences(notice_body(known), notice_body(notice)) if known else ():
        print(plain(difference))


async def _notice_remove(room: CommandContext, options: argparse.Namespace) -> None:
    await room.changes.remove_notice(OPERATOR, options.id)


async def _audit(room: CommandContext, options: argparse.Namespace) -> None:
    wanted, names = AuditFilter(options.who, options.kind, options.what), await names_of_all(room.store)
    entries, more = await find_changes(room.changes, wanted, names, None, options.limit)
    while more is not None and len(entries) < options.limit:
        found, more = await find_changes(room.changes, wanted, names, more, options.limit - len(entries))
        entries += found
    if options.json:
        print_json([change_json(entry) for entry in entries])
        return
    for entry in entries:
        end = "" if entry.outcome == DONE else f"  ({entry.outcome})"
        who = plain(names.get(entry.actor, entry.actor))
        print(f"{when(entry.at)}  {who}  {plain(entry.action)}  {plain(entry.target)}{end}")
        for sign, body in (("-", entry.before), ("+", entry.after)):
            if body is not None:
                print(f"    {sign} {_json(body)}")
        if is_undoable(entry):
            print(f"    audit undo {plain(entry.id)}")


async def _undo(room: CommandContext, options: argparse.Namespace) -> None:
    record = await undo(room.changes, OPERATOR, options.id)
    print(f"the {record.kind} {plain(record.id)} is there again")


def _json(body: Mapping[str, Any]) -> str:
    return json.dumps(dict(body), sort_keys=True)
