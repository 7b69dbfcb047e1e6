"""Large bodies wait in files: little memory is held for them, what is sent is what came, and nothing is left over."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
import pytest

from server.spool import Spool, SpoolLost
from tests.fakes.fates import held
from tests.fakes.upstream import FakeUpstream
from tests.faults.stage import until
from tests.gateways import Running, gateway
from tests.waiting.services import one_slot

MIB = 1 << 20
SECRET = "a CANARY in the prompt"


def body(size: int) -> bytes:
    """A request of about this size, little of which has to be counted."""
    messages = [{"role": "user", "content": SECRET}]
    return orjson.dumps({"model": "gpt-5", "messages": messages, "padding": "x" * size})


@asynccontextmanager
async def full(fake: FakeUpstream, **settings: object) -> AsyncIterator[tuple[Running, asyncio.Event]]:
    """A gateway whose only slot is taken until the gate is opened."""
    gate = asyncio.Event()
    async with gateway(fake, *one_slot(fake), **settings) as running, aiohttp.ClientSession() as session:
        fake.script(None, held(gate))
        first = asyncio.create_task(post(session, running, body(10)))
        await fake.wait_for(lambda: fake.running == 1)
        try:
            yield running, gate
        finally:
            gate.set()
            assert await first == 200
            await running.services.pipeline.quiet(5)
            running.assert_idle()


async def post(session: aiohttp.ClientSession, running: Running, data: bytes) -> int:
    url = f"{running.url}/v1/chat/completions"
    async with session.post(url, data=pieces(data), headers=running.headers) as answer:
        await answer.read()
        return answer.status


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """As a client that keeps nothing of what it has sent."""
    for start in range(0, len(data), 1 << 16):
        yield data[start : start + (1 << 16)]


def spool_of(running: Running) -> Spool:
    return running.services.pipeline._spool


@pytest.mark.slow
@pytest.mark.gen_test(timeout=60)
async def test_many_large_bodies_in_the_queue_take_little_memory_and_arrive_as_they_came() -> None:
    number, data = 12, body(4 * MIB)
    async with FakeUpstream() as fake, full(fake) as (running, gate), aiohttp.ClientSession() as session:
        tracemalloc.start()
        try:
            asked = [asyncio.create_task(post(session, running, data)) for _ in range(number)]
            await until(lambda: spool_of(running).files == number)
            await asyncio.sleep(0)
            assert running.services.occupancy.bodies.total > number * 4 * MIB, "they are held all the same"
            assert tracemalloc.get_traced_memory()[0] < number * MIB
        finally:
            tracemalloc.stop()
        for task in asked[1:]:
            task.cancel()
        await asyncio.wait(asked[1:])
        await until(lambda: spool_of(running).files == 1)
        gate.set()
        assert await asked[0] == 200
        assert fake.records[-1].body == data
        assert (spool_of(running).files, spool_of(running).size, spool_of(running).failed) == (0, 0, 0)


@pytest.mark.gen_test(timeout=30)
async def test_a_file_has_no_name_no_reader_and_no_plain_text(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", least=1)
    spooled = await spool.put(SECRET.encode() * 1000)
    assert spooled is not None
    assert list((tmp_path / "spool").iterdir()) == [], "it was unlinked at once"
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    status = os.fstat(spooled._file.fileno())
    assert (status.st_mode & 0o777, status.st_nlink) == (0o600, 0)
    raw = os.pread(spooled._file.fileno(), 1 << 20, 0)
    assert len(raw) == spool.size > 0
    assert b"CANARY" not in raw
    assert await spooled.read() == SECRET.encode() * 1000
    os.ftruncate(spooled._file.fileno(), 10)
    with pytest.raises(SpoolLost):
        await spooled.read()
    spooled.close()
    spooled.close()
    assert (spool.files, spool.size) == (0, 0)


@pytest.mark.gen_test(timeout=30)
async def test_where_the_disk_has_no_room_a_body_waits_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    data = body(MIB // 2)
    folder = str(tmp_path / "file" / "spool")
    async with FakeUpstream() as fake, full(fake, spool_folder=folder) as (running, gate):
        async with aiohttp.ClientSession() as session:
            asked = asyncio.create_task(post(session, running, data))
            await until(lambda: spool_of(running).failed == 1)
            gate.set()
            assert await asked == 200
        assert fake.records[-1].body == data
        assert spool_of(running).files == 0


@pytest.mark.gen_test(timeout=30)
async def test_small_bodies_and_those_that_need_not_wait_stay_in_memory() -> None:
    async with FakeUpstream() as fake, full(fake, spool_bytes=100_000) as (running, gate):
        async with aiohttp.ClientSession() as session:
            asked = asyncio.create_task(post(session, running, body(50_000)))
            await until(lambda: running.services.dispatcher.snapshot().models[0].waiting >= 0 and fake.running == 1)
            gate.set()
            assert await asked == 200
            assert await post(session, running, body(200_000)) == 200
        assert (spool_of(running).written, fake.records[-1].body) == (0, body(200_000))


@pytest.mark.gen_test(timeout=30)
async def test_who_gives_up_in_the_queue_leaves_no_file(caplog: pytest.LogCaptureFixture) -> None:
    async with FakeUpstream() as fake, full(fake, queue_seconds=0.3) as (running, _):
        async with aiohttp.ClientSession() as session:
            assert await post(session, running, body(MIB)) == 503
        assert (spool_of(running).written, spool_of(running).files) == (1, 0)
