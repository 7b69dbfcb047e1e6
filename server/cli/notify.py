"""The verbs about messages: `fairgate notify list | test | new-secret`."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import base64
import secrets
from contextlib import AsyncExitStack

from server.admin.changes import OPERATOR
from server.admin.commands.notifications import LATEST, NotificationCommands
from server.cli.context import Add, CommandContext, wall, when
from server.cli.output import Columns, lists, show
from server.config import parsers
from server.config.notify_parsers import WHSEC
from server.config.settings import Settings
from server.http.api.schemas import message_json
from server.policy.commands import CommandError
from server.policy.notifications import Delivery, DeliveryState, in_words

SECRET_BYTES = 32


def add_verbs(add: Add) -> None:
    """Add the verbs to the noun's parser."""
    each = lists(add("list", _list, "the latest messages, and how they ended"))
    each.add_argument("--limit", type=parsers.whole(1, 10_000), default=LATEST, metavar="N")
    lists(add("test", _test, "send a message to the operator by every way, and say how each went"))
    add.verb("new-secret", "make a secret for NOTIFY_WEBHOOK_SECRET").set_defaults(verb=_new_secret)


_COLUMNS: Columns[Delivery] = {
    "at": lambda each: when(each.at),
    "kind": lambda each: each.kind,
    "channel": lambda each: each.channel,
    "receiver": lambda each: each.receiver,
    "state": lambda each: each.state,
    "tries": lambda each: each.tries,
    "failure": lambda each: in_words(each.failure) or "-",
}


async def _list(room: CommandContext, options: argparse.Namespace) -> None:
    commands = NotificationCommands(room.store, room.changes, None, wall)
    show(room.settings, options, await commands.latest(options.limit), message_json, _COLUMNS)


async def _test(room: CommandContext, options: argparse.Namespace) -> None:
    from server.bootstrap.from_settings import egress
    from server.bootstrap.notifications import open_outbox

    async with AsyncExitStack() as stack:
        outbox = open_outbox(room.settings, room.store, dict, egress(room.settings), wall, stack)
        found = await NotificationCommands(room.store, room.changes, outbox, wall).test(OPERATOR)
    show(room.settings, options, found, message_json, _COLUMNS)
    if any(each.state is not DeliveryState.SENT for each in found):
        raise CommandError("a message was not sent; a running gateway tries it again")


def _new_secret(_: Settings, __: argparse.Namespace) -> int:
    print(WHSEC + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode())
    return 0
