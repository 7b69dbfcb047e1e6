"""Two gateways in this process on one MongoDB, for all tests of a module: building them takes a second or two."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from tornado.ioloop import IOLoop

from server.store.base import Store
from tests.accounting.books import Place
from tests.accounting.load import opened
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Heard, chat, hear
from tests.gateways import Running
from tests.loops import one_loop
from tests.store.mongo_kinds import forget, mongo_url, secantus_server

__all__ = ["secantus_server"]  # a fixture

PATIENT = {"token_cache_seconds": 600.0, "keys_poll_seconds": 600.0, "store_seconds": 20.0}

io_loop = pytest.fixture(one_loop, scope="module", name="io_loop")


@dataclass
class Pair:
    """Gateway `one`, through which things are changed, and the `other`, where they have to hold."""

    place: Place
    fake: FakeUpstream
    session: aiohttp.ClientSession
    one: Running
    other: Running

    @property
    def store(self) -> Store:
        return self.one.services.store

    async def ask(self, running: Running, token: str) -> Heard:
        return await hear(self.session, running, chat("Hello.", stream=False), token)

    async def look(self) -> None:
        """What the other gateway does each second."""
        await self.other.services.follower.look()


@asynccontextmanager
async def paired(place: Place) -> AsyncIterator[Pair]:
    async with (
        FakeUpstream() as fake,
        aiohttp.ClientSession() as session,
        opened(fake, place, **PATIENT) as one,
        opened(fake, place, **PATIENT) as other,
    ):
        yield Pair(place, fake, session, one, other)


@pytest.fixture(scope="module")
def pair(io_loop: IOLoop, secantus_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """What is remembered lasts for ten minutes here, unless a change ends it."""
    folder, stack = tmp_path_factory.mktemp("pair"), AsyncExitStack()
    url = mongo_url(secantus_server, folder)
    yield io_loop.run_sync(lambda: stack.enter_async_context(paired(Place(url, folder))))
    io_loop.run_sync(stack.aclose)
    forget(url)
