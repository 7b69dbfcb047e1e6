"""Whatever a usage row holds comes back from the table as it was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import get_type_hints

from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.quota import Settlement
from server.ledger.usage import Outcome, UsageRow
from server.store.sqlite import ledger as ledger_queries
from server.store.sqlite import usage as report_queries
from server.store.sqlite.schema import migrate
from server.wire.usage import Usage

# What the columns can hold: 64 bits, and text that can be written as UTF-8.
COUNT = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
BY_TYPE = {
    int: COUNT,
    str: TEXT,
    bool: st.booleans(),
    int | None: COUNT | st.none(),
    str | None: TEXT | st.none(),
    Outcome: st.sampled_from(Outcome),
}


def records(kind: type) -> dict[str, st.SearchStrategy[object]]:
    return {name: BY_TYPE[hint] for name, hint in get_type_hints(kind).items() if hint in BY_TYPE}


@given(st.builds(UsageRow, **records(UsageRow), usage=st.builds(Usage, **records(Usage))))
@settings(deadline=None, max_examples=50)
def test_any_row_reads_back_unchanged(row: UsageRow) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db)
        assert ledger_queries.settle(db, [Settlement(row)]) == [True]
        assert report_queries.usage(db, row.request_id) == row
