"""The verb `python -m server store adopt`: the pepper and the master keys of a store were changed on purpose."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse

from server.admin.changes import OPERATOR
from server.bootstrap.ownership import adopt
from server.cli.context import Add, CommandContext


def add_verbs(add: Add) -> None:
    """Add the verbs to the parser of `store`."""
    add("adopt", _adopt, "start this store with the pepper and the master keys of the settings, also if they are new")


async def _adopt(room: CommandContext, _: argparse.Namespace) -> None:
    await room.changes.note(OPERATOR, "store.adopt", "store", None, None)
    await adopt(room.store, room.settings)
    print("The store takes the pepper and the master keys of these settings for its own from the next start on.")
    print("Tokens, sessions and passes that were made under another pepper do not work: make new ones.")
