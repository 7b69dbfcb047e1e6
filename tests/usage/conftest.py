"""One office for all tests of this package: to open it takes longer than all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from tornado.ioloop import IOLoop

from server.ledger.when import instant
from tests.gateways import exchanged
from tests.loops import one_loop
from tests.usage.office import NOW, Office, open_office

io_loop = pytest.fixture(one_loop, scope="package", name="io_loop")


@pytest.fixture(scope="package")
def office(io_loop: IOLoop) -> Iterator[Office]:
    stack = AsyncExitStack()
    opened: Office = io_loop.run_sync(lambda: stack.enter_async_context(open_office()))
    with exchanged(opened.services, wall=lambda: instant(NOW)):
        yield opened
    io_loop.run_sync(stack.aclose)
