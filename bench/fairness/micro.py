"""What a decision costs, and how quickly ten thousand cancelled requests are gone.

Machines differ, and do other things meanwhile. So each piece of work is measured beside a yardstick: fixed work of the
same kind (dictionary, heap, attribute), a stretch of it after each piece, so that what disturbs one disturbs the other.
What counts is how many steps of the yardstick a piece takes, the median over the median, in the best of several rounds.
Microseconds are these steps at `STEP`, which one took on the machine for which the bars were set.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappush, heapreplace
from random import Random
from statistics import mean, median
from time import perf_counter

from bench.fairness.schedulers import BOUNDLESS
from bench.fairness.world import DIALECT, KEYS, MODEL, SLOTS, a_key, bound_by_slots
from keypool.estimates import Tokens
from keypool.fairqueue import FairQueue
from keypool.health import KeyEvent
from keypool.keys import Key
from keypool.pool import Ask, Pool
from keypool.ticket import Ticket
from keypool.verdict import Verdict

STEP = 0.6  # microseconds of one step of the yardstick on the reference machine
STRETCH = 20  # steps after each piece of work
ROUNDS, PIECES = 5, 1000
EACH = 10  # requests that a person has waiting

BROKEN = Verdict(KeyEvent.FAILED, free=True, sure=True)

Work = Callable[[], float]  # does one piece, and returns the seconds that it took


@dataclass(frozen=True, slots=True)
class Cost:
    """What one piece of work takes, in steps of the yardstick."""

    median: float
    mean: float

    @property
    def median_microseconds(self) -> float:
        return self.median * STEP

    @property
    def mean_microseconds(self) -> float:
        return self.mean * STEP


@dataclass(frozen=True, slots=True)
class Storm:
    """Ten thousand waiting requests that all left: what one took, and what was left over."""

    cost: Cost
    left: int


class Yardstick:
    """Always the same work, on a heap of a thousand."""

    def __init__(self) -> None:
        self._things = {f"p{number}": _Thing() for number in range(1000)}
        self._names = list(self._things)
        self._heap: list[tuple[float, int]] = []
        self._number = 0
        for number in range(1000):
            heappush(self._heap, (float(number), number))

    def stretch(self) -> float:
        """Seconds of one step, of a stretch of them."""
        things, names, heap = self._things, self._names, self._heap
        start = perf_counter()
        for _ in range(STRETCH):
            value, number = heap[0]
            thing = things[names[number]]
            thing.value = max(thing.value, value) + 1000.0
            self._number += 1
            heapreplace(heap, (thing.value, self._number % 1000))
        return (perf_counter() - start) / STRETCH


class _Thing:
    def __init__(self) -> None:
        self.value = 0.0


def measured(*works: Work, pieces: int = PIECES, rounds: int = ROUNDS) -> tuple[Cost, ...]:
    """The cost of a piece of each work, which take turns, in the best of some rounds."""
    yardstick = Yardstick()
    gc.collect()
    gc.disable()
    found = [[([work() for work in works], yardstick.stretch()) for _ in range(pieces)] for _ in range(rounds)]
    gc.enable()
    return tuple(min((_cost(each, number) for each in found), key=_median) for number in range(len(works)))


def _cost(taken: list[tuple[list[float], float]], number: int) -> Cost:
    step = median(step for _, step in taken)
    seconds = [each[number] for each, _ in taken]
    return Cost(median(seconds) / step, mean(seconds) / step)


def _median(cost: Cost) -> float:
    return cost.median


def decision(waiting: int) -> Cost:
    """The fair queue's `dispatch`, with so many requests waiting of a tenth as many persons, of mixed cost."""
    return measured(decisions(waiting))[0]


def growth(few: int, many: int) -> float:
    """By how much the median of a decision grows from few to many who wait, measured in turns."""
    short, long = measured(decisions(few), decisions(many))
    return long.median / short.median


