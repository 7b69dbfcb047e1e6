"""The verb `python -m server backup FILE`: a copy of the embedded store, made while the gateway runs.

The copy is one transaction's view (`VACUUM INTO`), so nothing in it is half written, no request waits for it, and it
has no write-ahead log beside it. It is looked through before it gets its name: a file of that name is a whole backup.
The pepper goes with it, without which no token in it would work.
"""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import sqlite3
from pathlib import Path

from server.cli.context import HOW_TO_FIND_IT
from server.config.parsers import SQLITE
from server.config.settings import Settings
from server.store.base import StoreError
from server.store.sqlite.copying import copy, to_disk, write_new
from server.store.sqlite.store import database_path
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
    if not target.parent.is_dir():
        raise StoreError(f"there is no folder {target.parent.absolute()}: make it first")
    draft = target.with_name(f"{target.name}.part")
    try:
        copy(database, draft)
        for beside in made[1:]:
            write_new(beside, pepper_for(settings.store_url, "") + b"\n")
        draft.rename(target)
        to_disk(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"the backup failed: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return made
