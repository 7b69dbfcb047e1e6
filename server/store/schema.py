"""The tables of the embedded store, as the steps by which they came about.

`PRAGMA user_version` counts the steps that a file has seen. A step that has been released is never edited; the next
change is a new step at the end.
"""

from __future__ import annotations

import sqlite3

from server.store.base import StoreError

STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE person (
            id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, disabled INTEGER NOT NULL, created_at INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE token (
            digest BLOB PRIMARY KEY, id TEXT NOT NULL UNIQUE, person_id TEXT NOT NULL, name TEXT NOT NULL,
            hint TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER, revoked_at INTEGER
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX token_person ON token (person_id)",
        """CREATE TABLE usage (
            request_id TEXT PRIMARY KEY, person_id TEXT NOT NULL, token_id TEXT,
            model_asked TEXT NOT NULL, model_served TEXT NOT NULL, endpoint TEXT NOT NULL, dialect TEXT NOT NULL,
            upstream TEXT NOT NULL, key TEXT NOT NULL, status TEXT NOT NULL,
            started_at INTEGER NOT NULL, queue_ms INTEGER NOT NULL, first_byte_ms INTEGER,
            duration_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, streamed INTEGER NOT NULL,
            input INTEGER NOT NULL, cached INTEGER NOT NULL, cache_write INTEGER NOT NULL,
            output INTEGER NOT NULL, reasoning INTEGER NOT NULL, estimated INTEGER NOT NULL,
            cost_micro_usd INTEGER NOT NULL, price_id TEXT, client_aborted INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX usage_started ON usage (started_at)",
        # One row that `ping` rewrites, to see that writing works.
        "CREATE TABLE pulse (beats INTEGER NOT NULL) STRICT",
        "INSERT INTO pulse VALUES (0)",
    ),
    (
        # `terms` is JSON: what the key may be used for, which no query asks about.
        """CREATE TABLE added_key (
            id TEXT PRIMARY KEY, terms TEXT NOT NULL, hint TEXT NOT NULL, encrypted BLOB NOT NULL,
            added_at INTEGER NOT NULL
        ) STRICT""",
        "CREATE TABLE key_wish (id TEXT PRIMARY KEY, paused INTEGER NOT NULL, recheck_at INTEGER) STRICT",
        "CREATE TABLE keys_version (version INTEGER NOT NULL) STRICT",
        "INSERT INTO keys_version VALUES (0)",
    ),
    (
        """CREATE TABLE issued (
            id TEXT PRIMARY KEY, person_id TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX issued_at ON issued (at)",
    ),
)


def migrate(connection: sqlite3.Connection) -> None:
    """Take the steps that this file has not seen. Of two processes that open it at once, one does and one waits."""
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(STEPS):
        raise StoreError("the database was made by a newer fairgate")
    for step in STEPS[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(STEPS)}")
    connection.execute("COMMIT")
