"""What is posted arrives, however long the store is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from server.accounting.journal import Journal
from server.accounting.settlement_writer import FIRST_PAUSE, SettlementWriter
from server.ledger.quota import Letter, Release, Settlement
from server.store.records import StoreError
from server.store.sqlite.store import SqliteStore
from tests.store.samples import reservation, settlement


class Books:
    """A store in memory. While `gate` is closed nothing ends; what `wrong` has an error for, fails."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.released: list[str] = []
        self.wrong: dict[str, Exception] = {}
        self.away = False
        self.jobs = self.calls = self.open_calls = self.most_open = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def write(self, letters: Sequence[Letter]) -> list[bool | Exception]:
        self.jobs += 1
        return list(await asyncio.gather(*map(self._one, letters), return_exceptions=True))

    async def _one(self, letter: Letter) -> bool:
        if isinstance(letter, Settlement):
            return await self._settle(letter.row.request_id)
        assert isinstance(letter, Release)
        await self._reached(letter.request_id)
        self.released.append(letter.request_id)
        return False

    async def _settle(self, request_id: str) -> bool:
        await self._reached(request_id)
        first = request_id not in self.rows
        if first:
            self.rows.append(request_id)
        return first

    async def _reached(self, request_id: str) -> None:
        self.calls += 1
        self.open_calls += 1
        self.most_open = max(self.most_open, self.open_calls)
        try:
            await self.gate.wait()
        finally:
            self.open_calls -= 1
        if self.away:
            raise StoreError("away")
        if request_id in self.wrong:
            raise self.wrong[request_id]


class Desk:
    """A poster, its books, and which requests it says are written."""

    def __init__(self, **bounds: int) -> None:
        self.books = Books()
        self.written: list[str] = []
        self.settlement_writer = SettlementWriter(self.books, self.written.extend, **bounds)

    def post(self, *request_ids: str) -> None:
        for request_id in request_ids:
            self.settlement_writer.post(settlement(request_id))


@asynccontextmanager
async def changes(**bounds: int) -> AsyncIterator[Desk]:
    it = Desk(**bounds)
    yield it
    it.books.away = False
    it.books.gate.set()
    assert await it.settlement_writer.close()
    assert it.settlement_writer.backlog == 0


@pytest.mark.gen_test
async def test_what_is_posted_is_written_in_order_and_told() -> None:
    async with changes() as it:
        it.post("one", "two", "three")
        assert (it.settlement_writer.backlog, it.settlement_writer.idle) == (3, False)
        assert await it.settlement_writer.quiet(5)
        assert it.books.rows == it.written == ["one", "two", "three"]
        assert (it.settlement_writer.backlog, it.settlement_writer.idle, it.settlement_writer.counts.written) == (
            0,
            True,
            3,
        )


@pytest.mark.gen_test
async def test_what_comes_together_is_one_job_and_so_is_what_comes_while_it_is_written() -> None:
    async with changes() as it:
        it.books.gate.clear()
        it.post("one", "two")
        await until(lambda: it.books.open_calls == 2)
        for name in ("three", "four"):
            it.post(name)
            await asyncio.sleep(0)
        it.books.gate.set()
        assert await it.settlement_writer.quiet(5)
        assert it.written == ["one", "two", "three", "four"]
        assert it.books.jobs == 2


@pytest.mark.gen_test
async def test_nobody_who_posts_nothing_waits() -> None:
    async with changes() as it:
        assert it.settlement_writer.idle
        assert await it.settlement_writer.quiet(0)


@pytest.mark.gen_test
async def test_a_repeated_settlement_is_told_as_written_too() -> None:
    async with changes() as it:
        it.post("one", "one")
        assert await it.settlement_writer.quiet(5)
        assert it.written == ["one", "one"]
        assert (it.settlement_writer.counts.written, it.settlement_writer.counts.repeated) == (1, 1)


