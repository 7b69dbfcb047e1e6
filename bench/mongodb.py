"""A server of MongoDB's protocol for the bench: SecantusDB of the dev extra. It is not MongoDB itself."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from bench import children

ANSWER_MS = 1_000


@contextlib.asynccontextmanager
async def mongodb(cores: set[int], place: Path) -> AsyncIterator[str]:
    """The URL of a database on a server whose files are in `place`; it acknowledges what is on the disk."""
    place.mkdir()
    port = children.unused_port()
    where = ["--host", "127.0.0.1", "--port", str(port), "--storage-path", str(place / "data")]
    command = [sys.executable, "-m", "secantus", *where, "--sync-on-commit", "--log-level", "ERROR"]

    async def pings() -> bool:
        try:
            with MongoClient[dict[str, object]](port=port, serverSelectionTimeoutMS=ANSWER_MS) as client:
                client.admin.command("ping")
        except PyMongoError:
            return False
        return True

    async with children.child(command, {}, cores, place, "secantus.log") as process:
        await children.until(pings, process, place / "secantus.log")
        yield f"mongodb://127.0.0.1:{port}/bench"
