"""How groups of works are carried out, on a connection in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server.store.base import StoreError
from server.store.sqlite.worker import Work, Worker, WorkGroup, in_one_transaction, one_by_one


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE kept (name TEXT UNIQUE) STRICT")
        yield connection


def kept(db: sqlite3.Connection) -> list[str]:
    return [name for (name,) in db.execute("SELECT name FROM kept ORDER BY name")]


def keep(name: str) -> Work:
    def work(db: sqlite3.Connection) -> str:
        db.execute("INSERT INTO kept VALUES (?)", (name,))
        return name

    return work


def keep_then_raise(name: str, error: Exception) -> Work:
    def work(db: sqlite3.Connection) -> Any:
        keep(name)(db)
        raise error

    return work


def test_a_work_that_raises_is_undone_by_itself(db: sqlite3.Connection) -> None:
    mistake = KeyError("mistake")
    answers = in_one_transaction(db, [keep("a"), keep_then_raise("b", mistake), keep("c")])
    assert answers == [("a", None), (None, mistake), ("c", None)]
    assert kept(db) == ["a", "c"]


def test_only_where_one_raises_are_the_others_done_twice(db: sqlite3.Connection) -> None:
    begun: list[str] = []

    def noted(name: str) -> Work:
        def work(db: sqlite3.Connection) -> str:
            begun.append(name)
            return str(keep(name)(db))

        return work

    assert in_one_transaction(db, [noted("a"), noted("b")]) == [("a", None), ("b", None)]
    assert begun == ["a", "b"]
    answers = in_one_transaction(db, [noted("c"), noted("b"), noted("d")])
    assert [result for result, _ in answers] == ["c", None, "d"]
    assert begun == ["a", "b", "c", "b", "c", "b", "d"]
    assert kept(db) == ["a", "b", "c", "d"]


def test_the_database_s_own_exceptions_do_not_come_out(db: sqlite3.Connection) -> None:
    answers = in_one_transaction(db, [keep("a"), keep("a"), keep("b")])
    assert answers[0] == ("a", None)
    assert answers[2] == ("b", None)
    error = answers[1][1]
    assert isinstance(error, StoreError)
    assert isinstance(error.__cause__, sqlite3.IntegrityError)
    assert kept(db) == ["a", "b"]


def test_works_that_go_together_are_done_at_once_and_apart_only_where_one_raises(db: sqlite3.Connection) -> None:
    def together(*names: str) -> WorkGroup:
        each = [keep(name) for name in names]
        return WorkGroup(lambda db: [work(db) for work in each], each)

    assert in_one_transaction(db, [together("a", "b"), keep("c")]) == [(["a", "b"], None), ("c", None)]
    (answers, error), after = in_one_transaction(db, [together("d", "a", "e"), keep("f")])
    assert (error, after) == (None, ("f", None))
    assert [answer if isinstance(answer, str) else type(answer) for answer in answers] == ["d", StoreError, "e"]
    assert kept(db) == ["a", "b", "c", "d", "e", "f"]


def test_when_the_database_gives_the_transaction_up_nothing_is_kept_and_all_are_told(db: sqlite3.Connection) -> None:
    def give_up(db: sqlite3.Connection) -> None:
        db.execute("ROLLBACK")  # as SQLite does by itself when the disk is full
        raise sqlite3.OperationalError("database or disk is full")

    answers = in_one_transaction(db, [keep("a"), give_up, keep("b")])
    assert [(result, type(error)) for result, error in answers] == [(None, StoreError)] * 3
    assert kept(db) == []
    assert in_one_transaction(db, [keep("a")]) == [("a", None)]


def test_a_database_that_stays_locked_is_an_outage(tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as db,
    ):
        other.execute("CREATE TABLE kept (name TEXT UNIQUE) STRICT")
        other.execute("BEGIN IMMEDIATE")
        ((result, error),) = in_one_transaction(db, [keep("a")])
        assert result is None
        assert isinstance(error, StoreError)
        other.execute("ROLLBACK")
        assert in_one_transaction(db, [keep("a")]) == [("a", None)]


@pytest.mark.gen_test
async def test_a_busy_worker_waits_for_more_unless_somebody_waits_for_it(tmp_path: Path) -> None:
    worker = Worker(lambda: sqlite3.connect(tmp_path / "kept.db"), one_by_one, 10, 10, linger=3600.0)
    await worker.start()
    assert await worker.do(lambda _: 1) == 1  # the first one found it idle
    waiting = worker.do(lambda _: 2)
    assert await worker.do_at_once(lambda _: 3) == 3
    assert await waiting == 2
    await worker.do_at_once(lambda _: 4)
    await worker.stop()


def test_reading_answers_each_by_itself(db: sqlite3.Connection) -> None:
    mistake = KeyError("mistake")

    def fail(_: sqlite3.Connection) -> None:
        raise mistake

    def misspelt(db: sqlite3.Connection) -> None:
        db.execute("SELECT nothing FROM nowhere")

    answers = one_by_one(db, [fail, kept, misspelt])
    assert answers[:2] == [(None, mistake), ([], None)]
    assert isinstance(answers[2][1], StoreError)
