"""The way to MongoDB: which URLs lead there, what is asked of it, and how an outage is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pymongo import WriteConcern

from server.store import store_for
from server.store.base import StoreError
from server.store.mongo.connect import DRIVERS, check_url
from server.store.mongo.store import MongoStore
from tests.store.mongo_kinds import forget, mongo_url
from tests.store.mongo_server import mongo_server, unused_port
from tests.store.samples import ADA, reservation, settlement

HOLD = ("person/usd/ever", 5, 9)


@pytest.mark.parametrize("url", ["mongodb://host/", "mongodb+srv://user:hunter2@cluster.example.org/fairgate?w=1"])
def test_a_url_of_either_scheme_names_a_mongodb_and_nobody_is_asked_yet(url: str) -> None:
    assert isinstance(store_for(url), MongoStore)


@pytest.mark.parametrize(
    "url", ["", "sqlite:///hunter2", "mongodb://", "mongodb://u:hunter2@h:port/", "mongodb://u:p@hunter2@h/"]
)
def test_any_other_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="the store's URL") as caught:
        check_url(url)
    assert "hunter2" not in str(caught.value)


def test_an_unknown_driver_is_refused() -> None:
    with pytest.raises(ValueError, match="motor, pymongo"):
        MongoStore("mongodb://host/", "carrier pigeon")


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.gen_test
async def test_the_database_is_the_one_in_the_path_or_fairgate(secantus_server: str, driver: str) -> None:
    async with MongoStore(secantus_server, driver) as store, MongoStore(f"{secantus_server}other", driver) as other:
        assert (store._db.name, other._db.name) == ("fairgate", "other")
    forget(f"{secantus_server}fairgate")
    forget(f"{secantus_server}other")


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.gen_test
async def test_every_write_waits_for_the_journals_of_a_majority_whatever_the_url_says(
    secantus_server: str, tmp_path: Path, driver: str
) -> None:
    url = mongo_url(secantus_server, tmp_path)
    async with MongoStore(f"{url}?w=0&journal=false", driver) as store:
        assert store._db.write_concern == WriteConcern(w="majority", j=True)
        assert store._db.usage.write_concern == WriteConcern(w="majority", j=True)
    forget(url)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_a_server_that_is_not_there_is_an_outage_that_tells_no_secret() -> None:
    url = f"mongodb://fairgate:hunter2@127.0.0.1:{unused_port()}/"
    outages = await asyncio.gather(*(MongoStore(url, driver).open() for driver in DRIVERS), return_exceptions=True)
    assert [type(outage) for outage in outages] == [StoreError] * 2
    assert {str(outage) for outage in outages} == {"the database failed: ServerSelectionTimeoutError"}


@pytest.mark.slow
@pytest.mark.gen_test(timeout=40)
async def test_an_outage_fails_every_verb_and_when_it_is_over_what_failed_can_be_repeated(tmp_path: Path) -> None:
    port = unused_port()
    with mongo_server(tmp_path, port) as server:
        stores = [MongoStore(f"{server}{driver}", driver) for driver in DRIVERS]
        for store in stores:
            await store.open()
            await store.create_person(ADA)
            await store.reserve(reservation("r", HOLD))
    answers = [answer for each in await asyncio.gather(*map(asked_in_vain, stores)) for answer in each]
    assert [type(answer) for answer in answers] == [StoreError] * 10
    with mongo_server(tmp_path, port):
        for store in stores:
            assert await store.people() == [ADA]
            assert await store.settle(settlement("r", {HOLD[0]: 3})) is True
            assert await store.taken([HOLD[0]]) == [3]
            await store.close()


async def asked_in_vain(store: MongoStore) -> list[object]:
    """How some verbs of each kind end."""
    verbs = (store.people(), store.reserve(reservation("q", HOLD)), store.ping(), store.release("r"))
    settling = store.settle(settlement("r", {HOLD[0]: 3}))
    return list(await asyncio.gather(settling, *verbs, return_exceptions=True))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.gen_test
async def test_what_the_database_refuses_is_told_without_what_was_written(
    secantus_server: str, tmp_path: Path, driver: str
) -> None:
    url = mongo_url(secantus_server, tmp_path)
    async with MongoStore(url, driver) as store:
        await store._db.tokens.insert_one({"_id": b"secret digest", "id": "t"})
        await store._db.counters.insert_one({"_id": HOLD[0], "taken": "hunter2"})
        with pytest.raises(StoreError) as caught:
            await store.settle(settlement("r", {HOLD[0]: 3}))
        assert str(caught.value).startswith("the database failed: BulkWriteError")
        assert "hunter2" not in str(caught.value)
    forget(url)
