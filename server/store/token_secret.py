"""The pepper: the secret under which tokens are hashed, kept apart from the database that holds the digests."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from server.store.base import StoreError
from server.store.sqlite.store import database_path

SHORTEST = 32  # characters, of a pepper in a file


def pepper_for(store_url: str, configured: str) -> bytes:
    """The configured pepper, else the one in the file beside the SQLite database, made when it is first needed.

    Without it all tokens are lost: they have to be issued anew. Raises StoreError if the file cannot be read or made,
    or does not hold a pepper.
    """
    if configured:
        return configured.encode()
    database = database_path(store_url)
    path = database.with_name(f"{database.name}.pepper")
    try:
        if not path.exists():
            _create(path)
        pepper = path.read_bytes().strip()
    except OSError as error:
        raise StoreError(f"the pepper's file cannot be used: {error}") from error
    if len(pepper) < SHORTEST:
        raise StoreError("the pepper's file is damaged: restore it, or remove it and issue all tokens anew")
    return pepper


def _create(path: Path) -> None:
    """Write the whole file under another name, then link it: of two processes one wins, and neither reads half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
