"""The gateway stops: who is being answered may end, nobody new comes in, and nobody is cut off without a word."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from server.bootstrap.serve import drain
from server.ledger.usage import Outcome
from server.store import store_for
from server.wire.anthropic import ANTHROPIC
from server.wire.errors import Draining
from server.wire.openai import OPENAI
from tests.fakes.fates import held
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Ask, Heard, conversation, hear
from tests.faults.stage import Stage, until
from tests.gateways import Running, gateway

ROOT = Path(__file__).parent.parent.parent
DIALECTS = {"openai": OPENAI, "anthropic": ANTHROPIC}
EXIT_SECONDS = 5.0


@asynccontextmanager
async def drained_house(drain_seconds: float, **settings: object) -> AsyncIterator[tuple[Stage, aiohttp.ClientSession]]:
    async with (
        FakeUpstream() as fake,
        aiohttp.ClientSession() as session,
        gateway(fake, drain_seconds=drain_seconds, **settings) as running,
    ):
        yield Stage(running), session


def ask_all(stage: Stage, session: aiohttp.ClientSession, asks: list[Ask]) -> list[asyncio.Task[Heard]]:
    return [asyncio.create_task(hear(session, stage.running, ask)) for ask in asks]


def four_asks() -> list[Ask]:
    return [conversation(name, "Take your time.", stream=stream) for name in DIALECTS for stream in (True, False)]


async def status_of(session: aiohttp.ClientSession, running: Running, path: str) -> int:
    async with session.get(running.url + path) as response:
        return response.status


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_first_nobody_new_is_sent_here_then_what_runs_ends_well() -> None:
    gate = asyncio.Event()
    async with drained_house(10.0) as (stage, session):
        stage.fake.script(None, held(gate, after=4).for_ever())
        answers = ask_all(stage, session, four_asks())
        await stage.fake.wait_for(lambda: len(stage.records) == 4)
        assert await status_of(session, stage.running, "/readyz") == 200
        stopped = asyncio.create_task(drain(stage.running.services))
        await until(lambda: stage.running.services.draining)
        assert await status_of(session, stage.running, "/readyz") == 503
        assert await status_of(session, stage.running, "/healthz") == 200
        for name, dialect in DIALECTS.items():
            late = await hear(session, stage.running, conversation(name, "Me too!", stream=True))
            assert late.status == dialect.status(Draining())
            assert json.loads(late.body) == json.loads(dialect.body(Draining(), late.headers["x-request-id"]))
            assert (late.headers["connection"], late.headers["retry-after"]) == ("close", "1")
        assert not stopped.done()
        gate.set()
        await stopped
        assert [(heard.status, b'"error"' in heard.body) for heard in await asyncio.gather(*answers)] == [
            (200, False)
        ] * 4
        assert [(row.status, row.usage.estimated) for row in await stage.rows()] == [(Outcome.COMPLETED, False)] * 4
        assert len(stage.records) == 4


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_what_has_not_ended_in_time_is_told_so_in_its_own_dialect_and_settled() -> None:
    never = asyncio.Event()
    async with drained_house(0.1, key_slots=8) as (stage, session):
        stage.fake.script(None, held(never, after=5, words=50).for_ever())
        asks = four_asks() * 5
        answers = ask_all(stage, session, asks)
        await until(lambda: sum(record.events_written == 5 for record in stage.records) >= 8)
        in_flight = len(stage.records)
        await drain(stage.running.services)
        for ask, heard in zip(asks, await asyncio.gather(*answers), strict=True):
            dialect, request_id = DIALECTS[ask.dialect], heard.headers["x-request-id"]
            if heard.status == 200:
                assert heard.body.endswith(dialect.event(Draining(), request_id))
            else:
                assert heard.status == dialect.status(Draining())
                assert json.loads(heard.body) == json.loads(dialect.body(Draining(), request_id))
        rows = await stage.rows()
        assert [(row.status, row.client_aborted) for row in rows] == [(Outcome.CANCELLED, False)] * in_flight
        assert len(stage.records) == in_flight, "nobody was dispatched during the drain's last words"
        await stage.fake.wait_for(lambda: all(record.client_left_at for record in stage.records))


@asynccontextmanager
async def server_process(
    fake: FakeUpstream, folder: Path, drain_seconds: float, says: tuple[str, ...] = ("http://", "fg_")
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, str]]:
    """`python -m server` as its own process: the process, its address and a token."""
    settings = {
        "OPENAI_KEY": f"sk-upstream-one@{fake.base_url}",
        "OPENAI_MODELS": "gpt-4o",
        "STORE_URL": f"sqlite:///{folder / 'test.db'}",
        "PORT": "0",
        "DRAIN_SECONDS": str(drain_seconds),
        "PATH": os.environ["PATH"],
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server", cwd=ROOT, env=settings,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        banner = await read_banner(process, says)
        address = re.search(r"http://127\.0\.0\.1:\d+", banner)
        token = re.search(r"fg_\S+", banner)
        assert address is not None
        yield process, address[0], "" if token is None else token[0]  # the first start alone makes one
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def read_banner(process: asyncio.subprocess.Process, says: tuple[str, ...]) -> str:
    """What it prints, until it has said all of this."""
    assert process.stdout is not None
    banner = ""
    async with asyncio.timeout(20):
        while any(each not in banner for each in says):
            line = await process.stdout.readline()
            assert line, f"the server ended: {banner}"
            banner += line.decode()
    return banner


async def stream_from(session: aiohttp.ClientSession, url: str, token: str) -> bytes:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    ask = conversation("openai", "Take your time.", stream=True)
    async with session.post(url + ask.path, data=ask.body, headers=headers) as response:
        assert response.status == 200
        return await response.read()


async def rows_in(folder: Path) -> list[Outcome]:
    async with store_for(f"sqlite:///{folder / 'test.db'}") as store:
        return [row.status for row in await store.usage_rows(0, 1000)]


@pytest.mark.slow
@pytest.mark.gen_test(timeout=50)
async def test_sigterm_ends_streams_with_a_word_settles_them_and_exits_with_0(tmp_path: Path) -> None:
    async with FakeUpstream() as fake, aiohttp.ClientSession() as session:
        gate, never = asyncio.Event(), asyncio.Event()
        fake.script(None, held(gate, after=5, words=50).repeat(3), held(never, after=5, words=50).for_ever())
        async with server_process(fake, tmp_path, drain_seconds=0.8) as (process, url, token):
            streams = [asyncio.create_task(stream_from(session, url, token)) for _ in range(6)]
            await fake.wait_for(lambda: sum(record.events_written == 5 for record in fake.records) == 6, 20)
            process.send_signal(signal.SIGHUP)  # of a service manager that reloads: it ends nothing
            process.send_signal(signal.SIGTERM)
            gate.set()
            bodies = await asyncio.gather(*streams)
            assert sum(body.endswith(b"data: [DONE]\n\n") for body in bodies) == 3
            assert sum(b'"code":"draining"' in body and b"[DONE]" not in body for body in bodies) == 3
            assert await asyncio.wait_for(process.wait(), EXIT_SECONDS) == 0
        assert sorted(await rows_in(tmp_path)) == sorted([Outcome.COMPLETED] * 3 + [Outcome.CANCELLED] * 3)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=50)
async def test_the_second_sigterm_does_not_wait(tmp_path: Path) -> None:
    async with FakeUpstream() as fake, aiohttp.ClientSession() as session:
        fake.script(None, held(asyncio.Event(), after=5, words=50).for_ever())
        async with server_process(fake, tmp_path, drain_seconds=300) as (process, url, token):
            stream = asyncio.create_task(stream_from(session, url, token))
            await fake.wait_for(lambda: fake.records and fake.records[0].events_written == 5, 20)
            process.send_signal(signal.SIGTERM)
            await unready(session, url)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), EXIT_SECONDS) == 1
            with pytest.raises(aiohttp.ClientError):
                await stream
        async with server_process(fake, tmp_path, 1, says=("http://",)) as (process, _, _):
            process.send_signal(signal.SIGTERM)  # the next start takes from the journal what the store does not have
            assert await asyncio.wait_for(process.wait(), EXIT_SECONDS) == 0
        (outcome,) = await rows_in(tmp_path)
        assert outcome in (Outcome.CANCELLED, Outcome.INTERRUPTED), "counting its text may have been cut off, too"


async def unready(session: aiohttp.ClientSession, url: str) -> None:
    """Wait until the process has heard the first signal."""
    async with asyncio.timeout(5):
        while True:
            async with session.get(f"{url}/readyz") as response:
                if response.status == 503:
                    return
            await asyncio.sleep(0.01)
