"""What a decision costs in microseconds, and how quickly ten thousand cancelled requests are gone.

Machines differ, so each figure is scaled by a yardstick: fixed work of the same kind (dictionary, heap, attribute),
which took `YARD` microseconds on the machine for which the bars were set. The best of several rounds counts: what
disturbs a measurement makes it only longer.
"""

from __future__ import annotations

import gc
from collections import deque
from dataclasses import dataclass
from heapq import heappush, heapreplace
from random import Random
from statistics import mean, median
from time import perf_counter, process_time

from bench.fairness.schedulers import BOUNDLESS
from bench.fairness.world import DIALECT, KEYS, MODEL, SLOTS, a_key, bound_by_slots
from keypool.estimates import Tokens
from keypool.fairqueue import FairQueue
from keypool.keys import Key
from keypool.pool import Ask, Pool
from keypool.ticket import Ticket

YARD = 0.6  # microseconds of one step of the yardstick on the reference machine
STEPS = 20_000
ROUNDS = 5
EACH = 10  # requests that a person has waiting


@dataclass(frozen=True, slots=True)
class Decision:
    """Microseconds of choosing and starting one request, on the reference machine."""

    median: float
    mean: float


@dataclass(frozen=True, slots=True)
class Storm:
    """Ten thousand waiting requests that all left: milliseconds on the reference machine, and what was left over."""

    milliseconds: float
    left: int


def yardstick() -> float:
    """Microseconds of one step on this machine."""
    return min(_yardstick() for _ in range(ROUNDS))


def decision(waiting: int) -> Decision:
    """The fair queue's `dispatch`, with so many requests waiting of a tenth as many persons, of mixed cost."""
    yard = yardstick() / YARD
    rounds = [_decisions(waiting) for _ in range(ROUNDS)]
    return Decision(min(map(median, rounds)) / yard, min(map(mean, rounds)) / yard)


def turn(waiting: int) -> float:
    """Microseconds (mean) of `Pool.finish` with so many waiting: settle, learn, choose the next and its key."""
    return min(_turn(waiting) for _ in range(ROUNDS)) / (yardstick() / YARD)


def storm(waiting: int = 10_000) -> Storm:
    """Everybody who waits leaves, one after the other; then what runs ends."""
    yard = yardstick() / YARD
    rounds = [_storm(waiting) for _ in range(ROUNDS)]
    return Storm(min(each.milliseconds for each in rounds) / yard, max(each.left for each in rounds))


class _Thing:
    def __init__(self) -> None:
        self.value = 0.0


def _yardstick() -> float:
    things = {f"p{number}": _Thing() for number in range(1000)}
    names = list(things)
    heap: list[tuple[float, int]] = []
    for number in range(1000):
        heappush(heap, (float(number), number))
    start = process_time()
    for step in range(STEPS):
        value, number = heap[0]
        thing = things[names[number]]
        thing.value = max(thing.value, value) + 1000.0
        heapreplace(heap, (thing.value, step % 1000))
    return (process_time() - start) * 1e6 / STEPS


def _decisions(waiting: int) -> list[float]:
    """Microseconds of two thousand decisions, each followed by the end of what it started."""
    dice = Random(waiting)
    persons = waiting // EACH
    queue = FairQueue(total=2 * waiting, per_person=waiting)
    key = a_key("k0")

    def choose(ticket: Ticket) -> Key | None:
        return key

    for number in range(waiting):
        cost = dice.uniform(500, 5000)
        queue.submit(Ticket(str(number), f"p{number % persons}", MODEL, DIALECT, cost, 0.0, 1e9))
    taken = []
    gc.collect()
    gc.disable()
    for number in range(min(2000, waiting)):
        start = perf_counter()
        found = queue.dispatch(choose)
        taken.append((perf_counter() - start) * 1e6)
        assert found is not None
        queue.finish(found[0], found[0].cost * 1.1)
        queue.submit(Ticket(f"n{number}", found[0].person, MODEL, DIALECT, found[0].cost, 0.0, 1e9))
    gc.enable()
    return taken


def _full(waiting: int) -> tuple[Pool, list[Ticket]]:
    """A pool with every slot in use and so many waiting; all its tickets, the running ones first."""
    pool = Pool(bound_by_slots(), BOUNDLESS)
    persons = waiting // EACH
    count = waiting + KEYS * SLOTS
    asks = (Ask(str(number), f"p{number % persons}", MODEL, DIALECT, 100, None, 1e9) for number in range(count))
    return pool, [pool.submit(ask, 0.0)[0] for ask in asks]


def _turn(waiting: int) -> float:
    pool, tickets = _full(waiting)
    running = deque(tickets[: KEYS * SLOTS])
    turns = min(2000, waiting)
    start = process_time()
    for number in range(turns):
        for decision in pool.finish(running.popleft(), Tokens(100, 0, 300), 10.0 + number):
            running.append(decision.ticket)
    return (process_time() - start) * 1e6 / turns


def _storm(waiting: int) -> Storm:
    pool, tickets = _full(waiting)
    running, leaving = tickets[: KEYS * SLOTS], tickets[KEYS * SLOTS :]
    gc.collect()
    gc.disable()
    start = process_time()
    for ticket in leaving:
        pool.cancel(ticket, 1.0)
    milliseconds = (process_time() - start) * 1e3
    gc.enable()
    for ticket in running:
        pool.cancel(ticket, 2.0)
    return Storm(milliseconds, _left(pool))


def _left(pool: Pool) -> int:
    """Tickets, slots and flows that were not given back."""
    queue = pool.snapshot(2.0).models[0]
    slots = sum(key.running for key in pool.keys.values())
    return len(pool.tickets) + slots + queue.waiting + queue.running + (pool.next_wakeup() is not None)
