"""A copy of what the store has: read once per change, by one reader at a time."""

from __future__ import annotations

import asyncio

import pytest

from server.store.following import Following
from server.store.records import StoreError


class Shelf:
    def __init__(self) -> None:
        self.version, self.reads, self.away = 1, 0, False
        self.slow: asyncio.Event | None = None

    async def ask(self) -> int:
        if self.away:
            raise StoreError("no route")
        return self.version

    async def read(self) -> None:
        if self.slow is not None:
            await self.slow.wait()
        self.reads += 1


@pytest.mark.gen_test
async def test_it_is_read_once_per_version_and_known_when_it_has_been_read() -> None:
    shelf = Shelf()
    following = Following("books", shelf.ask, shelf.read)
    shelf.away = True
    await following.sync()
    assert not following.known
    shelf.away = False
    for _ in range(3):
        await following.sync()
    shelf.version = 2
    await following.sync()
    assert (following.known, shelf.reads) == (True, 2)


@pytest.mark.gen_test
async def test_two_at_the_same_time_read_one_after_the_other() -> None:
    shelf = Shelf()
    shelf.slow = asyncio.Event()
    following = Following("books", shelf.ask, shelf.read)
    both = asyncio.gather(following.sync(), following.sync())
    await asyncio.sleep(0)
    shelf.slow.set()
    await both
    assert shelf.reads == 1


@pytest.mark.gen_test
async def test_a_read_that_fails_is_tried_again_and_its_end_is_silent() -> None:
    shelf, failing = Shelf(), True

    async def read() -> None:
        if failing:
            raise StoreError("half way")
        await shelf.read()

    following = Following("books", shelf.ask, read)
    await following.start(1000.0)
    assert not following.known
    failing = False
    await following.sync()
    assert (following.known, shelf.reads) == (True, 1)
    await following.close()
