"""One loop for all tests of a module, so that they can share a gateway: building one takes a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from server.config.specs import UpstreamSpec
from tests.fakes.upstream import FakeUpstream
from tests.faults.stage import Stage
from tests.gateways import gateway
from tests.loops import one_loop

Opener = Callable[..., Stage]


io_loop = pytest.fixture(one_loop, scope="module", name="io_loop")


@pytest.fixture(scope="module")
def open_stage(io_loop: IOLoop) -> Iterator[Opener]:
    """A function that opens a gateway for the rest of the module."""
    stack = AsyncExitStack()

    async def enter(specs: Callable[[FakeUpstream], tuple[UpstreamSpec, ...]], settings: dict[str, Any]) -> Stage:
        fake = await stack.enter_async_context(FakeUpstream())
        return Stage(await stack.enter_async_context(gateway(fake, *specs(fake), **settings)))

    def opened(specs: Callable[[FakeUpstream], tuple[UpstreamSpec, ...]] = lambda fake: (), **settings: Any) -> Stage:
        stage: Stage = io_loop.run_sync(lambda: enter(specs, settings))
        return stage

    yield opened
    io_loop.run_sync(stack.aclose)
