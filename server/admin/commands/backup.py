"""The command that copies the embedded store for an administrator to take away. It is noted before it is made."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from server.admin.changes import Changes
from server.config.parsers import SQLITE
from server.policy.commands import CommandError
from server.store.sqlite.copying import copy
from server.store.sqlite.store import database_path
from web.wording import Wording

PIECE = 256 << 10  # bytes
MONGODB = Wording("a MongoDB is backed up with its own tools, such as mongodump")


@asynccontextmanager
async def snapshot(changes: Changes, store_url: str, actor: str) -> AsyncIterator[Path]:
    """A whole copy of the store, in a file beside it that goes when the block is left. Without the pepper.

    Raises CommandError for a MongoDB, and where there is no room.
    """
    if not store_url.startswith(SQLITE):
        raise CommandError(MONGODB)
    database = database_path(store_url).absolute()
    await changes.note(actor, "store.backup", "store", None, None)
    with TemporaryDirectory(prefix=".backup-", dir=database.parent) as folder:
        draft = Path(folder) / "copy.db"
        try:
            await asyncio.to_thread(copy, database, draft)
        except (OSError, sqlite3.Error) as error:
            raise CommandError(Wording("the copy could not be made: perhaps the disk has no room for it")) from error
        yield draft


async def pieces(path: Path) -> AsyncGenerator[bytes, None]:
    """The bytes of a file, read beside the event loop."""
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
