"""A copy of the embedded store while it is in use: one transaction's view (`VACUUM INTO`), so nothing is half written.

No request waits for it, and the copy has no write-ahead log beside it. It is looked through before it is used.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from server.store.sqlite.store import BUSY_SECONDS


def copy(database: Path, draft: Path) -> None:
    """Copy a database that is there, and look through the copy. Raises OSError, sqlite3.Error."""
    draft.unlink(missing_ok=True)  # of a backup that was killed
    write_new(draft, b"")
    with closing(_connect(database)) as connection:
        connection.execute("VACUUM INTO ?", (str(draft),))
    _look_through(draft)


def _look_through(found_at: Path) -> None:
    with closing(_connect(found_at)) as connection:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(f"the copy is damaged: {found}")
    to_disk(found_at)


def _connect(path: Path) -> sqlite3.Connection:
    """Open a database that is there."""
    return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=BUSY_SECONDS)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read. Raises OSError if there is one."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def to_disk(path: Path) -> None:
    """Have a file, or the names of a folder, on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
