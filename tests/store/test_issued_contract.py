"""What every store promises about the objects that providers keep: whose they are, and which key knows them."""

from __future__ import annotations

import asyncio

import pytest

from server.store.base import IssuedObject
from tests.store.conftest import Fresh
from tests.store.samples import ADA, BOB

FIRST, SECOND = IssuedObject(ADA.id, "0123abcd", 5_000), IssuedObject(BOB.id, "ffffffff", 6_000)


@pytest.mark.gen_test
async def test_an_object_leads_to_who_made_it_and_the_key_that_knows_it(fresh: Fresh) -> None:
    async with fresh() as store:
        assert await store.issued(["resp_1"]) == {}
        await store.remember_issued(["resp_1"], FIRST)
        assert await store.issued(["resp_1"]) == {"resp_1": FIRST}


@pytest.mark.gen_test
async def test_many_objects_are_remembered_and_asked_for_at_once(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.remember_issued(["resp_1", "rs_1", "msg_1"], FIRST)
        await store.remember_issued(["msg_1", 'odd "id"'], SECOND)
        await store.remember_issued([], SECOND)
        found = await store.issued({"rs_1", "msg_1", 'odd "id"', "never"})
        assert found == {"rs_1": FIRST, "msg_1": FIRST, 'odd "id"': SECOND}
        assert await store.issued([]) == {}


@pytest.mark.gen_test
async def test_an_object_stays_with_whom_it_was_first_issued_to(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.remember_issued(["resp_1"], FIRST)
        await store.remember_issued(["resp_1"], FIRST)
        await store.remember_issued(["resp_1"], SECOND)
        assert await store.issued(["resp_1"]) == {"resp_1": FIRST}


@pytest.mark.gen_test
async def test_of_many_who_claim_an_object_at_once_one_gets_it_and_nobody_fails(fresh: Fresh) -> None:
    async with fresh() as one, fresh() as other:
        claims = [
            store.remember_issued(["resp_1"], IssuedObject(f"usr_{n}", f"{n:08}", n))
            for n in range(20)
            for store in (one, other)
        ]
        await asyncio.gather(*claims)
        found = (await one.issued(["resp_1"]))["resp_1"]
        assert found == IssuedObject(f"usr_{found.at}", f"{found.at:08}", found.at)
        assert await other.issued(["resp_1"]) == {"resp_1": found}


@pytest.mark.gen_test
async def test_objects_are_forgotten_by_their_age(fresh: Fresh) -> None:
    async with fresh() as store:
        for at in (10, 20, 30):
            await store.remember_issued([f"resp_{at}"], IssuedObject(ADA.id, "0123abcd", at))
        assert await store.forget_issued(before=20) == 1
        assert await store.forget_issued(before=20) == 0
        assert set(await store.issued(["resp_10", "resp_20", "resp_30"])) == {"resp_20", "resp_30"}


@pytest.mark.gen_test
async def test_an_object_is_known_after_opening_again(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.remember_issued(["resp_1"], FIRST)
    async with fresh() as store:
        assert await store.issued(["resp_1"]) == {"resp_1": FIRST}
