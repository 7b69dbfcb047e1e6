"""What these tests share: a house that is full, and questions to its own endpoints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from server.config.specs import UpstreamSpec
from tests.clients.talking import CLAUDE
from tests.fakes.fates import Fate, held
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Ask, Heard, chat, hear
from tests.faults.stage import Stage, until
from tests.gateways import MODELS, Running, spec


def one_slot(fake: FakeUpstream) -> tuple[UpstreamSpec, ...]:
    """One key that serves one request at a time."""
    return (spec(fake, keys=("sk-upstream-one",), slots=1, models=(*MODELS, CLAUDE)),)


@asynccontextmanager
async def full(stage: Stage, *then: Fate) -> AsyncIterator[asyncio.Event]:
    """The only slot is taken until the gate is opened; `then` are the fates of those who come after."""
    gate = asyncio.Event()
    stage.fake.script(None, held(gate), *then)
    async with aiohttp.ClientSession() as session:
        first = asyncio.create_task(hear(session, stage.running, chat("I was first", stream=False)))
        await stage.fake.wait_for(lambda: stage.fake.running == 1)
        try:
            yield gate
        finally:
            gate.set()
            assert (await first).status == 200


async def ask(stage: Stage, what: Ask, token: str | None = None, **headers: str) -> Heard:
    """Ask with more headers, whose underscores are hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession(headers=named) as session:
        return await hear(session, stage.running, what, token)


async def get(running: Running, path: str, token: str | None = None, **headers: str) -> tuple[int, Any]:
    """The status and the JSON document of one of the gateway's own answers."""
    headers = {"Authorization": f"Bearer {token or running.token}"} | headers
    async with aiohttp.ClientSession() as session, session.get(running.url + path, headers=headers) as answer:
        return answer.status, json.loads(await answer.read())


async def queued(stage: Stage, number: int = 1) -> None:
    """Return when so many requests wait."""
    await until(lambda: stage.waiting == number)
