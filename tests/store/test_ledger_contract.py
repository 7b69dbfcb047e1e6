"""What every store promises about budgets: reserve, then settle."""

from __future__ import annotations

import asyncio

import pytest

from server.ledger.quota import Exceeded, Reserved
from server.ledger.reports import By, Days
from tests.store.conftest import Fresh
from tests.store.samples import reservation, settlement

MONEY, TOKENS = "person:usr_ada/usd/*/month/2026-11", "person:usr_ada/tokens/*/month/2026-11"


@pytest.mark.gen_test
async def test_a_counter_that_nobody_used_has_taken_nothing(fresh: Fresh) -> None:
    async with fresh() as store:
        assert await store.taken([MONEY, TOKENS]) == [0, 0]
        assert await store.taken([]) == []
        assert await store.reserved() == 0


@pytest.mark.gen_test
async def test_a_reservation_takes_from_all_its_counters(fresh: Fresh) -> None:
    async with fresh() as store:
        assert await store.reserve(reservation("r1", (MONEY, 5, 100), (TOKENS, 70, 100))) == Reserved((5, 70))
        assert await store.reserve(reservation("r2", (TOKENS, 20, 100), (MONEY, 6, 100))) == Reserved((90, 11))
        assert await store.taken([MONEY, TOKENS]) == [11, 90]
        assert await store.reserved() == 2


@pytest.mark.gen_test
async def test_a_counter_may_be_filled_to_its_limit_and_not_beyond(fresh: Fresh) -> None:
    async with fresh() as store:
        assert await store.reserve(reservation("r1", (MONEY, 60, 100))) == Reserved((60,))
        assert await store.reserve(reservation("r2", (MONEY, 41, 100))) == Exceeded(MONEY, 60)
        assert await store.reserve(reservation("r2", (MONEY, 40, 100))) == Reserved((100,))
        assert await store.reserve(reservation("r3", (MONEY, 0, 100))) == Reserved((100,))
        assert await store.reserve(reservation("r4", (MONEY, 0, 99))) == Exceeded(MONEY, 100)
        assert await store.reserve(reservation("r5", ("unused", 1, 0))) == Exceeded("unused", 0)


@pytest.mark.gen_test
async def test_all_is_held_or_nothing(fresh: Fresh) -> None:
    async with fresh() as store:
        refused = await store.reserve(reservation("r1", (MONEY, 5, 100), (TOKENS, 101, 100)))
        assert refused == Exceeded(TOKENS, 0)
        assert await store.taken([MONEY, TOKENS]) == [0, 0]
        assert await store.release("r1") is False
        assert await store.reserved() == 0


@pytest.mark.gen_test
async def test_a_repeated_reservation_holds_once(fresh: Fresh) -> None:
    async with fresh() as store:
        for _ in range(3):
            assert await store.reserve(reservation("r1", (MONEY, 60, 100))) == Reserved((60,))
        assert await store.reserved() == 1


@pytest.mark.gen_test
async def test_a_second_reservation_of_a_request_adds_the_counters_that_it_lacks(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation("r1", (MONEY, 60, 100)))
        assert await store.reserve(reservation("r1", (MONEY, 60, 100), (TOKENS, 7, 100))) == Reserved((60, 7))
        assert await store.reserve(reservation("r1", (MONEY, 60, 100), ("third", 7, 6))) == Exceeded("third", 0)
        assert await store.taken([MONEY, TOKENS, "third"]) == [60, 7, 0]
        assert await store.release("r1") is True
        assert await store.taken([MONEY, TOKENS]) == [0, 0]


@pytest.mark.gen_test
async def test_what_is_released_is_there_for_others(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation("r1", (MONEY, 100, 100)))
        await store.reserve(reservation("r2", (TOKENS, 1, 100)))
        assert await store.release("r1") is True
        assert await store.release("r1") is False
        assert await store.taken([MONEY, TOKENS]) == [0, 1]
        assert await store.reserve(reservation("r3", (MONEY, 100, 100))) == Reserved((100,))


@pytest.mark.gen_test
async def test_a_settlement_takes_what_was_used_in_place_of_what_was_held(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation("r1", (MONEY, 50, 100), (TOKENS, 10, 100)))
        await store.reserve(reservation("r2", (MONEY, 50, 100)))
        assert await store.settle(settlement("r1", {MONEY: 12, "group": 3})) is True
        assert await store.taken([MONEY, TOKENS, "group"]) == [62, 0, 3]
        assert await store.reserved() == 1


@pytest.mark.gen_test
async def test_a_settlement_may_take_more_than_the_limit_and_then_nobody_gets_any(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation("r1", (MONEY, 10, 100)))
        await store.settle(settlement("r1", {MONEY: 130}))
        assert await store.reserve(reservation("r2", (MONEY, 0, 100))) == Exceeded(MONEY, 130)


