"""What others have changed is read anew or forgotten: what depends on it, once; and nothing if nothing has changed."""

from __future__ import annotations

import asyncio

import pytest

from server.cluster.changes import EVERY_SECONDS, ChangeFollower, Remembered
from server.store.base import StoreError, Versions


class Place:
    """A store's versions, and what a gateway does about them. Time is a count of sleeps."""

    def __init__(self) -> None:
        self.versions, self.away = Versions(1, 1, 1), False
        self.done: list[str] = []
        self.slept: list[float] = []
        remembered = Remembered(
            self._does("keys"),
            self._does("book"),
            lambda: self.done.append("callers"),
            lambda: self.done.append("pages"),
        )
        self.follower = ChangeFollower(self.asked, remembered, self.sleep)

    async def asked(self) -> Versions:
        if self.away:
            raise StoreError("no route")
        return self.versions

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    def _does(self, name: str):  # type: ignore[no-untyped-def]
        async def do() -> None:
            self.done.append(name)

        return do

    async def looked(self) -> list[str]:
        self.done = []
        await self.follower.look()
        return self.done


@pytest.mark.gen_test
async def test_the_first_look_reads_all_and_the_next_one_nothing() -> None:
    place = Place()
    assert await place.looked() == ["callers", "book", "keys", "pages"]
    assert await place.looked() == []


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("changed", "done"),
    [
        ({"people": 2}, ["callers", "pages"]),
        ({"book": 2}, ["callers", "book", "pages"]),
        ({"keys": 2}, ["keys", "pages"]),
        ({"keys": 0}, ["keys", "pages"]),  # another store, or one that was restored
    ],
)
async def test_a_change_reaches_what_depends_on_it(changed: dict[str, int], done: list[str]) -> None:
    place = Place()
    await place.looked()
    place.versions = place.versions._replace(**changed)
    assert await place.looked() == done
    assert await place.looked() == []


@pytest.mark.gen_test
async def test_while_the_store_is_away_nothing_is_forgotten_and_what_changed_meanwhile_is_found_later() -> None:
    place = Place()
    await place.looked()
    place.away, place.versions = True, Versions(1, 1, 2)
    with pytest.raises(StoreError):
        await place.looked()
    assert place.done == []
    place.away = False
    assert await place.looked() == ["callers", "pages"]


@pytest.mark.gen_test
async def test_a_look_that_fails_is_not_the_last() -> None:
    place = Place()
    place.away = True
    task = asyncio.create_task(place.follower.keep())
    while len(place.slept) < 3:
        await asyncio.sleep(0)
    place.away = False
    while not place.done:
        await asyncio.sleep(0)
    task.cancel()
    assert set(place.slept) == {EVERY_SECONDS}


@pytest.mark.gen_test
async def test_what_is_changed_here_holds_here_at_once_though_the_store_has_not_said_so() -> None:
    place = Place()
    await place.looked()
    place.done = []
    await place.follower.take_effect()
    assert place.done == ["callers", "book", "keys"]