@pytest.mark.gen_test
async def test_a_hold_that_may_exist_is_given_back() -> None:
    async with changes() as it:
        it.books.away = True
        it.settlement_writer.post(Release("one"))
        await until(lambda: it.settlement_writer.counts.outages == 1)
        it.books.away = False
        assert await it.settlement_writer.quiet(5)
        assert (it.books.released, it.written, it.settlement_writer.counts.released) == (["one"], [], 1)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_outage_loses_nothing_doubles_nothing_and_asks_ever_more_rarely(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with changes() as it:
        it.books.away = True
        it.post("one", "two")
        await until(lambda: it.settlement_writer.counts.outages == 1)
        it.post("three")
        await until(lambda: it.settlement_writer.counts.outages == 2)
        assert it.books.calls == 5  # two, then three: nobody asked in between
        assert it.written == []
        it.books.away = False
        assert await it.settlement_writer.quiet(5)
        assert it.books.rows == it.written == ["one", "two", "three"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.gen_test
async def test_what_fails_alone_does_not_hold_the_others_up() -> None:
    async with changes() as it:
        it.books.wrong["two"] = StoreError("only this one")
        it.post("one", "two", "three")
        await until(lambda: it.settlement_writer.counts.outages == 1)  # the second time it was alone
        assert it.books.rows == it.written == ["one", "three"]
        assert it.settlement_writer.backlog == 1
        it.books.wrong.clear()
        assert await it.settlement_writer.quiet(5)
        assert it.written == ["one", "three", "two"]


@pytest.mark.gen_test
async def test_what_the_store_will_never_take_is_given_up_aloud_and_not_told_as_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with changes() as it:
        it.books.wrong["two"] = ValueError("a secret")
        it.post("one", "two", "three")
        assert await it.settlement_writer.quiet(5)
        assert it.written == ["one", "three"]
        assert it.settlement_writer.counts.refused == 1
    assert [record.getMessage() for record in caplog.records] == [
        "the store refuses the settlement of request two: ValueError"
    ]


@pytest.mark.gen_test
async def test_only_so_many_are_on_their_way_at_once() -> None:
    async with changes(at_once=10) as it:
        it.books.gate.clear()
        it.post(*(f"r{number}" for number in range(35)))
        await until(lambda: it.books.open_calls == 10)
        assert it.settlement_writer.backlog == 35
        it.books.gate.set()
        assert await it.settlement_writer.quiet(5)
        assert it.books.most_open == 10
        assert it.written == [f"r{number}" for number in range(35)]


@pytest.mark.gen_test
async def test_it_says_when_it_can_keep_no_more() -> None:
    async with changes(most=3) as it:
        it.books.gate.clear()
        it.post("one", "two")
        assert not it.settlement_writer.full
        it.post("three")
        assert it.settlement_writer.full
        it.post("four")  # who was let in before is kept all the same
        it.books.gate.set()
        assert await it.settlement_writer.quiet(5)
        assert not it.settlement_writer.full
        assert len(it.written) == 4


@pytest.mark.gen_test
async def test_to_close_takes_no_longer_than_it_may_and_sends_nothing_after_that() -> None:
    it = Desk()
    it.books.gate.clear()
    it.post("one")
    await until(lambda: it.books.open_calls == 1)
    assert not await it.settlement_writer.close(0.01)
    assert (it.books.open_calls, it.written) == (0, [])
    it.books.gate.set()
    it.post("two")
    assert not await it.settlement_writer.quiet(0.01)
    assert it.books.calls == 1


@pytest.mark.slow
@pytest.mark.gen_test
async def test_to_close_during_an_outage_leaves_no_timer_behind() -> None:
    it = Desk()
    it.books.away = True
    it.post("one")
    await until(lambda: it.settlement_writer.counts.outages == 1)
    assert not await it.settlement_writer.close(0.01)
    assert not await it.settlement_writer.quiet(1.5 * FIRST_PAUSE)
    assert it.books.calls == 1


@pytest.mark.gen_test
async def test_with_the_real_store_and_the_real_journal_everything_ends_in_its_place(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", "one")
    journal.open()
    async with SqliteStore(f"sqlite:///{tmp_path}/fairgate.db") as store:
        settlement_writer = SettlementWriter(store, lambda ids: journal.written(*ids))
        await store.reserve(reservation("r0", ("pot", 5, 100)))
        for number in range(50):
            each = settlement(f"r{number}", {"pot": 1})
            journal.opened(each)
            journal.settled(each)
            settlement_writer.post(each)
        assert journal.backlog == 50
        assert await settlement_writer.close()
        assert journal.backlog == 0
        assert await store.taken(["pot"]) == [50]
    journal.close()
    assert list((tmp_path / "journal").iterdir()) == []


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0)
