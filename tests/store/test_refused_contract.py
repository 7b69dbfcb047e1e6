"""What every store promises about refused requests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.ledger.reports import Which
from tests.ledger.test_refused import ONE
from tests.store.conftest import Fresh


@pytest.mark.gen_test
async def test_they_read_back_are_replaced_by_id_and_come_newest_first(fresh: Fresh) -> None:
    later = replace(ONE, request_id="req_2", token_id=None, first_at=ONE.first_at + 1)
    async with fresh() as store:
        await store.put_refused([])
        await store.put_refused([ONE, later])
        await store.put_refused([replace(ONE, count=7)])
        assert await store.refused_before(Which(), None, 9) == [later, replace(ONE, count=7)]
        assert await store.refused_request("req_1") == replace(ONE, count=7)
        assert await store.refused_request("req_9") is None


@pytest.mark.gen_test
async def test_pages_neither_lose_nor_repeat_what_came_at_one_moment(fresh: Fresh) -> None:
    all_of_them = [replace(ONE, request_id=f"req_{number}", first_at=number // 3) for number in range(9)]
    async with fresh() as store:
        await store.put_refused(all_of_them)
        found, cursor = [], None
        while page := await store.refused_before(Which(), cursor, 2):
            found += [each.request_id for each in page]
            cursor = page[-1].first_at, page[-1].request_id
        assert found == [f"req_{number}" for number in reversed(range(9))]


@pytest.mark.gen_test
async def test_all_conditions_hold_at_once(fresh: Fresh) -> None:
    others = [
        replace(ONE, request_id="req_2", person_id="bob"),
        replace(ONE, request_id="req_3", token_id="t2"),
        replace(ONE, request_id="req_4", model="o3"),
        replace(ONE, request_id="req_5", first_at=ONE.first_at - 1),
        replace(ONE, request_id="req_6", first_at=ONE.first_at + 1),
    ]
    wanted = Which(
        person_id="ada",
        token_id="t1",
        model="gpt-5",
        after=ONE.first_at,
        before=ONE.first_at + 1,
        key="of no account",
    )
    async with fresh() as store:
        await store.put_refused([ONE, *others])
        assert await store.refused_before(wanted, None, 9) == [ONE]


@pytest.mark.gen_test
async def test_old_ones_and_those_of_a_person_are_forgotten(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.put_refused([ONE, replace(ONE, request_id="req_2", person_id="bob", first_at=5)])
        assert await store.forget_refused(6) == 1
        assert await store.forget_refused_of("bob") == 0
        assert await store.forget_refused_of("ada") == 1
        assert await store.refused_before(Which(), None, 9) == []
