"""Threads that serve persons in turn: who comes with little is served next, whatever others have queued."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.fair_threads import MOST_STAMPS, FairThreads, Turns
from server.tokenizer import INLINE, SLICE, THREADS, Tokenizer
from server.wire.tokens import Prompt


def order(*pieces: tuple[str, int]) -> list[str]:
    """In which order pieces are served that have all come before the first is."""
    turns: Turns[str] = Turns()
    for person, size in pieces:
        turns.add(person, size, person)
    return [turns.take() for _ in pieces]


def test_who_comes_with_little_is_served_before_the_second_piece_of_who_came_before() -> None:
    turns: Turns[str] = Turns()
    for number in range(100):
        turns.add("ada", 1_000_000, f"ada {number}")
    assert turns.take() == "ada 0"
    turns.add("bob", 6_000, "bob")
    assert [turns.take(), turns.take()] == ["bob", "ada 1"]


def test_two_who_want_much_take_turns_by_how_much_and_not_by_how_often() -> None:
    served = order(*[("ada", 30)] * 4, *[("bob", 10)] * 12)
    assert served[:8].count("ada") in (2, 3)
    assert (served.count("ada"), served.count("bob")) == (4, 12)


def test_of_those_whose_turn_is_the_same_the_shorter_piece_goes_first() -> None:
    assert order(("ada", 50), ("bob", 5), ("cleo", 20)) == ["bob", "cleo", "ada"]


def test_who_was_away_has_saved_nothing() -> None:
    turns: Turns[str] = Turns()
    for number in range(3):
        turns.add("ada", 10, f"ada {number}")
    for _ in range(3):
        turns.take()
    for number in range(3, 6):
        turns.add("ada", 10, f"ada {number}")
        turns.add("bob", 10, f"bob {number}")
    assert [turns.take().split()[0] for _ in range(4)].count("bob") == 2


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 100)), min_size=1))
def test_everything_is_served_once_and_each_persons_pieces_in_their_order(pieces: list[tuple[str, int]]) -> None:
    turns: Turns[tuple[str, int]] = Turns()
    for number, (person, size) in enumerate(pieces):
        turns.add(person, size, (person, number))
    served = [turns.take() for _ in pieces]
    for person in "abc":
        mine = [number for name, number in served if name == person]
        assert mine == [number for number, (name, _) in enumerate(pieces) if name == person]


@given(st.lists(st.integers(1, 100), min_size=2, max_size=60))
def test_of_two_who_always_want_something_none_gets_more_than_one_piece_ahead(sizes: list[int]) -> None:
    turns: Turns[tuple[str, int]] = Turns()
    for person in "ab":
        for size in sizes:
            turns.add(person, size, (person, size))
    got = {"a": 0, "b": 0}
    for _ in sizes:  # both still want something
        person, size = turns.take()
        got[person] += size
        assert abs(got["a"] - got["b"]) <= 2 * max(sizes)


def test_nobody_is_remembered_whose_turn_has_long_passed() -> None:
    turns: Turns[int] = Turns()
    for number in range(10 * MOST_STAMPS):
        turns.add(f"person {number}", 1, number)
        turns.take()
        turns.add("busy", 100, number)
        turns.take()
    assert len(turns._done) <= MOST_STAMPS + 1


class Gate:
    """Work that does not end before it may, and notes that it has begun."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.begun: list[str] = []

    def work(self, name: str) -> str:
        self.begun.append(name)
        self._open.wait(20)
        return name

    def open(self) -> None:
        self._open.set()


@pytest.mark.gen_test(timeout=30)
async def test_the_threads_begin_what_the_turns_say_and_forget_who_has_gone() -> None:
    threads, gate = FairThreads(1, "test"), Gate()
    try:
        first = asyncio.create_task(threads.run("ada", 10, lambda: gate.work("ada 0")))
        more = [asyncio.create_task(threads.run("ada", 10, lambda n=n: gate.work(f"ada {n}"))) for n in (1, 2)]
        await asyncio.sleep(0)
        little = asyncio.create_task(threads.run("bob", 1, lambda: gate.work("bob")))
        await asyncio.sleep(0)
        assert threads.waiting == 3
        more[0].cancel()
        await asyncio.wait([more[0]])
        gate.open()
        assert [await first, await little, await more[1]] == ["ada 0", "bob", "ada 2"]
        assert gate.begun == ["ada 0", "bob", "ada 2"]
    finally:
        gate.open()
        threads.close()


@pytest.mark.gen_test(timeout=30)
async def test_what_work_raises_is_raised_to_who_wanted_it_and_the_thread_serves_on() -> None:
    threads = FairThreads(1, "test")

    def fails() -> None:
        raise KeyError("it")

    try:
        with pytest.raises(KeyError):
            await threads.run("ada", 1, fails)
        assert await threads.run("ada", 1, lambda: 7) == 7
    finally:
        threads.close()


class Counted(Tokenizer):
    """A tokenizer that notes whose text it counts, by its first character."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    def _count_some(self, pieces: list[str], model: str) -> float:  # type: ignore[override]
        self.order.append(pieces[0][0])
        return super()._count_some(pieces, model)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=60)
async def test_a_short_prompt_does_not_wait_for_another_members_long_ones() -> None:
    real = Tokenizer()
    tokenizer = Counted()
    long = Prompt(tuple("A" + " word" * (SLICE // 5) for _ in range(10)))
    short = Prompt(("B" + " word" * (INLINE // 4),))
    try:
        floods = [asyncio.create_task(tokenizer.count(long, "gpt-5", "ada")) for _ in range(8)]
        await asyncio.sleep(0)
        counted = await tokenizer.count(short, "gpt-5", "bob")
        place = tokenizer.order.index("B")
        assert place <= 2 * THREADS, "it was next, after what had begun"
        assert len(tokenizer.order) < 8 * 10, "the others were still at it"
        totals = await asyncio.gather(*floods)
    finally:
        tokenizer.close()
        real.close()
    assert counted == real._count_all(short, "gpt-5")
    assert set(totals) == {real._count_all(long, "gpt-5")}, "slices count as much as the whole"
