"""A request ends when its time is over: by one timer for all, and as `asyncio.timeout` would end it."""

from __future__ import annotations

import asyncio

import pytest

from server.relay.time_limit import TimeLimit


async def limited(limit: TimeLimit, work: asyncio.Future[None]) -> str:
    task = asyncio.current_task()
    assert task is not None
    try:
        with limit.of(task):
            await work
    except TimeoutError:
        return f"too late, {task.cancelling()} cancellations left"
    return "in time"


@pytest.mark.gen_test
async def test_who_lasts_for_too_long_is_ended_and_the_others_are_not() -> None:
    loop = asyncio.get_running_loop()
    limit, never, done = TimeLimit(0.02), loop.create_future(), loop.create_future()
    done.set_result(None)
    late, early = asyncio.create_task(limited(limit, never)), asyncio.create_task(limited(limit, done))
    assert await early == "in time"
    assert await late == "too late, 0 cancellations left"


@pytest.mark.gen_test
async def test_who_is_cancelled_meanwhile_stays_cancelled() -> None:
    limit, never = TimeLimit(0.02), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(limited(limit, never))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.gen_test
async def test_who_is_cancelled_and_late_at_once_is_cancelled() -> None:
    limit, never = TimeLimit(60), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(limited(limit, never))
    await asyncio.sleep(0)
    for request in list(limit._running):
        request.is_over()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.gen_test
async def test_a_thousand_requests_share_one_timer() -> None:
    loop = asyncio.get_running_loop()
    limit, never = TimeLimit(60), loop.create_future()
    before = sum(not each.cancelled() for each in loop._scheduled)  # type: ignore[attr-defined]
    tasks = [asyncio.create_task(limited(limit, never)) for _ in range(1000)]
    await asyncio.sleep(0)
    assert sum(not each.cancelled() for each in loop._scheduled) <= before + 1  # type: ignore[attr-defined]
    never.set_result(None)
    assert set(await asyncio.gather(*tasks)) == {"in time"}
