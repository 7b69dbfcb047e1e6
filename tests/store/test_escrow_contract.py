"""What is written together, and what is taken in advance: the same on every store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from server.ledger.quota import (
    Charge,
    Escrowed,
    Exceeded,
    Release,
    Reserved,
    Settlement,
    Trim,
    escrow_id,
)
from server.ledger.reports import By, Days, Which
from server.store.base import Store
from tests.store.samples import reservation, settlement, usage_row

Fresh = Callable[[], Store]
POT, JAR = "group/usd/month/2026-11", "person/usd/ever/ever"
MINE, THEIRS = escrow_id("me", 1), escrow_id("them", 1)


def drawing(request_id: str, *charges: Charge) -> Settlement:
    return Settlement(usage_row(request_id, cost_micro_usd=7), charges)


@pytest.mark.gen_test
async def test_letters_are_answered_in_their_order_and_each_may_be_repeated(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation("r1", (POT, 50, 100)))
        await store.reserve(reservation("r2", (POT, 20, 100)))
        await store.reserve(reservation(MINE, (POT, 10, 100)))
        letters = [settlement("r1", {POT: 3}), Release("r2"), Trim(MINE, 4), settlement("r3", {POT: 1, JAR: 2})]
        assert await store.write(letters) == [True, True, True, True]
        assert await store.taken([POT, JAR]) == [4, 2]
        assert await store.write([*letters, letters[0]]) == [False] * 5
        assert await store.taken([POT, JAR]) == [4, 2]
        assert await store.write([]) == []


@pytest.mark.gen_test
async def test_what_is_written_together_is_summed_like_what_is_written_alone(fresh: Fresh) -> None:
    rows = [
        usage_row(f"r{number}", day=f"2026-1{number % 2}-0{number % 3 + 1}", person_id=f"usr_{number % 4}", group=None)
        for number in range(24)
    ]
    async with fresh() as store:
        assert await store.write([Settlement(row) for row in rows]) == [True] * 24
        for by in ((By.PERSON,), (By.DAY,), (By.GROUP, By.MODEL), ()):
            assert await store.sums(Days(), by) == await store.usage_sums(Which(), by)


@pytest.mark.gen_test
async def test_one_that_cannot_be_written_spoils_no_other(fresh: Fresh) -> None:
    async with fresh() as store:
        letters = [settlement("before", {POT: 1}), settlement("huge", {POT: 1}, duration_ms=2**70), settlement("after")]
        answers = await store.write(letters)
        assert [type(answer) for answer in answers] == [bool, OverflowError, bool]
        assert {row.request_id for row in await store.usage_rows(0, 9)} == {"before", "after"}
        assert await store.taken([POT]) == [1]


@pytest.mark.gen_test
async def test_a_settlement_shrinks_the_escrow_that_it_drew_on_by_what_was_drawn(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation(MINE, (POT, 50, 100)))
        await store.write([drawing("r1", Charge(POT, 10, MINE, 10)), drawing("r2", Charge(POT, 12, MINE, 5))])
        assert await store.escrowed([POT]) == [Escrowed(POT, 57, 35, frozenset({"me"}))]
        assert await store.taken([POT]) == [22], "what lies in escrow is used by no one"
        assert await store.write([drawing("r1", Charge(POT, 10, MINE, 10))]) == [False]
        await store.release(MINE)
        assert await store.escrowed([POT]) == [Escrowed(POT, 22)]


@pytest.mark.gen_test
async def test_an_escrow_that_is_gone_pays_for_nothing_and_none_pays_more_than_it_has(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation(MINE, (POT, 5, 100), expires_at=10))
        await store.write([drawing("r1", Charge(POT, 8, MINE, 8))])
        assert await store.taken([POT]) == [8]
        await store.release_expired(11)
        await store.write([drawing("r2", Charge(POT, 4, MINE, 4))])
        assert await store.escrowed([POT]) == [Escrowed(POT, 12)]
        assert await store.reserved() == 0


@pytest.mark.gen_test
async def test_trimming_leaves_at_most_so_much_and_takes_nothing_from_anyone_else(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation(MINE, (POT, 20, 100)))
        await store.reserve(reservation(THEIRS, (POT, 30, 100)))
        assert await store.write([Trim(MINE, 25)]) == [False]
        assert await store.write([Trim(MINE, 6)]) == [True]
        assert await store.write([Trim(MINE, 8)]) == [False]
        assert await store.escrowed([POT]) == [Escrowed(POT, 36, 36, frozenset({"me", "them"}))]


@pytest.mark.gen_test
async def test_a_refusal_says_how_much_lies_in_escrows_and_they_can_be_called_back(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation(MINE, (POT, 20, 100)))
        await store.reserve(reservation("r1", (POT, 70, 100)))
        assert await store.reserve(reservation("r2", (POT, 15, 100))) == Exceeded(POT, 90, 20)
        for calls in (1, 2):
            await store.call_back(POT)
            assert await store.escrowed([POT, JAR]) == [
                Escrowed(POT, 90, 20, frozenset({"me"}), calls),
                Escrowed(JAR, 0),
            ]
        await store.write([Trim(MINE, 0)])
        assert await store.reserve(reservation("r2", (POT, 15, 100))) == Reserved((85,))


@pytest.mark.gen_test
async def test_the_escrows_of_a_dead_gateway_are_given_back_with_everything_it_held(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation(MINE, (POT, 20, 100), holder="me"))
        await store.reserve(reservation(THEIRS, (POT, 30, 100), holder="them"))
        await store.reserve(reservation("r1", (POT, 1, 100), holder="me"))
        assert await store.reserved() == 1
        assert await store.release_holder("me") == 2
        assert await store.escrowed([POT]) == [Escrowed(POT, 30, 30, frozenset({"them"}))]


@pytest.mark.gen_test
async def test_settlements_and_trims_that_race_never_lose_or_double_anything(fresh: Fresh) -> None:
    async with fresh() as one, fresh() as other:
        await one.reserve(reservation(MINE, (POT, 100, 1_000)))
        works = [
            *(one.write([drawing(f"r{number}", Charge(POT, 3, MINE, 3))]) for number in range(6)),
            *(other.write([drawing(f"r{number}", Charge(POT, 3, MINE, 3))]) for number in range(6)),
            other.write([Trim(MINE, 40)]),
            one.write([Trim(MINE, 40)]),
        ]
        await asyncio.gather(*works)
        (now,) = await one.escrowed([POT])
        assert now.taken - now.amount == 18
        assert 40 - 18 <= now.amount <= 40
