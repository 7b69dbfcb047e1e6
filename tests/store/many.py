"""A ledger with many rows, made within SQLite: a year of a university, the same each time.

500 people with 700 tokens in 20 groups ask 6 models; the busiest tenth of the people does half of the asking.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from server.store.base import Store

YEAR_BEGINS = 1_767_225_600_000  # 2026-01-01, UTC milliseconds
YEAR = 365 * 86_400_000
FIRST, LAST = "2026-01-01", "2026-12-31"

# `dice` is four bytes that look random: a product with the golden ratio, modulo 2^32. Rows come in the order of time.
_FILL = """
INSERT INTO usage (
    request_id, person_id, token_id, "group", model_asked, model_served, endpoint, dialect, upstream, key, status,
    started_at, day, queue_ms, first_byte_ms, duration_ms, attempts, streamed,
    input, cached, cache_write, output, reasoning, estimated, cost_micro_usd, price_id, client_aborted
)
WITH RECURSIVE
    numbers (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < :rows),
    dice (number, at, dice) AS (
        SELECT number, :begins + number * (:year / :rows), (number * 2654435761) % 4294967296 FROM numbers
    ),
    people (number, at, dice, person) AS (
        SELECT number, at, dice, iif(dice % 2 = 0, dice / 2 % 50, dice / 2 % 500) FROM dice
    )
SELECT
    printf('0123456789abcdef-%d', number), printf('usr_%016x', person),
    printf('tok_%016x', iif(person < 200, person + 500 * (dice / 64 % 2), person)), printf('group-%d', person % 20),
    printf('model-%d', dice / 1024 % 6), 'model-2026-01-01', '/v1/chat/completions', 'openai', 'university', '0123abcd',
    iif(dice / 4096 % 20 = 0, 'cancelled', 'completed'),
    at, strftime('%Y-%m-%d', at / 1000, 'unixepoch'), 5, 120, 900, 1, 1,
    100 + dice % 1000, 60, 10, 40 + dice % 300, 30, 0, 1000 + dice % 5000, 'price-1', 0
FROM people
"""


async def fill(path: Path, store: Store, rows: int) -> None:
    """Write so many rows into the file behind an open store, and their sums."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(_FILL, {"rows": rows, "begins": YEAR_BEGINS, "year": YEAR})
    assert await store.resum(FIRST, LAST) == rows
