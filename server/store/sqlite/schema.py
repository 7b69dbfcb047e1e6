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
    (
        # Groups are JSON, as no query asks about them.
        "ALTER TABLE person ADD COLUMN groups TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE person ADD COLUMN claimed TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE person ADD COLUMN admin INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE person ADD COLUMN login TEXT",
        "ALTER TABLE person ADD COLUMN email TEXT",
        "ALTER TABLE person ADD COLUMN last_login_at INTEGER",
        "ALTER TABLE person ADD COLUMN nickname TEXT",
        "ALTER TABLE person ADD COLUMN note TEXT NOT NULL DEFAULT ''",
        "CREATE UNIQUE INDEX person_login ON person (login)",
        "CREATE UNIQUE INDEX person_nickname ON person (nickname)",
        "ALTER TABLE token ADD COLUMN terms TEXT NOT NULL DEFAULT '{}'",
        """CREATE TABLE session (
            digest BLOB PRIMARY KEY, person_id TEXT NOT NULL, created_at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL, sealed BLOB NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX session_person ON session (person_id)",
        "CREATE TABLE mark (mark TEXT PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        """CREATE TABLE address (
            token_id TEXT NOT NULL, address TEXT NOT NULL, PRIMARY KEY (token_id, address)
        ) STRICT, WITHOUT ROWID""",
    ),
    (
        'ALTER TABLE usage ADD COLUMN "group" TEXT',
        "ALTER TABLE usage ADD COLUMN day TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE usage ADD COLUMN images INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE usage ADD COLUMN audio_ms INTEGER NOT NULL DEFAULT 0",
        "UPDATE usage SET day = strftime('%Y-%m-%d', started_at / 1000, 'unixepoch')",
        # Rows come in the order of time, so that this index only grows at its end and may be wide: whatever a list of
        # rows is filtered by stands in it, and only the rows that are wanted are looked up.
        "DROP INDEX usage_started",
        """CREATE INDEX usage_listed ON usage (
            started_at, request_id, person_id, "group", token_id, model_asked, status, day
        )""",
        "CREATE INDEX usage_person ON usage (person_id, started_at)",
        # Where a row says NULL, a sum's key says ''.
        *(
            f"""CREATE TABLE {span}_sum (
                {span} TEXT NOT NULL, person_id TEXT NOT NULL, "group" TEXT NOT NULL, token_id TEXT NOT NULL,
                model_asked TEXT NOT NULL, status TEXT NOT NULL,
                requests INTEGER NOT NULL, input INTEGER NOT NULL, cached INTEGER NOT NULL,
                cache_write INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL,
                cost_micro_usd INTEGER NOT NULL,
                PRIMARY KEY ({span}, person_id, "group", token_id, model_asked, status)
            ) STRICT, WITHOUT ROWID"""
            for span in ("day", "month")
        ),
        """INSERT INTO day_sum
            SELECT day, person_id, '', coalesce(token_id, ''), model_asked, status, count(*),
                sum(input), sum(cached), sum(cache_write), sum(output), sum(reasoning), sum(cost_micro_usd)
            FROM usage GROUP BY 1, 2, 3, 4, 5, 6""",
        """INSERT INTO month_sum
            SELECT substr(day, 1, 7), person_id, "group", token_id, model_asked, status, sum(requests),
                sum(input), sum(cached), sum(cache_write), sum(output), sum(reasoning), sum(cost_micro_usd)
            FROM day_sum GROUP BY 1, 2, 3, 4, 5, 6""",
    ),
    (
        # `taken` is what was settled there plus what is held.
        "CREATE TABLE counter (name TEXT PRIMARY KEY, taken INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        """CREATE TABLE reservation (
            request_id TEXT PRIMARY KEY, holder TEXT NOT NULL, expires_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE hold (
            request_id TEXT NOT NULL, counter TEXT NOT NULL, amount INTEGER NOT NULL,
            PRIMARY KEY (request_id, counter)
        ) STRICT, WITHOUT ROWID""",
    ),
    (
        # Bodies are JSON, which no query asks about.
        """CREATE TABLE record (
            kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
        ) STRICT, WITHOUT ROWID""",
        "CREATE TABLE book_version (version INTEGER NOT NULL) STRICT",
        "INSERT INTO book_version VALUES (0)",
        """CREATE TABLE audit (
            id TEXT PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
            target TEXT NOT NULL, before TEXT, after TEXT
        ) STRICT""",
        "CREATE INDEX audit_at ON audit (at, id)",
        """CREATE TABLE content (
            request_id TEXT PRIMARY KEY, person_id TEXT NOT NULL, "group" TEXT NOT NULL, at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL, asked BLOB NOT NULL, answered BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX content_person ON content (person_id, at)",
        "CREATE INDEX content_expires ON content (expires_at)",
    ),
    (
        # `figures` is JSON, which no query asks about.
        """CREATE TABLE hour (
            hour INTEGER NOT NULL, model TEXT NOT NULL, writer TEXT NOT NULL, figures TEXT NOT NULL,
            PRIMARY KEY (hour, model, writer)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE incident (
            id TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, began_at INTEGER NOT NULL,
            seen_at INTEGER NOT NULL, ended_at INTEGER, detail TEXT NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX incident_seen ON incident (seen_at)",
    ),
    (
        *(
            f"ALTER TABLE usage ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0"
            for name in (
                *("cache_write_1h", "input_audio", "input_image"),
                *("output_text", "output_audio", "output_image"),
            )
        ),
        # The calls of hosted tools as text, and the words for the service and the place that served.
        *(f"ALTER TABLE usage ADD COLUMN {name} TEXT NOT NULL DEFAULT ''" for name in ("tools", "tier", "geo")),
    ),
    # How often gateways have called back the escrows of a counter.
    ("ALTER TABLE counter ADD COLUMN calls INTEGER NOT NULL DEFAULT 0",),
    (
        # Bodies are JSON, which no query asks about.
        """CREATE TABLE gateway (
            id TEXT PRIMARY KEY, beats INTEGER NOT NULL, body TEXT NOT NULL, gone_at INTEGER
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE shared (
            name TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE TABLE people_version (version INTEGER NOT NULL) STRICT",
        "INSERT INTO people_version VALUES (0)",
    ),
    # The name that a caller asked for, where another model serves it.
    ("ALTER TABLE usage ADD COLUMN alias TEXT NOT NULL DEFAULT ''",),
    (
        """CREATE TABLE refused (
            request_id TEXT PRIMARY KEY, person_id TEXT NOT NULL, token_id TEXT, model TEXT NOT NULL,
            endpoint TEXT NOT NULL, code TEXT NOT NULL, status INTEGER NOT NULL, detail TEXT NOT NULL,
            first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, count INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX refused_first ON refused (first_at, request_id)",
        "CREATE INDEX refused_person ON refused (person_id, first_at, request_id)",
    ),
    # By whom a text may be read, as its writer knew when it was written.
    ("ALTER TABLE content ADD COLUMN readers TEXT NOT NULL DEFAULT ''",),
    (
        # Messages on their way; `facts` is JSON, which no query asks about.
        """CREATE TABLE delivery (
            id TEXT PRIMARY KEY, kind TEXT NOT NULL, at INTEGER NOT NULL, channel TEXT NOT NULL,
            receiver TEXT NOT NULL, facts TEXT NOT NULL, due_at INTEGER NOT NULL, kept_until INTEGER,
            state TEXT NOT NULL, tries INTEGER NOT NULL, ended_at INTEGER, failure TEXT NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX delivery_due ON delivery (state, due_at)",
        "CREATE INDEX delivery_at ON delivery (at, id)",
        "CREATE INDEX delivery_receiver ON delivery (receiver, at, id)",
        "ALTER TABLE person ADD COLUMN mails INTEGER NOT NULL DEFAULT 1",
    ),
    # The code of the error that the client received.
    ("ALTER TABLE usage ADD COLUMN error TEXT NOT NULL DEFAULT ''",),
    # Each person's page asks for one action that is about them.
    ("CREATE INDEX audit_target ON audit (target, action, at, id)",),
    # Of mails to a person.
    ("ALTER TABLE person ADD COLUMN language TEXT NOT NULL DEFAULT ''",),
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
