"""Limits per minute hold over workers that hear of each other's takings in few messages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from server.accounting.announced_rates import LATEST_SECONDS, AnnouncedRates, Taking
from server.ledger.limits import Unit
from server.ledger.ratelimit import RateLimits, Taken
from tests.ledger.test_ratelimit import entry

EVENTS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["take", "correct", "wait"]), st.integers(1, 30)))


class Worker:
    """One of some workers whose messages arrive at once. `messages`: so many it has sent."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.messages = machine, 0
        self.limits, self.taken = RateLimits(), list[tuple[Taken, int]]()
        clock: Callable[[], float] = lambda: machine.now  # noqa: E731
        self.rates = AnnouncedRates(self.limits, clock, machine.count, self.announce, machine.later)
        self.limits.say = self.rates.took

    def announce(self, takings: list[Taking]) -> None:
        self.messages += 1
        for each in self.machine.workers:
            if each is not self:
                each.rates.heard(takings)

    def take(self, most: int, needs: int) -> bool:
        taken = self.limits.take([entry(most, needs, Unit.TOKENS)], self.machine.now)
        if not isinstance(taken, Taken):
            return False
        self.taken.append((taken, needs))
        return True


class Machine:
    """Some workers, whose time a test moves."""

    def __init__(self, count: int) -> None:
        self.now, self.count = 0.0, count
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.workers: list[Worker] = []
        self.workers += [Worker(self) for _ in range(count)]

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        self.due.append((self.now + seconds, function))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        due, self.due = self.due, []
        for at, function in due:
            if at <= self.now:
                function()
            else:
                self.due.append((at, function))

    @property
    def messages(self) -> int:
        return sum(each.messages for each in self.workers)


def test_where_much_is_left_many_takings_are_one_message() -> None:
    machine = Machine(4)
    for number in range(100):
        assert machine.workers[number % 4].take(1_000_000, 1)
    assert machine.messages == 0
    machine.wait(LATEST_SECONDS)
    assert machine.messages == 4
    assert {each.limits.room(entry(1, 1, Unit.TOKENS).counter) for each in machine.workers} == {999_900}


def test_of_a_small_limit_every_taking_is_said_at_once_and_no_more_is_let_in_than_there_is() -> None:
    machine = Machine(4)
    served = sum(machine.workers[number % 4].take(10, 1) for number in range(1_000))
    assert (served, machine.messages) == (10, 10)


def test_what_is_given_back_or_was_less_is_known_to_the_others_in_time() -> None:
    machine = Machine(2)
    one, other = machine.workers
    assert one.take(1_000, 10)
    machine.wait(0.01)
    assert one.take(1_000, 10)
    machine.wait(LATEST_SECONDS)
    one.limits.correct(one.taken[0][0], 3)
    one.limits.give_back(one.taken[1][0])
    machine.wait(LATEST_SECONDS)
    counter = entry(1, 1, Unit.TOKENS).counter
    assert (one.limits.room(counter), other.limits.room(counter)) == (997, -3), "the other one has taken nothing yet"
    assert other.take(1_000, 997)
    assert not other.take(1_000, 1)


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.integers(20, 400))
def test_no_limit_is_exceeded_whatever_is_kept_back(events: list[tuple[int, str, int]], most: int) -> None:
    machine, total = Machine(4), 0
    for worker, what, amount in events * 3:
        one = machine.workers[worker]
        if what == "take":
            total += amount * one.take(most, amount)
        elif what == "correct" and one.taken:
            taken, needs = one.taken.pop()
            one.limits.correct(taken, needs // 2)
            total -= needs - needs // 2
        else:
            machine.wait(0.02)
        assert total <= most
    machine.wait(LATEST_SECONDS)
    assert not machine.due
    known = [partial(each.limits.take, [entry(most, most - total + 1, Unit.TOKENS)]) for each in machine.workers]
    assert not any(isinstance(take(machine.now), Taken) for take in known), "all know what was taken"
