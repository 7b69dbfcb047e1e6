"""Two workers and one pool process serve as one gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from server.ledger.usage import Outcome
from tests.fakes.fates import held
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Heard, chat, hear
from tests.faults.stage import until
from tests.gateways import Running
from tests.waiting.services import get, one_slot
from tests.workers.machines import Machine, machine


@asynccontextmanager
async def small() -> AsyncIterator[Machine]:
    """One key with one slot."""
    async with FakeUpstream() as fake, machine(fake, upstreams=one_slot(fake)) as made:
        yield made


async def asked(worker: Running, words: str, *, stream: bool = False) -> Heard:
    async with aiohttp.ClientSession() as session:
        return await hear(session, worker, chat(words, stream=stream))


def soon(worker: Running, words: str, *, stream: bool = False) -> asyncio.Task[Heard]:
    return asyncio.create_task(asked(worker, words, stream=stream))


@pytest.mark.gen_test
async def test_workers_share_the_slots_the_queue_and_the_ledger() -> None:
    async with small() as made:
        one, two = made.workers
        gate = asyncio.Event()
        made.fake.script(None, held(gate))
        first = soon(one, "first")
        await until(lambda: made.fake.running == 1)
        second, third = soon(two, "second", stream=True), soon(one, "third")
        await until(lambda: sum(each.waiting for each in made.pool.dispatcher.pool.tickets.values()) == 2)
        assert [len(await each.services.dispatcher.live()) for each in (one, two)] == [3, 3]
        assert made.fake.running == 1
        gate.set()
        heard = [await each for each in (first, second, third)]
        assert [each.status for each in heard] == [200, 200, 200]
        await until(lambda: made.pool.dispatcher.idle)
        for each in (one, two):
            await until(lambda worker=each: worker.services.pipeline.running == 0)
        rows = await one.services.store.usage_rows(0, 10)
        assert len(rows) == 3
        assert {row.status for row in rows} == {Outcome.COMPLETED}


@pytest.mark.gen_test
async def test_the_pages_of_every_worker_tell_of_the_whole_machine() -> None:
    async with small() as made:
        gate = asyncio.Event()
        made.fake.script(None, held(gate))
        first = soon(made.workers[0], "first")
        await until(lambda: made.fake.running == 1)
        for worker in made.workers:
            await until(lambda worker=worker: worker.services.dispatcher.persons())
            status, document = await get(worker, "/status.json")
            assert (status, sum(each["running"] for each in document["models"])) == (200, 1)
            assert (await get(worker, "/readyz"))[0] == 200
            status, document = await get(worker, "/api/queue?model=gpt-4o")
            assert (status, document["would_wait"]) == (200, True)
        gate.set()
        assert (await first).status == 200


@pytest.mark.gen_test
async def test_a_pool_process_that_dies_is_followed_by_one_that_goes_on() -> None:
    async with small() as made:
        one, two = made.workers
        gate = asyncio.Event()
        made.fake.script(None, held(gate))
        runs = soon(one, "runs", stream=True)
        await until(lambda: made.fake.running == 1)
        waits = soon(two, "waits")
        await until(lambda: any(each.waiting for each in made.pool.dispatcher.pool.tickets.values()))
        await made.stop_pool()
        comes = soon(one, "comes while it is away")
        await made.start_pool(workers=2)
        pool = made.pool.dispatcher.pool
        await until(lambda: len(pool.tickets) == 3)
        assert [key.running for key in pool.keys.values()] == [1]
        assert made.fake.running == 1
        gate.set()
        assert [(await each).status for each in (runs, waits, comes)] == [200, 200, 200]
        await until(lambda: made.pool.dispatcher.idle)
        for each in (one, two):
            await until(lambda worker=each: worker.services.pipeline.running == 0)
        assert len(await one.services.store.usage_rows(0, 10)) == 3


@pytest.mark.gen_test
async def test_any_worker_ends_and_explains_what_another_one_serves() -> None:
    async with small() as made:
        one, two = made.workers
        made.fake.script(None, held(asyncio.Event()))
        runs = soon(one, "runs")
        await until(lambda: made.fake.running == 1)
        (live,) = await two.services.dispatcher.live()
        status, trace = await get(two, f"/api/explain/{live.id}")
        assert (status, trace["state"]) == (200, "running")
        assert await two.services.everywhere.cancel([live.id, "unknown"]) == 1
        assert (await runs).status == 503
        assert await two.services.everywhere.cancel([live.id]) == 0
