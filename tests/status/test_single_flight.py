"""One making for all who ask, and one stream of numbers for all who look."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import count

import pytest

from server.single_flight import MOST, SingleFlight
from server.status.live import Live


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.gen_test
async def test_a_thousand_who_ask_at_once_get_one_answer() -> None:
    made, clock = count(1), Clock()

    async def make(name: str) -> str:
        await asyncio.sleep(0)
        return f"{name}{next(made)}"

    shared = SingleFlight(make, 10.0, clock)
    assert set(await asyncio.gather(*(shared.get("a") for _ in range(1000)))) == {"a1"}
    clock.now = 9.9
    assert await shared.get("a") == "a1"
    assert await shared.get("b") == "b2"
    clock.now = 10.1
    assert await shared.get("a") == "a3"


@pytest.mark.gen_test
async def test_a_failure_is_heard_by_all_who_wait_and_is_not_kept() -> None:
    answers = iter([ValueError("no"), "yes"])

    async def make(name: str) -> str:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    shared = SingleFlight(make, 10.0, Clock())
    heard = await asyncio.gather(*(shared.get("a") for _ in range(3)), return_exceptions=True)
    assert all(isinstance(each, ValueError) for each in heard)
    assert await shared.get("a") == "yes"


@pytest.mark.gen_test
async def test_a_reader_who_leaves_does_not_take_the_answer_from_others() -> None:
    going = asyncio.Event()

    async def make(name: str) -> str:
        await going.wait()
        return "made"

    shared = SingleFlight(make, 10.0, Clock())
    first, second = asyncio.create_task(shared.get("a")), asyncio.create_task(shared.get("a"))
    await asyncio.sleep(0)
    first.cancel()
    going.set()
    assert await second == "made"


@pytest.mark.gen_test
async def test_names_that_callers_think_of_do_not_fill_the_memory() -> None:
    async def make(name: int) -> int:
        return name

    shared = SingleFlight(make, 1000.0, Clock())
    for name in range(10 * MOST):
        assert await shared.get(name) == name
    assert len(shared._made) <= MOST


def lives(most: int = 10) -> tuple[Live, list[int]]:
    made: list[int] = []

    async def event(_: str) -> bytes:
        made.append(len(made))
        return b"%d" % made[-1]

    return Live(event, every=0.001, most=most), made


@pytest.mark.gen_test
async def test_all_listeners_hear_the_same_and_without_listeners_nothing_is_made() -> None:
    live, made = lives()

    async def hear() -> list[bytes]:
        async with aclosing(live.listen("en")) as events:
            return [event async for event, _ in _zip(events, range(3))]

    heard = await asyncio.gather(*(hear() for _ in range(5)))
    assert all(each == heard[0] for each in heard)
    assert live.listeners == 0
    while not live._task or not live._task.done():
        await asyncio.sleep(0)
    before = len(made)
    await asyncio.sleep(0.005)
    assert len(made) == before <= 6
    assert (await hear())[0] == b"%d" % before
    await live.close()


@pytest.mark.gen_test
async def test_there_is_a_most_and_closing_ends_all_listeners() -> None:
    live, _ = lives(most=1)
    heard: list[bytes] = []

    async def hear() -> None:
        async for event in live.listen("en"):
            heard.append(event)

    task = asyncio.create_task(hear())
    while not heard:
        await asyncio.sleep(0)
    assert live.full
    await live.close()
    await task
    assert live.full
    assert live.listeners == 0


@pytest.mark.gen_test
async def test_closing_ends_a_listener_for_whom_no_event_has_been_begun() -> None:
    live, made = lives()

    async def hear() -> list[bytes]:
        return [event async for event in live.listen("en")]

    task = asyncio.create_task(hear())
    while not live.listeners:
        await asyncio.sleep(0)
    assert live._task is not None
    assert not made, "its task has not had a turn"
    await live.close()
    assert await asyncio.wait_for(task, 5) == []


async def _zip(events, numbers):  # type: ignore[no-untyped-def]
    for number in numbers:
        yield await anext(events), number
