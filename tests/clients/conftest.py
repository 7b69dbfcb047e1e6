"""One gateway for all the tests of a module: it takes a second to start, and these tests leave its keys in good health.

Tests that spoil keys start a gateway of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from tornado.ioloop import IOLoop

from tests.clients.talking import MODELS, Talk
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway, spec
from tests.loops import one_loop

io_loop = pytest.fixture(one_loop, scope="module", name="io_loop")


@pytest.fixture(scope="module")
def running(io_loop: IOLoop) -> Iterator[Running]:
    stack = AsyncExitStack()

    async def start() -> Running:
        fake = await stack.enter_async_context(FakeUpstream())
        return await stack.enter_async_context(gateway(fake, spec(fake, models=MODELS), drain_usage_seconds=0.0))

    yield io_loop.run_sync(start, timeout=30)
    io_loop.run_sync(stack.aclose, timeout=10)


@pytest.fixture
def talk(running: Running) -> Talk:
    return Talk(running)
