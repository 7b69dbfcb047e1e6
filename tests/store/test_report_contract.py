"""What every store promises about reports: rows in pages, sums by whatever was asked, leaders."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from server.admin.request_search import RANKINGS, figure_of, search
from server.ledger.quota import Settlement
from server.ledger.reports import By, Days, Sum, SumMeasure, Which
from server.ledger.usage import Outcome, UsageRow
from server.store.base import Store
from server.wire.errors import InvalidValue
from server.wire.usage import Usage
from tests.store.conftest import Fresh
from tests.store.samples import settlement

DAYS = ("2025-12-31", "2026-01-01", "2026-01-31", "2026-02-01", "2026-02-28", "2026-03-01", "2026-03-15", "2026-11-30")


def rows() -> list[UsageRow]:
    """Two of each day, different in everything that can be asked for."""
    return [
        settlement(
            f"r{number:02}",
            person_id=f"usr_{number % 3}",
            group=(None, "physics", "staff")[number % 3],
            token_id=("tok_a", None)[number % 2],
            model_asked=f"model-{number % 5 % 2}",
            status=(Outcome.COMPLETED, Outcome.COMPLETED, Outcome.FAILED)[number % 4 % 3],
            started_at=1_000 + number // 3 * 10,
            day=DAYS[number // 2],
            usage=Usage(input=100 + number, cached=number, cache_write=3, output=1 << number, reasoning=1),
            cost_micro_usd=1_000 - number,
            queue_ms=number % 4,
            duration_ms=900 + number % 3,
        ).row
        for number in range(16)
    ]


ASKED = {
    By.DAY: "day",
    By.MODEL: "model_asked",
    By.PERSON: "person_id",
    By.GROUP: "group",
    By.TOKEN: "token_id",
    By.STATUS: "status",
    By.KEY: "key",
}
FIRST = {"person_id": "usr_1"}
NARROWED: list[dict[str, Any]] = [
    {},
    {"person_id": "usr_1"},
    {"group": "staff"},
    {"token_id": "tok_a"},
    {"model": "model-1"},
    {"status": Outcome.FAILED},
    {"person_id": "usr_2", "model": "model-0", "status": Outcome.COMPLETED},
    {"person_id": "usr_9"},
]


def holds(row: UsageRow, asked: dict[str, Any]) -> bool:
    """Whether a row is what was asked for, told in plain Python."""
    names = {"model": "model_asked"}
    return all(getattr(row, names.get(name, name)) == value for name, value in asked.items())


def summed(chosen: Sequence[UsageRow], by: Sequence[By]) -> list[Sum]:
    """The sums, told in plain Python."""
    sums: dict[tuple[str | None, ...], Counter[str]] = {} if by else {(): Counter()}
    for row in chosen:
        figures = sums.setdefault(tuple(getattr(row, ASKED[each]) for each in by), Counter())
        figures.update(requests=1, cost_micro_usd=row.cost_micro_usd)
        figures.update({n: getattr(row.usage, n) for n in ("input", "cached", "cache_write", "output", "reasoning")})
    in_order = sorted(sums, key=lambda key: [(value is not None, value) for value in key])
    return [Sum(key=key, **sums[key]) for key in in_order]


async def filled(store: Store) -> None:
    await asyncio.gather(*[store.settle(Settlement(row)) for row in rows()])


@pytest.mark.gen_test
async def test_rows_are_read_in_pages_in_both_directions(fresh: Fresh) -> None:
    async with fresh() as store:
        await filled(store)
        for narrowed in (*NARROWED, {"after": 1_010}, {"before": 1_040}, {"after": 1_010, "before": 1_040}):
            bounds = {name: narrowed[name] for name in ("after", "before") if name in narrowed}
            expected = [
                row
                for row in rows()
                if holds(row, {name: value for name, value in narrowed.items() if name not in bounds})
                and bounds.get("after", 0) <= row.started_at < bounds.get("before", 10_000)
            ]
            assert await paged(store.usage_after, Which(**narrowed)) == expected
            assert await paged(store.usage_before, Which(**narrowed)) == expected[::-1]


async def paged(verb: Any, which: Which) -> list[UsageRow]:
    """All rows, three at a time."""
    found: list[UsageRow] = []
    while page := await verb(which, (found[-1].started_at, found[-1].request_id) if found else None, 3):
        assert len(page) <= 3
        found += page
    return found


@pytest.mark.gen_test
async def test_rows_are_read_by_any_figure_in_both_directions(fresh: Fresh) -> None:
    async with fresh() as store:
        await filled(store)
        for sort, ranking in RANKINGS.items():
            for narrowed in ({}, {"person_id": "usr_1", "after": 1_010}):
                page, found = await search(store, Which(**narrowed), "", 3, refused=False, ranking=ranking), []
                found += page.rows
                while page.older is not None:
                    page = await search(store, Which(**narrowed), page.older, 3, refused=False, ranking=ranking)
                    found += page.rows
                theirs = [row for row in rows() if not narrowed or (holds(row, FIRST) and row.started_at >= 1_010)]
                key = lambda row: (figure_of(row, ranking.figure), row.request_id)  # noqa: B023, E731
                assert found == sorted(theirs, key=key, reverse=ranking.falling), sort


@pytest.mark.gen_test
async def test_the_newest_are_sorted_and_what_arrives_meanwhile_moves_nothing(fresh: Fresh) -> None:
    async with fresh() as store:
        await filled(store)
        dearest = RANKINGS["-tokens"]
        first = await search(store, Which(), "", 2, refused=None, ranking=dearest, most=4)
        assert first.since == rows()[11].started_at
        newest = [row for row in rows() if row.started_at >= first.since]
        await store.settle(settlement("late", started_at=9_999, usage=Usage(input=105)))
        rest = await search(store, Which(), first.older or "", 99, refused=None, ranking=dearest, most=4)
        assert [*first.rows, *rest.rows] == newest[::-1]
        assert (rest.since, rest.older) == (first.since, None)
        for wrong in ("zz", "00", first.older or ""):
            with pytest.raises(InvalidValue):
                await search(store, Which(), wrong, 2, refused=None, ranking=RANKINGS["cost"])


@pytest.mark.gen_test
async def test_rows_that_are_written_meanwhile_shift_no_page(fresh: Fresh) -> None:
    async with fresh() as store:
        await filled(store)
        first = await store.usage_before(Which(), None, 4)
        await store.settle(settlement("late", started_at=9_999))
        second = await store.usage_before(Which(), (first[-1].started_at, first[-1].request_id), 4)
        assert first + second == rows()[:7:-1]


@pytest.mark.gen_test
async def test_sums_of_an_empty_ledger_are_one_zero_or_none(fresh: Fresh) -> None:
    async with fresh() as store:
        assert await store.sums(Days(), []) == await store.usage_sums(Which(), []) == [Sum()]
        assert await store.sums(Days(), [By.DAY]) == await store.usage_sums(Which(), [By.MODEL]) == []
        assert await store.leaders(Days(), SumMeasure.COST, 9) == []


@pytest.mark.gen_test
async def test_sums_by_anything_are_those_of_the_rows(fresh: Fresh) -> None:
    async with fresh() as store:
        await filled(store)
        daily = [each for each in By if each is not By.KEY]  # the sums by day do not know it
        for by in ((), *((each,) for each in daily), *combinations(daily, 2), tuple(daily)):
            for narrowed in NARROWED[: 2 if len(by) == 2 else None]:
                expected = summed([row for row in rows() if holds(row, narrowed)], by)
                assert await store.sums(Days(**narrowed), by) == expected
                assert await store.usage_sums(Which(**narrowed), by) == expected
        assert await store.usage_sums(Which(), (By.KEY,)) == summed(rows(), (By.KEY,))


@pytest.mark.gen_test
async def test_sums_of_any_days_are_those_of_the_rows_of_these_days(fresh: Fresh) -> None:
    ends = (None, "2025-12-01", "2026-01-01", "2026-01-02", "2026-01-31", "2026-02-28", "2026-03-14", "2026-11-30")
    async with fresh() as store:
        await filled(store)
        for first in ends:
            for last in ends:
                chosen = [row for row in rows() if (first or "") <= row.day <= (last or "~")]
                days = Days(first=first, last=last)
                assert await store.sums(days, [By.MODEL]) == summed(chosen, [By.MODEL])
                assert await store.sums(days, [By.DAY]) == summed(chosen, [By.DAY])
                assert {person for person, _ in await store.leaders(days, SumMeasure.COST, 9)} == {
                    row.person_id for row in chosen
                }


@pytest.mark.gen_test
async def test_exact_sums_end_at_the_millisecond(fresh: Fresh) -> None:
    async with fresh() as store:
        await filled(store)
        for after, before in ((1_000, 1_011), (1_010, 1_010), (1_010, 1_011), (None, 1_030), (1_031, None)):
            chosen = [row for row in rows() if (after or 0) <= row.started_at < (before or 9_999)]
            assert await store.usage_sums(Which(after=after, before=before), []) == summed(chosen, [])


@pytest.mark.gen_test
async def test_what_is_billed_is_summed_by_utc_day_upstream_key_and_served_model(fresh: Fresh) -> None:
    async with fresh() as store:
        await filled(store)
        day = 86_400_000
        for number, (at, key) in enumerate(((day - 1, "1a2b3c4d"), (day, "1a2b3c4d"), (day, "own"))):
            await store.settle(settlement(f"billed-{number}", started_at=at, key=key))
        found = await store.billed(day - 1, 2 * day)
        assert [(each.key[0], each.key[2], each.requests) for each in found] == [
            ("1970-01-01", "1a2b3c4d", 1),
            ("1970-01-02", "1a2b3c4d", 1),
        ]
        assert sum(each.requests for each in await store.billed(0, day - 1)) == len(rows())


@pytest.mark.gen_test
async def test_leaders_are_those_who_used_the_most(fresh: Fresh) -> None:
    async with fresh() as store:
        await filled(store)
        figures: dict[SumMeasure, Callable[[Sum], int]] = {
            SumMeasure.REQUESTS: lambda each: each.requests,
            SumMeasure.TOKENS: lambda each: each.input + each.output,
            SumMeasure.COST: lambda each: each.cost_micro_usd,
        }
        for measure, figure in figures.items():
            for narrowed in NARROWED:
                by_person = summed([row for row in rows() if holds(row, narrowed)], [By.PERSON])
                expected = sorted(by_person, key=lambda each: (-figure(each), each.key))
                found = await store.leaders(Days(**narrowed), measure, 2)
                assert found == [(each.key[0], replace(each, key=())) for each in expected[:2]]


@pytest.mark.gen_test
async def test_a_repeated_settlement_is_summed_once(fresh: Fresh) -> None:
    async with fresh() as store:
        for _ in range(3):
            await store.settle(settlement("r"))
        assert [each.requests for each in await store.sums(Days(), [])] == [1]


@pytest.mark.gen_test
async def test_new_prices_reach_the_rows_and_with_a_resum_the_sums(fresh: Fresh) -> None:
    async with fresh() as store:
        for name, day in (("r1", "2026-11-20"), ("r2", "2026-11-21"), ("r3", "2026-12-01")):
            await store.settle(settlement(name, day=day, cost_micro_usd=10, price_id=None))
        assert await store.reprice([("r1", 20, "new"), ("r2", 10, None), ("r9", 5, "new")]) == 1
        assert await store.reprice([]) == 0
        row = await store.usage("r1")
        assert row is not None
        assert (row.cost_micro_usd, row.price_id) == (20, "new")
        assert [each.cost_micro_usd for each in await store.sums(Days(), [])] == [30]
        assert await store.resum("2026-11-20", "2026-11-20") == 1
        for by in ([], [By.PERSON]):
            assert [each.cost_micro_usd for each in await store.sums(Days(), by)] == [40]
        assert await store.resum("2026-11-01", "2026-12-31") == 3
        assert await store.resum("2024-01-01", "2024-12-31") == 0
        assert [each.cost_micro_usd for each in await store.sums(Days(), [By.DAY])] == [20, 10, 10]


@pytest.mark.gen_test
async def test_rows_that_are_purged_leave_their_sums(fresh: Fresh) -> None:
    async with fresh() as store:
        for number in range(5):
            await store.settle(settlement(f"r{number}", started_at=number, day=f"2026-11-0{number + 1}"))
        assert [await store.purge_usage(4, 3) for _ in range(3)] == [3, 1, 0]
        assert [row.request_id for row in await store.usage_after(Which(), None, 9)] == ["r4"]
        assert [each.requests for each in await store.sums(Days(), [])] == [5]
        # A resum of the days whose rows are there leaves the others of that month alone.
        assert await store.resum("2026-11-05", "2026-11-05") == 1
        assert [each.requests for each in await store.sums(Days(), [])] == [5]


@pytest.mark.gen_test
async def test_the_same_settlements_give_the_same_sums_in_any_order(fresh: Fresh) -> None:
    async with fresh() as store:
        await asyncio.gather(*[store.settle(Settlement(row)) for row in rows()[::-1]])
        assert await store.sums(Days(), [By.DAY, By.GROUP]) == summed(rows(), [By.DAY, By.GROUP])
