"""One estate for a whole module: to open it takes longer than most tests of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from tornado.ioloop import IOLoop

from tests.accounts import store, times
from tests.admin.estate import Estate, estate
from tests.loops import one_loop

__all__ = ["io_loop", "place", "store", "times"]

io_loop = pytest.fixture(one_loop, scope="module", name="io_loop")


@pytest.fixture(scope="module")
def place(io_loop: IOLoop) -> Iterator[Estate]:
    stack = AsyncExitStack()
    opened: Estate = io_loop.run_sync(lambda: stack.enter_async_context(estate()))
    yield opened
    io_loop.run_sync(stack.aclose)
