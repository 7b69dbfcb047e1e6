"""The verbs about the store itself: `python -m server store create | adopt`."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
from typing import Any

from server.admin.changes import OPERATOR
from server.bootstrap.ownership import adopt
from server.cli.context import Add, CommandContext, InLoop, unmade_store
from server.config.settings import Settings
from server.store import store_for
from server.store.base import StoreError


def add_verbs(nouns: Any, in_loop: InLoop) -> None:
    """Add the noun to the parser's; `in_loop` runs a coroutine."""
    parser = nouns.add_parser("store", help="create: an empty one | adopt: take other secrets on purpose")
    add = Add(parser, in_loop)
    add("adopt", _adopt, "start this store with the pepper and the master keys of the settings, also if they are new")
    create = add.verb("create", "make an empty store where the settings say; the first start of a gateway does it, too")
    create.set_defaults(verb=lambda settings, _: in_loop(_create(settings)))


async def _create(settings: Settings) -> int:
    """Raises StoreError if there is one already."""
    path = unmade_store(settings)
    if path is None:
        raise StoreError("there is a store already where STORE_URL says, or it is a MongoDB, which needs none made")
    async with store_for(settings.store_url, settings.store_driver):
        print(path)
    return 0


async def _adopt(room: CommandContext, _: argparse.Namespace) -> None:
    await room.changes.note(OPERATOR, "store.adopt", "store", None, None)
    await adopt(room.store, room.settings)
    print("The store takes the pepper and the master keys of these settings for its own from the next start on.")
    print("Tokens, sessions and passes that were made under another pepper do not work: make new ones.")
