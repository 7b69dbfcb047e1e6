"""The verb `python -m server backup FILE`: a copy of the embedded store, made while the gateway runs.

The copy is one transaction's view (`VACUUM INTO`), so nothing in it is half written, no request waits for it, and it
has no write-ahead log beside it. It is looked through before it gets its name: a file of that name is a whole backup.
The pepper goes with it, without which no token in it would work.
"""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from server.cli.context import HOW_TO_FIND_IT
from server.config.parsers import SQLITE
from server.config.settings import Settings
from server.store.base import StoreError
from server.store.sqlite.store import BUSY_SECONDS, database_path
from server.store.token_secret import pepper_for


def add_verb(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `backup` to its parser."""
    parser.add_argument("file", metavar="FILE", type=Path, help="where the copy goes; there must be no such file yet")
    parser.set_defaults(verb=_backup)


def _backup(settings: Settings, options: argparse.Namespace) -> int:
    for path in back_up(settings, options.file):
        print(path)
    return 0


def back_up(settings: Settings, target: Path) -> list[Path]:
    """Copy the database, and its pepper unless that is a setting; returns the files made, readable to their owner only.

    Raises StoreError if that cannot be done; there is no file named `target` then.
    """
    if not settings.store_url.startswith(SQLITE):
        raise StoreError("a MongoDB is backed up with its own tools, such as mongodump")
    database, made = database_path(settings.store_url), [target]
    if not database.exists():
        raise StoreError(f"there is no store at {database.absolute()}; {HOW_TO_FIND_IT}")
    if settings.token_pepper is None:
        made.append(target.with_name(f"{target.name}.pepper"))
    if taken := [path for path in made if path.exists()]:
        raise StoreError(f"there is a file already: {taken[0]}")
    draft = target.with_name(f"{target.name}.part")
    try:
        _copy(database, draft)
        for beside in made[1:]:
            _write(beside, pepper_for(settings.store_url, "") + b"\n")
        draft.rename(target)
        _to_disk(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"the backup failed: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return made


def _copy(database: Path, draft: Path) -> None:
    draft.unlink(missing_ok=True)  # of a backup that was killed
    _write(draft, b"")
    with closing(_connect(database)) as connection:
        connection.execute("VACUUM INTO ?", (str(draft),))
    _look_through(draft)


def _look_through(copy: Path) -> None:
    with closing(_connect(copy)) as connection:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(f"the copy is damaged: {found}")
    _to_disk(copy)


def _connect(path: Path) -> sqlite3.Connection:
    """Open a database that is there."""
    return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=BUSY_SECONDS)


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
