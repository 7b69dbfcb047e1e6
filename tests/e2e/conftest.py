"""One Chromium for all tests of a module: its start costs more than a test, and each has a profile of its own in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import Browser
from tornado.ioloop import IOLoop

from tests.e2e.chromium import chromium
from tests.loops import entered, one_loop

io_loop = pytest.fixture(one_loop, scope="module", name="io_loop")


@pytest.fixture(scope="module")
def browser(io_loop: IOLoop) -> Iterator[Browser]:
    with entered(io_loop, chromium()) as started:
        yield started
