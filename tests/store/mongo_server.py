"""A MongoDB to try the store with: SecantusDB, as a child process of the tests.

It is a server of MongoDB's protocol over MongoDB's own storage engine. It is started when the first test asks for it,
serves all tests, each in a database of its own, and is gone with them. `--sync-on-commit`: without it, it acknowledges
what is not on the disk.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pymongo import MongoClient
from tornado.testing import bind_unused_port


def unused_port() -> int:
    socket, port = bind_unused_port()
    socket.close()
    return int(port)


@contextmanager
def mongo_server(directory: Path, port: int | None = None) -> Iterator[str]:
    """Runs a server whose files are in `directory`, and gives its URL, without a database's name."""
    port = unused_port() if port is None else port
    place = ["--host", "127.0.0.1", "--port", str(port), "--storage-path", str(directory / "data")]
    command = [sys.executable, "-m", "secantus", *place, "--sync-on-commit", "--log-level", "ERROR"]
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
    try:
        url = f"mongodb://127.0.0.1:{port}/"
        with MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=30_000) as client:
            client.admin.command("ping")  # waits until it listens
        yield url
    finally:
        process.kill()
        process.wait()