def turn(waiting: int) -> tuple[Cost, Cost]:
    """`Pool.submit` and `Pool.finish` with so many waiting: the whole of what one request costs the pool.

    A submit foresees the wait; a finish settles, learns, chooses the next one and its key.
    """
    pool, tickets = _full(waiting)
    running = deque(tickets[: KEYS * SLOTS])
    persons, number = waiting // EACH, 0

    def submit() -> float:
        nonlocal number
        number += 1
        ask = Ask(f"n{number}", f"p{number % persons}", MODEL, DIALECT, 100, None, 1e9)
        start = perf_counter()
        pool.submit(ask, _instant(number))
        return perf_counter() - start

    def finish() -> float:
        ticket = running.popleft()
        start = perf_counter()
        found = pool.finish(ticket, Tokens(100, 0, 300), _instant(number))
        seconds = perf_counter() - start
        running.extend(each.ticket for each in found)
        return seconds

    return measured(submit, finish)


def failure(waiting: int) -> Cost:
    """`Pool.failed` with so many waiting: a key fails and rests, and its ticket waits again."""
    pool, tickets = _full(waiting)
    running = deque(tickets[: KEYS * SLOTS])
    now = 10.0

    def fail() -> float:
        nonlocal now
        now += 100.0  # the key before has rested long enough
        running.extend(each.ticket for each in pool.tick(now))
        ticket = running.popleft()
        start = perf_counter()
        found = pool.failed(ticket, BROKEN, now)
        seconds = perf_counter() - start
        running.extend(each.ticket for each in found)
        return seconds

    return measured(fail, pieces=100)[0]


def _instant(number: int) -> float:
    """A hundred requests a second."""
    return 10.0 + number / 100


def storm(waiting: int = 10_000) -> Storm:
    """All waiting callers leave, one after the other; then what runs ends."""
    pool, tickets = _full(waiting)
    leaving = iter(tickets[KEYS * SLOTS :])

    def leave() -> float:
        ticket = next(leaving)
        start = perf_counter()
        pool.cancel(ticket, 1.0)
        return perf_counter() - start

    (cost,) = measured(leave, pieces=waiting, rounds=1)
    for ticket in tickets[: KEYS * SLOTS]:
        pool.cancel(ticket, 2.0)
    return Storm(cost, _left(pool))


def decisions(waiting: int) -> Work:
    """Decisions, each followed by the end of what it started, in whose place another one comes."""
    dice = Random(waiting)
    persons = waiting // EACH
    queue = FairQueue(total=2 * waiting, per_person=waiting)
    key = a_key("k0")

    def choose(ticket: Ticket) -> Key | None:
        return key

    for number in range(waiting):
        cost = dice.uniform(500, 5000)
        queue.submit(Ticket(str(number), f"p{number % persons}", MODEL, DIALECT, cost, 0.0, 1e9))

    def decide() -> float:
        start = perf_counter()
        found = queue.dispatch(choose)
        seconds = perf_counter() - start
        assert found is not None
        ticket = found[0]
        queue.finish(ticket, ticket.cost * 1.1)
        queue.submit(Ticket(f"n{ticket.id}"[:20], ticket.person, MODEL, DIALECT, ticket.cost, 0.0, 1e9))
        return seconds

    return decide


def _full(waiting: int) -> tuple[Pool, list[Ticket]]:
    """A pool with every slot in use and so many waiting; all its tickets, the running ones first."""
    pool = Pool(bound_by_slots(), BOUNDLESS)
    persons = waiting // EACH
    count = waiting + KEYS * SLOTS
    asks = (Ask(str(number), f"p{number % persons}", MODEL, DIALECT, 100, None, 1e9) for number in range(count))
    return pool, [pool.submit(ask, 0.0)[0] for ask in asks]


def _left(pool: Pool) -> int:
    """Tickets, slots and flows that were not given back."""
    queue = pool.snapshot(2.0).models[0]
    slots = sum(key.running for key in pool.keys.values())
    return len(pool.tickets) + slots + queue.waiting + queue.running + (pool.next_wakeup() is not None)
