"""One estate for a whole module: to open it takes longer than most tests of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from tornado.ioloop import IOLoop

from tests.admin.estate import Estate, estate


@pytest.fixture(scope="module")
def io_loop() -> Iterator[IOLoop]:
    loop = IOLoop()
    loop.make_current()
    yield loop
    loop.clear_current()
    loop.close(all_fds=True)


@pytest.fixture(scope="module")
def place(io_loop: IOLoop) -> Iterator[Estate]:
    stack = AsyncExitStack()
    opened: Estate = io_loop.run_sync(lambda: stack.enter_async_context(estate()))
    yield opened
    io_loop.run_sync(stack.aclose)
