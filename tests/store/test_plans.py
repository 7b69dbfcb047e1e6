"""Reports on a large ledger find their rows by an index and read no more than they must."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server.ledger.reports import By, Cursor, Days, Figure, Ranking, SumMeasure, Which
from server.store.sqlite import ledger as ledger_queries
from server.store.sqlite import sums as sum_queries
from server.store.sqlite import usage as report_queries
from server.store.sqlite.store import SqliteStore
from tests.store.many import YEAR, YEAR_BEGINS, fill
from tests.store.samples import reservation, settlement

ROWS = 100_000
DAY = YEAR // 365
MONTH = Days(first="2026-11-01", last="2026-11-30")
SOME_DAYS = Days(first="2026-03-05", last="2026-10-20")
SPRING: dict[str, Any] = {"after": YEAR_BEGINS + 60 * DAY, "before": YEAR_BEGINS + 150 * DAY}
PERSON = "usr_0000000000000007"
CURSOR: Cursor = (YEAR_BEGINS + 100 * DAY, "0123456789abcdef-5")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a year of rows."""
    path = tmp_path_factory.mktemp("many") / "fairgate.db"

    async def make() -> None:
        async with SqliteStore(f"sqlite:///{path}") as store:
            await fill(path, store, ROWS)

    with closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(make())
    return path


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        yield connection
        connection.execute("ROLLBACK")


def plans(db: sqlite3.Connection, question: Callable[[sqlite3.Connection], object]) -> list[str]:
    """How the tables are reached by whatever statements a question executes."""
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    question(db)
    db.set_trace_callback(None)
    asked = [statement for statement in statements if not statement.startswith("--")]
    return [row[3] for statement in asked for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]


@pytest.mark.parametrize("cursor", [None, CURSOR])
@pytest.mark.parametrize("verb", [report_queries.usage_after, report_queries.usage_before])
@pytest.mark.parametrize(
    ("which", "index"),
    [
        (Which(), "usage_listed"),
        (Which(**SPRING), "usage_listed (started_at>? AND started_at<?)"),
        (Which(person_id=PERSON), "usage_person (person_id=?"),
        (Which(person_id=PERSON, model="model-3", **SPRING), "usage_person (person_id=? AND started_at>?"),
        (Which(model="model-3"), "usage_listed"),
        (Which(group="group-7", **SPRING), "usage_listed (started_at>? AND started_at<?)"),
        (Which(token_id="tok_0000000000000007"), "usage_listed"),
    ],
)
def test_a_page_of_rows_is_read_in_the_order_of_an_index(
    db: sqlite3.Connection, verb: Any, which: Which, index: str, cursor: Cursor | None
) -> None:
    reached = plans(db, lambda db: verb(db, which, cursor, 100))
    assert any(f"USING INDEX {index}" in each for each in reached)
    assert "USE TEMP B-TREE FOR ORDER BY" not in reached
    assert "SCAN usage" not in reached


@pytest.mark.parametrize(
    "question",
    [
        lambda db: report_queries.usage_sums(db, Which(person_id=PERSON), [By.MODEL]),
        lambda db: report_queries.usage_sums(db, Which(group="group-7", **SPRING), [By.DAY]),
        lambda db: report_queries.usage_ranked(db, Which(**SPRING), Ranking(Figure.TOKENS, True), None, 50),
        lambda db: report_queries.usage_place(db, Which(person_id=PERSON), 20_000),
        lambda db: report_queries.totals(db, YEAR_BEGINS + 364 * DAY),
        lambda db: report_queries.usage(db, "0123456789abcdef-5"),
        lambda db: report_queries.reprice(db, [("0123456789abcdef-5", 1, None)]),
        lambda db: report_queries.purge_usage(db, YEAR_BEGINS + DAY, 10),
        lambda db: sum_queries.leaders(db, Days(), SumMeasure.COST, 10),
        lambda db: sum_queries.leaders(db, SOME_DAYS, SumMeasure.TOKENS, 10),
        lambda db: sum_queries.sums(db, MONTH, [By.DAY]),
        lambda db: sum_queries.sums(db, MONTH, [By.PERSON]),
        lambda db: ledger_queries.settle(db, [settlement("new", {"counter": 1})]),
        lambda db: ledger_queries.reserve(db, reservation("new", ("counter", 1, 2))),
        lambda db: ledger_queries.release(db, ["new"]),
        lambda db: ledger_queries.trim(db, "escrow/me/1", 1),
        lambda db: ledger_queries.escrowed(db, ["counter"]),
    ],
)
def test_nothing_that_is_asked_often_reads_a_whole_table(
    db: sqlite3.Connection, question: Callable[[sqlite3.Connection], object]
) -> None:
    db.execute("SAVEPOINT asking")
    reached = plans(db, question)
    db.execute("ROLLBACK TO asking")
    assert [each for each in reached if each.startswith("SCAN") and each.split()[1] in TABLES] == []


TABLES = {"usage", "day_sum", "month_sum", "counter", "hold", "reservation"}


def test_reports_on_many_rows_are_right(db: sqlite3.Connection) -> None:
    (whole,) = sum_queries.sums(db, Days(), [])
    assert whole.requests == ROWS
    assert [whole] == report_queries.usage_sums(db, Which(), [])
    assert sum(each.requests for each in sum_queries.sums(db, Days(), [By.PERSON])) == ROWS
    per_day = sum_queries.sums(db, SOME_DAYS, [By.DAY])
    assert len(per_day) == 230
    assert sum(each.requests for each in per_day) == sum_queries.sums(db, SOME_DAYS, [])[0].requests
    best, best_sum = sum_queries.leaders(db, SOME_DAYS, SumMeasure.COST, 1)[0]
    by_person = {each.key[0]: each.cost_micro_usd for each in sum_queries.sums(db, SOME_DAYS, [By.PERSON])}
    assert by_person[best] == best_sum.cost_micro_usd == max(by_person.values())


def test_an_export_reads_every_row_once(db: sqlite3.Connection) -> None:
    which, seen, cursor = Which(model="model-3"), 0, None
    while page := report_queries.usage_after(db, which, cursor, 5_000):
        assert cursor is None or (page[0].started_at, page[0].request_id) > cursor
        seen += len(page)
        cursor = (page[-1].started_at, page[-1].request_id)
    assert [seen] == [each.requests for each in sum_queries.sums(db, Days(model="model-3"), [])]
