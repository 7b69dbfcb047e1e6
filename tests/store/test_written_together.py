"""However many settle together, each table is written once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from server.ledger.quota import Charge, Settlement, escrow_id
from server.store.mongo.settle import settle_all
from server.store.mongo.store import MongoStore
from server.store.sqlite import ledger as ledger_queries
from server.store.sqlite.schema import migrate
from tests.store.mongo_kinds import mongo_kind
from tests.store.samples import reservation, usage_row

POT, ESCROW = "group/usd/month/2026-11", escrow_id("me", 1)
MOST_STATEMENTS = 12
MOST_COMMANDS = 12  # of a group of settlements that meets no other


class Counting(sqlite3.Connection):
    """A database that counts what it is told to do."""

    orders = 0

    def execute(self, *args: Any) -> sqlite3.Cursor:
        self.orders += 1
        return super().execute(*args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        self.orders += 1
        return super().executemany(*args)


@contextmanager
def tables() -> Iterator[Counting]:
    with closing(sqlite3.connect(":memory:", isolation_level=None, factory=Counting)) as connection:
        migrate(connection)
        yield connection


def some(number: int) -> list[Settlement]:
    """Settlements of one course's members, who all draw on one escrow."""
    return [
        Settlement(usage_row(f"r{each}", person_id="usr_ada"), (Charge(POT, 3, ESCROW, 3), Charge(f"own/{each}", 3)))
        for each in range(number)
    ]


def orders(db: Counting, number: int) -> int:
    """How many statements are given while so many settle, each of whom holds something, too."""
    ledger_queries.reserve(db, reservation(ESCROW, (POT, 10_000, 10**6)))
    for each in range(number):
        ledger_queries.reserve(db, reservation(f"r{each}", (f"own/{each}", 5, 10**6)))
    before = db.orders
    assert ledger_queries.settle(db, some(number)) == [True] * number
    return db.orders - before


def test_as_many_statements_for_a_hundred_as_for_one() -> None:
    with tables() as one, tables() as many:
        assert orders(one, 1) == orders(many, 100) <= MOST_STATEMENTS
        assert ledger_queries.taken(many, [POT, "own/7"]) == [300, 3]
        assert ledger_queries.escrowed(many, [POT])[0].amount == 10_000 - 300


def test_a_sum_and_a_counter_change_once_for_all_of_them() -> None:
    with tables() as db:
        ledger_queries.settle(db, some(100))
        before = db.total_changes
        ledger_queries.settle(db, [Settlement(usage_row(f"s{each}"), (Charge(POT, 3),)) for each in range(100)])
        assert db.total_changes - before == 100 + 3  # the rows; one counter, one day, one month


class Commanded:
    """A MongoDB that counts its commands."""

    def __init__(self, db: Any) -> None:
        self._db, self.commands = db, 0

    def __getattr__(self, name: str) -> Any:
        return Collected(getattr(self._db, name), self)


class Collected:
    def __init__(self, collection: Any, commanded: Commanded) -> None:
        self._collection, self._commanded = collection, commanded

    def __getattr__(self, name: str) -> Any:
        self._commanded.commands += 1
        return getattr(self._collection, name)


@pytest.mark.gen_test
async def test_mongodb_takes_as_many_commands_for_a_hundred_as_for_one(
    request: pytest.FixtureRequest, tmp_path: Any
) -> None:
    store = mongo_kind(request, "pymongo")(tmp_path)
    assert isinstance(store, MongoStore)
    async with store:
        counts = []
        for first, number in ((0, 1), (1, 100)):
            counting: Any = Commanded(store._db)
            assert all(await settle_all(counting, some(first + number)[first:]))
            counts.append(counting.commands)
        assert counts[0] == counts[1] <= MOST_COMMANDS
