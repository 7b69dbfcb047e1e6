"""pytest-tornado makes a loop for each test; tests that share a gateway share its loop, too."""

from __future__ import annotations

from collections.abc import Iterator

from tornado.ioloop import IOLoop


def one_loop() -> Iterator[IOLoop]:
    """The body of an `io_loop` fixture of any scope: `io_loop = pytest.fixture(one_loop, scope="module")`."""
    loop = IOLoop()
    loop.make_current()
    yield loop
    loop.clear_current()
    loop.close(all_fds=True)
