"""A steady load on a gateway, what became of each request, and how late the loop was meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from server.bootstrap.serve import listen, open_services
from server.config.settings import Settings
from tests.accounting.books import Place
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Heard, chat, hear
from tests.gateways import Running, spec

TICK = 0.005  # seconds


@asynccontextmanager
async def opened(fake: FakeUpstream, place: Place, **settings: Any) -> AsyncIterator[Running]:
    """A gateway that may find its store away. It has no token of its own."""
    values: dict[str, Any] = {"port": 0, "upstreams": (spec(fake),), "access_log": False, **place.settings, **settings}
    async with open_services(Settings(**values)) as services, listen(services) as url:
        yield Running(url, "", services, fake)


async def load(
    session: aiohttp.ClientSession, running: Running, token: Callable[[int], str], seconds: float, rate: int
) -> list[tuple[str, Heard]]:
    """So many requests a second; `token` says who sends which. Whoever sent it, and what was heard, in order."""
    asked = []
    for number in range(round(seconds * rate)):
        ask = chat(f"request {number} ", stream=number % 2 == 0)
        asked.append((token(number), asyncio.create_task(hear(session, running, ask, token(number)))))
        await asyncio.sleep(1 / rate)
    return [(who, await heard) for who, heard in asked]


@asynccontextmanager
async def lateness() -> AsyncIterator[list[float]]:
    """How many seconds late the loop was, looked at every few milliseconds."""
    late: list[float] = []
    watching = asyncio.create_task(_watch(late))
    try:
        yield late
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(late: list[float]) -> None:
    clock = asyncio.get_running_loop().time
    while True:
        due = clock() + TICK
        await asyncio.sleep(TICK)
        late.append(clock() - due)
