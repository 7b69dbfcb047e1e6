"""A file of an earlier release opens with all that was in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from server.ledger.reports import By, Days, Sum, Which
from server.ledger.usage import Outcome
from server.store.base import Caller, Credential, Person
from server.store.sqlite.schema import STEPS
from server.store.sqlite.store import SqliteStore
from server.wire.usage import Usage
from tests.store.samples import ADA, settlement, token, usage_row

BEFORE_BUDGETS = 3  # steps
NOON = 1_795_262_400_000  # 2026-11-21T12:00Z
DAY = 86_400_000
DIGEST = b"d" * 32


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file as the release before budgets left it, with a person, a token and three rows."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in (statement for step in STEPS[:BEFORE_BUDGETS] for statement in step):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {BEFORE_BUDGETS}")
        db.execute("INSERT INTO person VALUES ('usr_ada', 'Ada', 0, 1000)")
        db.execute(
            "INSERT INTO token VALUES (?, 'tok_laptop', 'usr_ada', 'laptop', 'fg_…abcd', 3000, NULL, NULL)", (DIGEST,)
        )
        for request_id, token_id, started_at, status in (
            ("r1", "tok_laptop", NOON, "completed"),
            ("r2", None, NOON + DAY // 2, "failed"),
            ("r3", "tok_laptop", NOON + 20 * DAY, "completed"),
        ):
            db.execute(
                "INSERT INTO usage VALUES (?, 'usr_ada', ?, 'small', 'small-2026-01-01', '/v1/chat/completions',"
                " 'openai', 'university', '0123abcd', ?, ?,"
                " 5, 120, 900, 1, 1, 100, 60, 10, 40, 30, 1, 1234, 'price-1', 1)",
                (request_id, token_id, status, started_at),
            )
    return path


@pytest.mark.gen_test
async def test_people_and_tokens_are_as_they_were(old: Path) -> None:
    async with SqliteStore(f"sqlite:///{old}") as store:
        assert await store.people() == [ADA]
        assert await store.tokens() == [token("laptop")]
        caller = Caller("usr_ada", "Ada", "tok_laptop")
        assert await store.token_by_hash(DIGEST) == Credential(caller, disabled=False, expires_at=None, revoked_at=None)
        await store.create_person(Person("usr_bob", "Bob", False, 2_000))


@pytest.mark.gen_test
async def test_rows_get_their_day_in_utc_and_what_is_new_is_nothing(old: Path) -> None:
    plain = Usage(input=100, cached=60, cache_write=10, output=40, reasoning=30, estimated=True)
    async with SqliteStore(f"sqlite:///{old}") as store:
        assert await store.usage_after(Which(), None, 9) == [
            usage_row("r1", group=None, usage=plain, error="", started_at=NOON, day="2026-11-21"),
            usage_row(
                "r2", group=None, usage=plain, error="", token_id=None, status=Outcome.FAILED,
                started_at=NOON + DAY // 2, day="2026-11-22",
            ),
            usage_row("r3", group=None, usage=plain, error="", started_at=NOON + 20 * DAY, day="2026-12-11"),
        ]  # fmt: skip


@pytest.mark.gen_test
async def test_sums_are_filled_from_the_rows_and_go_on_from_there(old: Path) -> None:
    async with SqliteStore(f"sqlite:///{old}") as store:
        await store.settle(settlement("r4", group=None, started_at=NOON + 20 * DAY, day="2026-12-11"))
        by_day = await store.sums(Days(), [By.DAY])
        assert [(each.key, each.requests) for each in by_day] == [
            (("2026-11-21",), 1),
            (("2026-11-22",), 1),
            (("2026-12-11",), 2),
        ]
        whole = Sum(requests=4, input=400, cached=240, cache_write=40, output=160, reasoning=120, cost_micro_usd=4_936)
        assert await store.sums(Days(), []) == await store.usage_sums(Which(), []) == [whole]
        assert len(await store.sums(Days(), [By.TOKEN, By.STATUS, By.GROUP])) == 2


@pytest.mark.gen_test
async def test_every_step_from_any_release_leads_to_the_same_tables(tmp_path: Path) -> None:
    tables = []
    for steps in range(len(STEPS) + 1):
        path = tmp_path / f"{steps}.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            for statement in (statement for step in STEPS[:steps] for statement in step):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {steps}")
        async with SqliteStore(f"sqlite:///{path}"):
            pass
        with closing(sqlite3.connect(path)) as db:
            tables.append(sorted(db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()))
    assert all(each == tables[0] for each in tables)
