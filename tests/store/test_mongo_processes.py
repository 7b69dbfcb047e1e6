"""The MongoDB store among several processes, and after the sudden death of one."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from server.ledger.quota import Reserved
from server.ledger.reports import By, Days, Which
from server.store.mongo.connect import DRIVERS
from server.store.mongo.store import MongoStore
from tests.store.mongo_child import TEN, reserve
from tests.store.mongo_kinds import forget, mongo_url
from tests.store.samples import reservation

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("driver", DRIVERS)]

ROOT = Path(__file__).parents[2]
ROUNDS = 5  # with each driver
BY = (By.DAY, By.PERSON, By.STATUS)


@pytest.fixture
def url(secantus_server: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    url = mongo_url(secantus_server, tmp_path)
    request.addfinalizer(lambda: forget(url))
    return url


def child(url: str, driver: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.store.mongo_child", url, driver, *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def killed_while_settling(url: str, driver: str, dice: random.Random) -> list[str]:
    """What a process acknowledged that was killed at a random moment."""
    with child(url, driver, "settle") as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline() for _ in range(dice.randrange(1, 20))]
        process.kill()
        acknowledged += process.stdout
    # The last line may have been cut short by the kill.
    return [line.strip() for line in acknowledged if line.endswith("\n")]


async def check_the_books(store: MongoStore) -> int:
    """Counters are what the rows took, sums what the rows say, and nothing is left over. How many rows there are."""
    await store.release_holder("process-1")
    rows = await store._db.usage.find().to_list(None)
    taken: dict[str, int] = {}
    for row in rows:
        for counter, amount in row["charges"]:
            taken[counter] = taken.get(counter, 0) + amount
    assert await store.taken(list(taken)) == list(taken.values())
    assert await store.sums(Days(), BY) == await store.usage_sums(Which(), BY)
    assert await store.reserved() == 0
    assert not [row for row in rows if "due" in row]
    return len(rows)


@pytest.mark.gen_test(timeout=60)
async def test_a_killed_process_loses_no_acknowledged_settlement_and_books_none_by_half(url: str, driver: str) -> None:
    dice = random.Random(20261121)
    for _ in range(ROUNDS):
        acknowledged = killed_while_settling(url, driver, dice)
        async with MongoStore(url, driver) as store:
            assert await check_the_books(store) >= len(acknowledged)
            assert all([await store.usage(request_id) for request_id in acknowledged])


@pytest.mark.gen_test(timeout=60)
async def test_of_1000_that_reserve_one_of_ten_at_once_exactly_ten_are_admitted(url: str, driver: str) -> None:
    async with MongoStore(url, driver) as one, MongoStore(url, driver) as other:
        asked = [each.reserve(reservation(f"r{n}-{m}", TEN)) for n in range(500) for m, each in enumerate((one, other))]
        answers = await asyncio.gather(*asked)
        assert sum(isinstance(answer, Reserved) for answer in answers) == 10
        assert await one.taken([TEN[0]]) == [10]
        assert await one.reserved() == 10


@pytest.mark.gen_test(timeout=60)
async def test_two_processes_that_reserve_one_of_ten_at_once_get_ten_together(url: str, driver: str) -> None:
    with child(url, driver, "reserve", "500") as one, child(url, driver, "reserve", "500") as other:
        admitted = [int(each.communicate()[0]) for each in (one, other)]
    async with MongoStore(url, driver) as store:
        assert sum(admitted) == 10
        assert await store.taken([TEN[0]]) == [10]
        assert await reserve(store, 3) == 0
