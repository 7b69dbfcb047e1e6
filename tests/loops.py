"""pytest-tornado makes a loop for each test; tests that share a gateway share its loop, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from tornado.ioloop import IOLoop

T = TypeVar("T")


def one_loop() -> Iterator[IOLoop]:
    """The body of an `io_loop` fixture of any scope: `io_loop = pytest.fixture(one_loop, scope="module")`."""
    loop = IOLoop()
    loop.make_current()
    yield loop
    loop.clear_current()
    loop.close(all_fds=True)


@contextmanager
def entered(loop: IOLoop, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """The body of a fixture whose thing lives in that loop for as long as the fixture: a gateway, a browser."""
    yield loop.run_sync(context.__aenter__, timeout=60)
    loop.run_sync(lambda: context.__aexit__(None, None, None), timeout=30)
