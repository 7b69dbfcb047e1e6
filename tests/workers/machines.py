"""A pool process and two workers, all in this process, in front of a fake upstream and on one store."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from server.bootstrap.pool_process import open_pool
from server.bootstrap.serve import listen, open_services
from server.config.settings import Settings
from server.workers.pool_server import PoolServer
from server.workers.role import Role
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, spec


@dataclass
class Machine:
    """`workers` serve HTTP; `pool` is the pool process of this moment."""

    settings: Settings
    listening: socket.socket
    workers: list[Running]
    fake: FakeUpstream

    async def start_pool(self, workers: int = 0) -> None:
        """A pool process begins. `workers`: how many live already."""
        self._stack = AsyncExitStack()
        self.pool: PoolServer = await self._stack.enter_async_context(open_pool(self.settings))
        serving = asyncio.create_task(self.pool.serve(self.listening.dup(), workers))
        self._stack.push_async_callback(_ended, serving)

    async def stop_pool(self) -> None:
        await self._stack.aclose()

    async def seated(self, number: int, stack: AsyncExitStack) -> Running:
        folder = str(Path(self.listening.getsockname()).parent)
        role = Role(kind="worker", number=number, life=number + 1, folder=folder, listening=(), control=-1, workers=2)
        services = await stack.enter_async_context(open_services(self.settings, role=role))
        url = await stack.enter_async_context(listen(services))
        return Running(url, "", services, self.fake)


@asynccontextmanager
async def machine(fake: FakeUpstream, count: int = 2, **settings: Any) -> AsyncIterator[Machine]:
    """Ada has a token, which is the same at all workers."""
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/pool.sock")
        listening.listen()
        values: dict[str, Any] = {
            "port": 0,
            "store_url": f"sqlite:///{folder}/test.db",
            "upstreams": (spec(fake),),
            "access_log": False,
            "unpriced_models": "free",
            **settings,
        }
        made = Machine(Settings(**values), listening, [], fake)
        await made.start_pool()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(made.stop_pool)
            for number in range(count):
                made.workers.append(await made.seated(number, stack))
            accounts = made.workers[0].services.accounts
            await accounts.create_person("ada")
            token = (await accounts.create_token("ada", "test"))[1]
            for each in made.workers:
                each.token = token
            yield made


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
