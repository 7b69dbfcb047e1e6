"""The verbs about names for models: `python -m server alias ...`."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse

from server.admin.changes import OPERATOR
from server.cli.context import Add, CommandContext, creates, read, tell_unreadable
from server.cli.output import Columns, lists, show
from server.http.api.schemas import alias_json
from server.policy.aliases import Alias


def add_verbs(add: Add) -> None:
    """Add the verbs to the noun's parser."""
    lists(add("list", _list, "the names that were decided at run time"))
    each = add("set", _set, "let a name stand for a model")
    each.add_argument("name", metavar="NAME")
    each.add_argument("model", metavar="MODEL")
    each.add_argument(
        "--unlisted", dest="listed", action="store_false", help="no list shows it: a retired model's name"
    )
    creates(each)
    add("remove", _remove, "forget a name").add_argument("id", metavar="NAME")


_COLUMNS: Columns[Alias] = {
    "name": lambda each: each.name,
    "model": lambda each: each.model,
    "lists": lambda each: "listed" if each.listed else "unlisted",
}


async def _list(room: CommandContext, options: argparse.Namespace) -> None:
    show(room.settings, options, await room.changes.aliases(), alias_json, _COLUMNS)
    await tell_unreadable(room, "alias")


async def _set(room: CommandContext, options: argparse.Namespace) -> None:
    alias = read(lambda: Alias(options.name, options.model, options.listed))
    await room.changes.set_alias(OPERATOR, alias, options.new)
    print(f"{alias.name} is {alias.model}")


async def _remove(room: CommandContext, options: argparse.Namespace) -> None:
    await room.changes.remove_alias(OPERATOR, options.id)
