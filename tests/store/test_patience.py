"""The wait for a store: the store's slowness counts, the loop's does not."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.store.patience import TooSlow, in_time
from server.store.records import StoreError


@pytest.mark.gen_test
async def test_an_answer_that_came_while_the_loop_was_busy_is_no_failure_of_the_store() -> None:
    loop, patience = asyncio.get_running_loop(), 0.02

    def busy() -> None:
        answered.result()
        while loop.time() < begun + 3 * patience:
            time.sleep(0)  # the loop is held up on purpose; only the thread that answers gets its turn

    async def from_the_thread() -> str:
        return await asyncio.wrap_future(answered)

    with ThreadPoolExecutor(1) as threads:
        for _ in range(5):
            begun, answered = loop.time(), threads.submit(lambda: "well")
            loop.call_soon(busy)
            assert await in_time(from_the_thread, patience) == "well"


@pytest.mark.gen_test
async def test_a_store_that_does_not_answer_is_too_slow_and_its_call_is_given_up() -> None:
    call = asyncio.get_running_loop().create_future()

    async def ask() -> None:
        await call

    with pytest.raises(TooSlow, match="too slow"):
        await in_time(ask, 0.01)
    assert call.cancelled()


@pytest.mark.gen_test
async def test_what_the_call_raises_is_raised_and_who_leaves_is_let_go() -> None:
    async def broken() -> None:
        raise StoreError("broken")

    with pytest.raises(StoreError, match="broken"):
        await in_time(broken, 1.0)
    waiting = asyncio.create_task(in_time(asyncio.Event().wait, 1.0))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
