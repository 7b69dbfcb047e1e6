"""Settling in MongoDB takes several steps: whichever is the last, and whoever helps, it is done exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from pymongo.errors import AutoReconnect, PyMongoError

from server.ledger.quota import Reserved, Settlement
from server.ledger.reports import By, Days, Which
from server.store.base import StoreError
from server.store.mongo.connect import DRIVERS, Database
from server.store.mongo.counters import field
from server.store.mongo.settle import finish_all, settle_all
from server.store.mongo.store import MongoStore
from tests.store.mongo_kinds import mongo_kind
from tests.store.samples import reservation, settlement

Fresh = Callable[[], MongoStore]
HELD, CHARGED = "person/usd/month/2026-11", "group/usd/month/2026-11"
MOST_COMMANDS = 30  # more than a settlement takes


@pytest.fixture(params=DRIVERS)
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Fresh:
    kind = mongo_kind(request, request.param)
    return lambda: kind(tmp_path)


class Dying:
    """A database that dies at the n-th command: the command is carried out or not, and no answer ever comes."""

    def __init__(self, db: Any, lives: int, carried_out: bool) -> None:
        self._db, self._lives, self._carried_out = db, lives, carried_out

    def __getattr__(self, name: str) -> Any:
        return DyingCollection(getattr(self._db, name), self)

    async def passing(self, command: Callable[[], Any]) -> Any:
        self._lives -= 1
        if self._lives < 0 or (self._lives == 0 and not self._carried_out):
            raise AutoReconnect("died")
        answer = await command()
        if self._lives == 0:
            raise AutoReconnect("died")
        return answer


class DyingCollection:
    def __init__(self, collection: Any, dying: Dying) -> None:
        self._collection, self._dying = collection, dying

    def find(self, *args: Any) -> DyingFind:
        return DyingFind(self._collection.find(*args), self._dying)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._dying.passing(lambda: getattr(self._collection, name)(*args, **kwargs))


class DyingFind:
    def __init__(self, cursor: Any, dying: Dying) -> None:
        self._cursor, self._dying = cursor, dying

    async def to_list(self, length: None) -> Any:
        return await self._dying.passing(lambda: self._cursor.to_list(length))


async def settled_until_death(db: Database, batch: list[Settlement], lives: int, carried_out: bool) -> bool:
    """Settle over a connection that dies; whether it lived long enough."""
    try:
        await settle_all(cast(Database, Dying(db, lives, carried_out)), batch)
    except PyMongoError:
        return False
    return True


async def booked(store: MongoStore) -> tuple[list[int], int, bool]:
    """What the counters have taken, how many hold something, and whether the sums are what the rows say."""
    sums, rows = await store.sums(Days(), [By.PERSON]), await store.usage_sums(Which(), [By.PERSON])
    return await store.taken([HELD, CHARGED]), await store.reserved(), sums == rows


def some(number: int) -> list[Settlement]:
    return [settlement(f"{number}-{each}", {HELD: 3, CHARGED: 4}, person_id=f"usr_{each}") for each in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.gen_test(timeout=30)
async def test_a_death_at_any_command_is_mended_by_the_next_start(fresh: Fresh, carried_out: bool) -> None:
    """Then the settlements that were not written are repeated, as the journal does it."""
    async with fresh() as store:
        for lives in range(MOST_COMMANDS):
            batch = some(lives)
            for each in batch:
                assert isinstance(await store.reserve(reservation(each.row.request_id, (HELD, 9, 10**6))), Reserved)
            lived = await settled_until_death(store._db, batch, lives + 1, carried_out)
            async with fresh() as again:
                there = [await again.usage(each.row.request_id) is not None for each in batch]
                assert [await again.settle(each) for each in batch] == [not each for each in there]
                assert await booked(again) == ([6 * (lives + 1), 8 * (lives + 1)], 0, True)
            if lived:
                return
        pytest.fail("it takes more commands than this test knows")


@pytest.mark.gen_test
async def test_a_repeated_settlement_finishes_what_another_one_began(fresh: Fresh) -> None:
    async with fresh() as store:
        batch = some(0)
        assert not await settled_until_death(store._db, batch, 4, True)  # announced twice, written, and one look
        assert (await store.taken([HELD, CHARGED])) == [0, 0]
        assert [await store.settle(each) for each in batch] == [False, False]
        assert await booked(store) == ([6, 8], 0, True)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_however_many_help_with_a_settlement_it_is_booked_once(fresh: Fresh) -> None:
    async with fresh() as one, fresh() as other:
        for times, lives in enumerate((3, 5, 7), start=1):
            batch = some(lives)
            for each in batch:
                await one.reserve(reservation(each.row.request_id, (HELD, 9, 10**6)))
            await settled_until_death(one._db, batch, lives, True)
            helping = [finish_all(store._db) for store in (one, other) for _ in range(3)]
            repeating = [settle_all(store._db, batch) for store in (one, other) for _ in range(3)]
            await asyncio.gather(*helping, *repeating)
            assert await booked(one) == ([6 * times, 8 * times], 0, True)


class Stuttering:
    """A database whose driver writes rows twice, since the first answer got lost."""

    def __init__(self, db: Any) -> None:
        self._db, self.usage = db, self
        self.find, self.update_many = db.usage.find, db.usage.update_many

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    async def insert_many(self, docs: Any, ordered: bool) -> Any:
        await self._db.usage.insert_many(docs, ordered=ordered)
        return await self._db.usage.insert_many(docs, ordered=ordered)


@pytest.mark.gen_test
async def test_a_row_that_the_driver_wrote_twice_is_booked_once(fresh: Fresh) -> None:
    async with fresh() as store:
        assert await settle_all(cast(Database, Stuttering(store._db)), some(0)) == [True, True]
        assert await booked(store) == ([6, 8], 0, True)


@pytest.mark.gen_test
async def test_what_expires_while_it_is_settled_is_given_back_once(fresh: Fresh) -> None:
    async with fresh() as one, fresh() as other:
        for number in range(5):
            await one.reserve(reservation(f"r{number}", (HELD, 9, 10**6), expires_at=1))
        settling = [one.settle(settlement(f"r{number}", {HELD: 3})) for number in range(5)]
        await asyncio.gather(other.release_expired(2), *settling, other.release_expired(2))
        assert await booked(one) == ([15, 0], 0, True)


@pytest.mark.gen_test
async def test_a_reservation_that_was_given_up_holds_nothing_once_it_is_released(fresh: Fresh) -> None:
    async with fresh() as store:
        for pauses in range(12):
            reserving = asyncio.ensure_future(store.reserve(reservation(f"r{pauses}", (HELD, 9, 99), (CHARGED, 9, 99))))
            for _ in range(pauses):
                await asyncio.sleep(0)
            reserving.cancel()
            await store.release(f"r{pauses}")
            assert await booked(store) == ([0, 0], 0, True)


@pytest.mark.gen_test
async def test_a_settlement_follows_the_reservation_that_was_given_up(fresh: Fresh) -> None:
    async with fresh() as store:
        reserving = asyncio.ensure_future(store.reserve(reservation("r", (HELD, 9, 99), (CHARGED, 9, 99))))
        await asyncio.sleep(0)
        reserving.cancel()
        assert await store.settle(settlement("r", {HELD: 3})) is True
        assert await booked(store) == ([3, 0], 0, True)


@pytest.mark.gen_test
async def test_a_row_that_cannot_be_written_spoils_no_other_of_its_group(fresh: Fresh) -> None:
    async with fresh() as store:
        batch = [settlement("before"), settlement("huge", duration_ms=2**70), settlement("after")]
        results = await asyncio.gather(*map(store.settle, batch), return_exceptions=True)
        assert [type(result) for result in results] == [bool, OverflowError, bool]
        assert {row.request_id for row in await store.usage_rows(0, 9)} == {"before", "after"}


@pytest.mark.gen_test
async def test_any_text_can_be_a_request_or_a_counter(fresh: Fresh) -> None:
    names = ["a.b", "$set", "$a.b.c", "ä/ö", "a b", "%2E", "__proto__"]
    async with fresh() as store:
        for name in names:
            assert isinstance(await store.reserve(reservation(name, (name, 5, 9))), Reserved)
            assert await store.settle(settlement(name, {name: 3})) is True
        assert await store.taken(names) == [3] * len(names)
        assert await store.reserved() == 0


def test_different_requests_are_different_fields() -> None:
    assert len({field(each) for each in ("a.b", "a%2Eb", "a%252Eb", "a_b", "a$b")}) == 5


@pytest.mark.gen_test
async def test_a_full_queue_refuses_at_once(fresh: Fresh) -> None:
    async with fresh() as store:
        answers = [store.settle(settlement(f"r{number % 2}")) for number in range(10_001)]
        with pytest.raises(StoreError, match="too much is waiting"):
            await answers[-1]
        assert sum(await asyncio.gather(*answers[:-1])) == 2
