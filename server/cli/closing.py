"""The verbs about maintenance: `python -m server maintenance schedule | close | open`."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import secrets

from server.admin.changes import OPERATOR
from server.admin.commands import closing
from server.cli.context import A_DAY, Add, CommandContext, asks, insist, read, wall
from server.ledger.reports import By, Days
from server.policy.notices import Notice, NoticeKind


def add_verbs(add: Add) -> None:
    each = add("schedule", _schedule, "close later, from then until then; all people read it beforehand")
    each.add_argument("text", metavar="TEXT", help="one line, which is shown as it is")
    each.add_argument("--since", required=True, metavar="WHEN", help=A_DAY)
    each.add_argument("--until", required=True, metavar="WHEN", help=f"the last day, which is included; else {A_DAY}")
    each = add("close", _close, "turn new requests away from now on")
    each.add_argument("text", metavar="TEXT", nargs="?", default="", help="the text that all people read meanwhile")
    each.add_argument("--until", metavar="WHEN", help=f"the last day, which is included; else {A_DAY}")
    asks(each)
    add("open", _open, "serve requests again; what is scheduled for later stays")


async def _schedule(room: CommandContext, options: argparse.Namespace) -> None:
    since, until = room.begins(options.since), room.ends(options.until)
    name = f"ntc_{secrets.token_hex(4)}"
    notice = read(lambda: Notice(name, NoticeKind.MAINTENANCE, options.text, since, until))
    await closing.schedule(room.changes, OPERATOR, notice, wall())
    print(name)


async def _close(room: CommandContext, options: argparse.Namespace) -> None:
    """Only the gateway knows the requests that run; the store knows the people who have used it today."""
    now, until = wall(), room.ends_if(options.until)
    today = room.calendar.day(now)
    people = len(await room.store.sums(Days(first=today, last=today), (By.PERSON,)))
    insist(
        options,
        "New requests are turned away within seconds; what runs and waits is served. Administrators are still served.",
        f"People who have used the gateway today: {people:,}. How many run and wait now, /admin says.",
    )
    await closing.close(room.changes, OPERATOR, now, options.text, until)


async def _open(room: CommandContext, _: argparse.Namespace) -> None:
    ended = await closing.reopen(room.changes, OPERATOR, wall())
    print("open again" if ended else "it was open")
