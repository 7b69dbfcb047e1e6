"""A budget holds over all workers of a machine: each is an escrow holder of its own on the one store."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import aiohttp
import pytest

from server.ledger.limits import parse_limits
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import chat, hear
from tests.faults.stage import until
from tests.workers.machines import machine


async def raced(count: int, requests: int) -> Counter[int]:
    """So many requests at once to so many workers, where ten are allowed; the statuses."""
    async with (
        FakeUpstream() as fake,
        machine(fake, count, limits=parse_limits("10 requests/day"), store_seconds=30.0) as made,
    ):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def ask(number: int) -> int:
                return (await hear(session, made.workers[number % count], chat(f"q{number}", stream=False))).status

            statuses = Counter(await asyncio.gather(*map(ask, range(requests))))
        for each in made.workers:
            await until(lambda worker=each: worker.services.pipeline.running == 0)
        served = [row for row in await made.workers[0].services.store.usage_rows(0, 100) if row.status == "completed"]
        assert len(served) == statuses[200]
        return statuses


@pytest.mark.gen_test
async def test_of_many_who_race_for_ten_exactly_ten_are_served_on_two_workers() -> None:
    assert await raced(2, 40) == {200: 10, 429: 30}


@pytest.mark.soak
@pytest.mark.gen_test(timeout=120)
async def test_of_a_thousand_who_race_for_ten_exactly_ten_are_served_on_four_workers() -> None:
    assert await raced(4, 1000) == {200: 10, 429: 990}


@pytest.mark.gen_test
async def test_a_rate_of_the_minute_holds_over_all_workers() -> None:
    async with FakeUpstream() as fake, machine(fake, 2, limits=parse_limits("6 requests/minute")) as made:
        statuses = []
        async with aiohttp.ClientSession() as session:
            for number in range(10):
                worker = made.workers[number % 2]
                statuses.append((await hear(session, worker, chat(f"q{number}", stream=False))).status)
                await asyncio.sleep(0.02)  # what one has taken the other hears
            assert statuses == [200] * 6 + [429] * 4
            async with AsyncExitStack() as stack:
                late = await made.seated(2, stack)
                late.token = made.workers[0].token
                assert (await hear(session, late, chat("q", stream=False))).status == 429, (
                    "it begins as the others stand"
                )
