"""What every store promises about messages on their way, and about the used amount of a counter."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from server.ledger.quota import ESCROW
from server.policy.notifications import Cause, Channel, Delivery, DeliveryState, EventKind, Failure, after, begun
from server.store import acts
from server.store.acts import Outdated
from server.store.base import Audit, Store
from tests.store.conftest import Fresh
from tests.store.samples import reservation, settlement

FACTS = {"threshold": 80, "used": 1_234, "models": "gpt-5*", "resets_at": None, "a.b": "$x"}
ONE = Delivery("msg_1", EventKind.BUDGET, 1_000, Channel.MAIL, "usr_ada", FACTS, 1_000, 90_000)
ENTRY = Audit("a1", 1_000, "gateway", "message.send", "msg_1", None, {"state": "sent"})


async def all_of(store: Store) -> list[Delivery]:
    return await store.deliveries_before(None, None, 99)


@pytest.mark.gen_test
async def test_a_message_is_taken_once_whoever_brings_it(fresh: Fresh) -> None:
    async with fresh() as one, fresh() as other:
        another = replace(ONE, id="msg_2", kept_until=None)
        added = await asyncio.gather(one.add_deliveries([ONE, another]), other.add_deliveries([another, ONE]))
        assert sum(added) == 2
        assert await one.add_deliveries([]) == 0
        assert await one.add_deliveries([replace(ONE, at=7, tries=5), replace(ONE, id="msg_3")]) == 1
        found = {each.id: each for each in await all_of(one)}
        assert found == {"msg_1": ONE, "msg_2": another, "msg_3": replace(ONE, id="msg_3")}


@pytest.mark.gen_test
async def test_those_that_are_due_come_first_the_longest_due_one(fresh: Fresh) -> None:
    sent = replace(ONE, id="msg_sent", state=DeliveryState.SENT, ended_at=5)
    many = [replace(ONE, id=f"msg_{number}", due_at=number) for number in (7, 5, 6, 9)]
    async with fresh() as store:
        await store.add_deliveries([sent, *many])
        assert [each.due_at for each in await store.due_deliveries(7, 9)] == [5, 6, 7]
        assert [each.due_at for each in await store.due_deliveries(9, 2)] == [5, 6]


@pytest.mark.gen_test
async def test_of_several_gateways_one_takes_a_message(fresh: Fresh) -> None:
    async with fresh() as one, fresh() as other:
        await one.add_deliveries([ONE])
        taken = begun(ONE, 2_000)
        assert sorted(await asyncio.gather(one.swap_delivery(ONE, taken), other.swap_delivery(ONE, taken))) == [
            False,
            True,
        ]
        assert not await one.swap_delivery(replace(ONE, id="msg_9"), taken)
        assert await all_of(one) == [taken]


@pytest.mark.gen_test
async def test_an_end_and_its_entry_in_the_audit_log_are_one_step(fresh: Fresh) -> None:
    taken = begun(ONE, 2_000)
    sent, failed = after(taken, None, 3_000), after(taken, Failure(Cause.UNREACHED), 3_000)
    async with fresh() as store:
        await store.add_deliveries([taken])
        await store.change(ENTRY, [acts.swap_delivery(taken, sent)])
        with pytest.raises(Outdated):
            await store.change(replace(ENTRY, id="a2"), [acts.swap_delivery(taken, failed)])
        assert await all_of(store) == [sent]
        assert await store.audits(None, 9) == [ENTRY]


@pytest.mark.gen_test
async def test_pages_neither_lose_nor_repeat_what_came_at_one_moment(fresh: Fresh) -> None:
    many = [replace(ONE, id=f"msg_{number}", at=number // 3) for number in range(9)]
    bobs = replace(ONE, id="msg_bob", receiver="usr_bob")
    async with fresh() as store:
        await store.add_deliveries([*many, bobs])
        found, cursor = list[str](), None
        while page := await store.deliveries_before("usr_ada", cursor, 2):
            found += [each.id for each in page]
            cursor = page[-1].at, page[-1].id
        assert found == [f"msg_{number}" for number in reversed(range(9))]
        assert (await store.deliveries_before(None, None, 1)) == [bobs]


@pytest.mark.gen_test
async def test_old_ones_and_those_to_a_person_are_forgotten(fresh: Fresh) -> None:
    ever, bobs = replace(ONE, id="msg_2", kept_until=None), replace(ONE, id="msg_3", receiver="usr_bob")
    async with fresh() as store:
        await store.add_deliveries([ONE, ever, bobs])
        assert await store.forget_deliveries(90_000) == 0
        assert await store.forget_deliveries_to("usr_bob") == 1
        assert await store.forget_deliveries(90_001) == 1
        assert await all_of(store) == [ever]


@pytest.mark.gen_test
async def test_what_is_settled_counts_neither_holds_nor_escrows(fresh: Fresh) -> None:
    async with fresh() as store:
        assert await store.settled(["a", "b"]) == [0, 0]
        await store.reserve(reservation("req_1", ("a", 30, 1_000), ("b", 5, 1_000)))
        await store.reserve(reservation(f"{ESCROW}a", ("a", 500, 1_000)))
        await store.write([settlement("req_2", {"a": 70, "c": 9})])
        await store.ping()
        assert await store.settled(["a", "b", "c"]) == [70, 0, 9]
        await store.write([settlement("req_1", {"a": 20})])
        await store.ping()
        assert await store.settled(["b", "a"]) == [0, 90]