@pytest.mark.gen_test
async def test_a_repeated_settlement_changes_nothing(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation("r1", (MONEY, 50, 100)))
        await store.settle(settlement("r1", {MONEY: 12}))
        for _ in range(2):
            assert await store.settle(settlement("r1", {MONEY: 99, TOKENS: 1})) is False
        assert await store.taken([MONEY, TOKENS]) == [12, 0]


@pytest.mark.gen_test
async def test_a_settlement_without_a_reservation_takes_all_the_same(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation("r1", (MONEY, 50, 100)))
        await store.release("r1")
        await store.settle(settlement("r1", {MONEY: 12}))
        assert await store.taken([MONEY]) == [12]


@pytest.mark.gen_test
async def test_what_a_dead_process_held_is_given_back(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation("r1", (MONEY, 1, 100), (TOKENS, 2, 100), holder="dead"))
        await store.reserve(reservation("r2", (MONEY, 4, 100), holder="dead"))
        await store.reserve(reservation("r3", (MONEY, 8, 100), holder="alive"))
        assert await store.release_holder("dead") == 2
        assert await store.release_holder("dead") == 0
        assert await store.taken([MONEY, TOKENS]) == [8, 0]
        assert await store.reserved() == 1


@pytest.mark.gen_test
async def test_what_expired_is_given_back_and_a_repetition_lengthens_it(fresh: Fresh) -> None:
    async with fresh() as store:
        for number, expires_at in enumerate((10, 20, 30)):
            await store.reserve(reservation(f"r{number}", (MONEY, 1, 100), expires_at=expires_at))
        await store.reserve(reservation("r0", (MONEY, 1, 100), expires_at=40))
        assert await store.release_expired(30) == 1
        assert await store.release_expired(30) == 0
        assert await store.taken([MONEY]) == [2]


@pytest.mark.gen_test
async def test_of_many_at_once_as_many_are_admitted_as_the_limit_allows(fresh: Fresh) -> None:
    async with fresh() as one, fresh() as other:
        answers = await asyncio.gather(
            *[(one, other)[number % 2].reserve(reservation(f"r{number}", (MONEY, 7, 50))) for number in range(40)]
        )
        assert sum(isinstance(answer, Reserved) for answer in answers) == 7
        assert await other.taken([MONEY]) == [49]
        assert await one.reserved() == 7


@pytest.mark.gen_test
async def test_counters_of_windows_that_ended_are_forgotten(fresh: Fresh) -> None:
    ended = ["a/day/2026-11-20", "a/week/2026-W46", "a/month/2026-10", "a/month/2025-12"]
    going_on = [
        "a/day/2026-11-21",
        "a/week/2026-W47",
        "a/month/2026-11",
        "a/term/2024-10-01..2025-03-31",
        "a/ever/ever",
    ]
    async with fresh() as store:
        await store.settle(settlement("r1", dict.fromkeys(ended + going_on, 1)))
        assert await store.forget_counters("2026-11-21") == 4
        assert await store.forget_counters("2026-11-21") == 0
        assert await store.taken(ended + going_on) == [0, 0, 0, 0, 1, 1, 1, 1, 1]


@pytest.mark.gen_test
async def test_a_counter_that_something_is_held_of_is_not_forgotten(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation("r1", ("a/day/2026-11-20", 5, 100)))
        assert await store.forget_counters("2026-11-21") == 0
        await store.settle(settlement("r1", {"a/day/2026-11-20": 3}))
        assert await store.taken(["a/day/2026-11-20"]) == [3]
        assert await store.forget_counters("2026-11-21") == 1


@pytest.mark.parametrize(
    "group", ["Übung 1", "a.b.c", "$set", "fb-in.example.org", "\N{GREEK SMALL LETTER ALPHA}/%", "x" * 200]
)
@pytest.mark.gen_test
async def test_counters_groups_and_requests_may_be_called_anything(fresh: Fresh, group: str) -> None:
    name, request = f"group:{group}/usd/*/ever/ever", "req.$1 ü%"
    async with fresh() as store:
        assert await store.reserve(reservation(request, (name, 5, 10**15), (MONEY, 1, 10**15))) == Reserved((5, 1))
        assert await store.settle(settlement(request, {name: 10**15}, group=group)) is True
        assert await store.taken([name, MONEY]) == [10**15, 0]
        (sums,) = await store.sums(Days(group=group), (By.GROUP,))
        assert sums.key == (group,)
        assert await store.reserve(reservation("r2", (name, 4 * 10**15, 2 * 10**15))) == Exceeded(name, 10**15)


@pytest.mark.gen_test
async def test_holds_are_there_after_opening_again(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.reserve(reservation("r1", (MONEY, 5, 100)))
    async with fresh() as store:
        assert await store.taken([MONEY]) == [5]
        assert await store.release("r1") is True
        assert await store.taken([MONEY]) == [0]
