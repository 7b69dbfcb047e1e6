"""A worker: a whole gateway in this process, whose supervisor is the test."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server.bootstrap.serve import open_services
from server.bootstrap.worker import serve_as_worker
from server.config.settings import Settings
from server.http.services import GatewayServices
from server.workers.channel import Control
from server.workers.listening import listen
from server.workers.role import Role
from tests.fakes.fates import held
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import conversation
from tests.gateways import spec


class Played:
    """The supervisor's end, and the worker as its clients see it."""

    def __init__(self, fake: FakeUpstream, services: GatewayServices, task: asyncio.Task[int], port: int) -> None:
        self.fake, self.services, self.task = fake, services, task
        self.url, self.token = f"http://127.0.0.1:{port}", ""
        self.heard: list[dict[str, Any]] = []
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self, end: socket.socket) -> None:
        self._reader, self._writer = await asyncio.open_unix_connection(sock=end)

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return dict(json.loads(await self._reader.readline()))

    def say(self, **document: Any) -> None:
        self._writer.write(json.dumps(document).encode() + b"\n")

    def vanish(self) -> None:
        self._writer.close()

    async def ask(self, session: aiohttp.ClientSession, *, stream: bool = False) -> aiohttp.ClientResponse:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        ask = conversation("openai", "Hello", stream=stream)
        return await session.post(self.url + ask.path, data=ask.body, headers=headers)


@asynccontextmanager
async def worker(folder: Path, **more: Any) -> AsyncIterator[Played]:
    """A worker that is ready and accepts from the first of two sockets."""
    ours, theirs = socket.socketpair()
    async with FakeUpstream() as fake:
        with listen(2, "127.0.0.1", 0) as sockets:
            inherited = [[each.dup() for each in of_worker] for of_worker in sockets.workers]
            fds = tuple(tuple(each.detach() for each in of_worker) for of_worker in inherited)
            role = Role(
                kind="worker", number=0, life=1, folder=str(folder), listening=fds, control=theirs.detach(),
                workers=2, first=True,
            )  # fmt: skip
            settings = Settings(
                store_url=f"sqlite:///{folder}/db", access_log=False, unpriced_models="free", upstreams=(spec(fake),),
                **more,
            )  # fmt: skip
            async with open_services(settings) as services:
                control = Control()
                listening = asyncio.create_task(control.listen(role.control))
                task = asyncio.create_task(serve_as_worker(services, role, control))
                played = Played(fake, services, task, sockets.port)
                await played.open(ours)
                ready = await played.hear()
                assert ready["ready"]
                played.token = next(word for word in ready["banner"].split() if word.startswith("fg_"))
                played.say(do="accept", places=[0, 1])
                try:
                    yield played
                finally:
                    played.vanish()
                    assert await task == 0
                    listening.cancel()
                    with suppress(asyncio.CancelledError):
                        await listening


@pytest.mark.slow
@pytest.mark.gen_test(timeout=40)
async def test_a_retired_worker_serves_what_comes_over_its_connections_and_ends_with_the_last(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with worker(tmp_path) as played, aiohttp.ClientSession() as session:
        async with await played.ask(session) as answer:
            assert answer.status == 200
            assert answer.headers.get("connection", "") != "close"
        played.fake.script(None, held(gate, after=2))
        async with await played.ask(session, stream=True) as long:
            other = aiohttp.ClientSession()
            async with other.get(f"{played.url}/healthz") as answer:
                assert answer.status == 200
            played.say(do="accept", places=[])
            played.say(do="retire")
            while not played.services.lifecycle.retiring:
                await asyncio.sleep(0.005)
            async with await played.ask(other) as answer:
                assert answer.status == 200, "a request over a connection that was there is served"
                assert answer.headers["connection"] == "close"
            gate.set()
            assert b"[DONE]" in await long.read()
            await other.close()
        async with await played.ask(session) as answer:
            assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await asyncio.wait_for(played.task, 10) == 0


@pytest.mark.slow
@pytest.mark.gen_test(timeout=40)
async def test_a_worker_whose_supervisor_has_gone_drains_and_listens_no_more(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with worker(tmp_path, drain_seconds=10.0) as played, aiohttp.ClientSession() as session:
        played.fake.script(None, held(gate, after=2))
        async with await played.ask(session, stream=True) as answer:
            played.vanish()
            while not played.services.draining:
                await asyncio.sleep(0.005)
            gate.set()
            assert b"[DONE]" in await answer.read()
        assert await asyncio.wait_for(played.task, 10) == 0
