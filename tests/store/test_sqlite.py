"""The embedded store: its file, its threads, and what goes wrong with both."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from server.ledger.quota import Reserved
from server.store.base import StoreError
from server.store.sqlite.schema import STEPS
from server.store.sqlite.store import SqliteStore, database_path
from tests.store.samples import reservation, settlement


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "fairgate.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process's transaction that does not end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def store_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "fairgate-store"]


def test_a_url_has_three_slashes_for_a_relative_path_and_four_for_an_absolute_one() -> None:
    assert database_path("sqlite:///fairgate.db") == Path("fairgate.db")
    assert database_path("sqlite:////var/lib/fairgate.db") == Path("/var/lib/fairgate.db")


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///", "sqlite:fairgate.db", "mongodb://user:hunter2@host"])
def test_any_other_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///path") as caught:
        SqliteStore(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.gen_test
async def test_the_file_is_made_with_its_directory_and_only_its_owner_can_read_it(url: str, path: Path) -> None:
    async with SqliteStore(url) as store:
        await store.ping()
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(["fairgate.db", "fairgate.db-wal", "fairgate.db-shm"], 0o600)


@pytest.mark.gen_test
async def test_closing_leaves_one_file_and_no_thread(url: str, path: Path) -> None:
    async with SqliteStore(url) as store:
        await store.ping()
        assert len(store_threads()) == 3
    assert store_threads() == []
    assert [file.name for file in path.parent.iterdir()] == ["fairgate.db"]


@pytest.mark.gen_test
async def test_what_is_no_database_cannot_be_opened_and_leaves_no_thread(url: str, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("These are not the tables you are looking for. " * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        await SqliteStore(url).open()
    assert store_threads() == []


@pytest.mark.gen_test
async def test_a_path_that_cannot_be_made_cannot_be_opened(url: str, path: Path) -> None:
    path.parent.write_text("a file where a directory should be")
    with pytest.raises(StoreError, match="cannot be opened"):
        await SqliteStore(url).open()


@pytest.mark.gen_test
async def test_a_new_file_gets_the_newest_tables_and_an_old_one_keeps_them(url: str, path: Path) -> None:
    for _ in range(2):
        async with SqliteStore(url) as store:
            await store.ping()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
        assert connection.execute("SELECT beats FROM pulse").fetchall() == [(2,)]


@pytest.mark.gen_test
async def test_a_file_of_a_newer_version_is_left_alone(url: str, path: Path) -> None:
    async with SqliteStore(url):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    with pytest.raises(StoreError, match="newer"):
        await SqliteStore(url).open()
    assert store_threads() == []


@pytest.mark.slow
@pytest.mark.gen_test
async def test_stores_that_open_one_new_file_at_once_all_succeed(tmp_path: Path) -> None:
    for number in range(20):  # one in fifteen of these met a lock that SQLite does not wait for
        stores = [SqliteStore(f"sqlite:///{tmp_path}/{number}.db") for _ in range(4)]
        await asyncio.gather(*[store.open() for store in stores])
        await asyncio.gather(*[store.ping() for store in stores])
        await asyncio.gather(*[store.close() for store in stores])


@pytest.mark.gen_test
async def test_the_writer_waits_for_the_disk_so_that_an_acknowledged_write_survives_a_power_cut(url: str) -> None:
    def settings(db: sqlite3.Connection) -> list[object]:
        return [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]

    async with SqliteStore(url) as store:
        assert await store._writer.do(settings) == ["wal", 2]  # 2 is FULL


@pytest.mark.gen_test
async def test_a_row_that_cannot_be_written_spoils_no_other_of_its_group(url: str) -> None:
    rows = [
        *(settlement("before"), settlement("huge", duration_ms=2**70)),
        *(settlement("null", key=None), settlement("after")),
    ]
    async with SqliteStore(url) as store:
        results = await asyncio.gather(*map(store.settle, rows), return_exceptions=True)
        assert [type(result) for result in results] == [bool, OverflowError, StoreError, bool]
        assert {row.request_id for row in await store.usage_rows(0, 9)} == {"before", "after"}


@pytest.mark.slow
@pytest.mark.gen_test
async def test_of_a_thousand_that_reserve_at_once_through_two_stores_ten_are_admitted(url: str) -> None:
    async with SqliteStore(url) as one, SqliteStore(url) as other:
        answers = await asyncio.gather(
            *[(one, other)[number % 2].reserve(reservation(f"r{number}", ("c", 1, 10))) for number in range(1_000)]
        )
        assert sum(isinstance(answer, Reserved) for answer in answers) == 10
        assert await one.taken(["c"]) == [10]
        assert await other.reserved() == 10


@pytest.mark.gen_test
async def test_a_long_report_holds_up_neither_a_look_up_nor_a_settlement(url: str) -> None:
    finished = threading.Event()
    async with SqliteStore(url) as store:
        await store.settle(settlement("before"))

        def report(db: sqlite3.Connection) -> int:
            cursor = db.execute("SELECT request_id FROM usage")
            cursor.fetchone()  # a read has begun and holds its snapshot
            assert finished.wait(10)
            return len(cursor.fetchall())

        reading = store._reports.do(report)
        assert await store.settle(settlement("meanwhile")) is True
        assert await store.usage("meanwhile") is not None
        assert not reading.done()
        finished.set()
        assert await reading == 0  # the snapshot had one row


@pytest.mark.gen_test
async def test_a_full_queue_refuses_at_once_and_recovers(url: str, path: Path) -> None:
    async with SqliteStore(url, most_waiting=2) as store:
        with locked(path):
            waiting = [asyncio.ensure_future(store.settle(settlement(name))) for name in ("a", "b")]
            await asyncio.sleep(0)
            with pytest.raises(StoreError, match="too much is waiting"):
                await store.settle(settlement("c"))
        assert await asyncio.gather(*waiting) == [True, True]
        assert await store.settle(settlement("c")) is True
