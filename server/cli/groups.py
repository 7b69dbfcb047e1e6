"""The verbs about groups: `python -m server group ...`."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from server.admin.changes import OPERATOR
from server.admin.commands.contents import OPERATORS, ContentCommands
from server.admin.consequences import of_group_removal
from server.admin.differences import differences
from server.cli.context import (
    Add,
    CommandContext,
    asks,
    insist,
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
from server.config.tariff_parsers import tool_price_words, tool_prices
from server.http.api.contents import text_json
from server.http.api.schemas import group_json
from server.policy.groups import Group, group_body, group_of, prices_body


def add_verbs(add: Add) -> None:
    lists(add("list", _list, "all groups with what they give"))
    _terms(add("create", _create, "make a group"))
    _terms(add("change", _change, "change what is said, and leave the rest"))
    remove = add("remove", _remove, "forget a group; its name stays with its members as a label")
    remove.add_argument("group", metavar="GROUP")
    asks(remove)
    texts = lists(add("texts", _texts, "read the texts of a person, where the group names administrators; it is noted"))
    texts.add_argument("group", metavar="GROUP")
    texts.add_argument("person", metavar="PERSON")
    for name, work, summary in (("add", _add, "make a person a member"), ("drop", _drop, "end a membership")):
        each = add(name, work, summary)
        each.add_argument("group", metavar="GROUP")
        each.add_argument("person", metavar="PERSON")


def _terms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("group", metavar="GROUP")
    parser.add_argument("--weight", type=float, metavar="N", help="share in the queue; 1 is the usual one")
    parser.add_argument("--models", type=parsed(parsers.words), metavar="A,B*", help="which may be used; '' is all")
    parser.add_argument("--running", type=int, metavar="N", help="requests in flight, of each member; 0 is any number")
    parser.add_argument("--batch", action=argparse.BooleanOptionalAction, help="what its members ask waits behind")
    parser.add_argument("--guests", action=argparse.BooleanOptionalAction, help="its members may issue guest passes")
    parser.add_argument("--content-days", type=int, metavar="N", help="keep prompts and answers so long; 0 is not")
    parser.add_argument(
        "--readers",
        type=parsed(parsers.words),
        metavar="A,B",
        help="of operators, teachers: who may read those",
    )
    parser.add_argument(
        "--fallback", metavar="VALUE", help='another model where theirs would wait, such as "gpt-5-mini; wait=20"'
    )
    parser.add_argument(
        "--tool-prices",
        type=parsed(tool_prices),
        metavar="A=USD,B=USD",
        help="for a call, where it pays; '' is the usual",
    )
    parser.add_argument("--teachers", type=parsed(parsers.words), metavar="A,B", help="people who may see its totals")
    parser.add_argument("--note", metavar="TEXT")
    times(parser)


async def _list(room: CommandContext, options: argparse.Namespace) -> None:
    columns: Columns[Group] = {"name": lambda each: each.name, "gives": _gives}
    show(room.settings, options, await room.changes.groups(), group_json, columns)
    await tell_unreadable(room, "group")


def _gives(group: Group) -> str:
    """What differs from a group that gives nothing."""
    lasts = {"since": when(group.since), "until": when(group.until)}
    body = {**group_body(group), **lasts, "tool_prices": tool_price_words(group.tool_prices)}
    usual = group_body(Group(name=group.name)) | {"since": "-", "until": "-", "tool_prices": ""}
    return ", ".join(
        f"{name} {_words(value)}" for name, value in body.items() if value != usual[name] and name != "join"
    )


def _words(value: object) -> str:
    return plain(" ".join(map(str, value)) if isinstance(value, list) else str(value))


async def _create(room: CommandContext, options: argparse.Namespace) -> None:
    await room.changes.create_group(OPERATOR, await _wanted(room, options, {}))


async def _change(room: CommandContext, options: argparse.Namespace) -> None:
    before = group_body(await room.changes.group(options.group))
    after = await _wanted(room, options, before)
    await room.changes.change_group(OPERATOR, after)
    for difference in differences(before, group_body(after)):
        print(plain(difference))


async def _wanted(room: CommandContext, options: argparse.Namespace, before: Mapping[str, Any]) -> Group:
    names = ("weight", "models", "running", "batch", "guests", "content_days", "readers", "fallback", "note")
    said: dict[str, Any] = {name: getattr(options, name) for name in names}
    said |= {"since": room.begins_if(options.since), "until": room.ends_if(options.until)}
    if options.teachers is not None:
        said["teachers"] = [(await room.changes.person_named(name)).id for name in options.teachers]
    if options.tool_prices is not None:
        said["tool_prices"] = prices_body(options.tool_prices)
    body = {**before, **{name: value for name, value in said.items() if value is not None}}
    return read(lambda: group_of(options.group, body))


async def _remove(room: CommandContext, options: argparse.Namespace) -> None:
    insist(options, *(await of_group_removal(room.store, room.changes, options.group)).lines())
    await room.changes.remove_group(OPERATOR, options.group)


async def _texts(room: CommandContext, options: argparse.Namespace) -> None:
    contents = ContentCommands(room.store, room.changes, wall)
    found = await contents.read(OPERATOR, OPERATORS, options.group, options.person)
    if options.json:
        print_json([text_json(each) for each in found])
        return
    for each in found:
        said = text_json(each)
        print(f"{said['at']} {said['request_id']}", plain(said["asked"]), plain(said["answered"]), "", sep="\n")


async def _add(room: CommandContext, options: argparse.Namespace) -> None:
    person = await room.changes.person_named(options.person)
    await room.changes.put_in_group(OPERATOR, person.id, options.group)


async def _drop(room: CommandContext, options: argparse.Namespace) -> None:
    person = await room.changes.person_named(options.person)
    await room.changes.take_from_group(OPERATOR, person.id, options.group)
