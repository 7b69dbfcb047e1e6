"""`python -m bench.pool_turn [CHECKOUT ...]`: what one request costs the pool, in microseconds, at growing queues.

Each checkout's core runs in a process of its own, and they take turns, so that what disturbs the machine disturbs all.
A turn is a submit, and the finish of the longest running request, which grants a key to the next one.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict, deque
from pathlib import Path
from statistics import median
from time import perf_counter

from keypool.estimates import Tokens
from keypool.keys import Key
from keypool.pool import Ask, Grant, Pool, QueueLimits

QUEUED = (0, 1_000, 100_000)
ROUNDS = 5
TURNS = 2_000
KEYS, SLOTS = 4, 8
EACH = 10  # requests that a person has waiting
HERE = Path(__file__).resolve().parents[1]


def main() -> None:
    """Measure the checkouts in turns, or, as a child, this one once."""
    if sys.argv[1:] == ["--once"]:
        print(*(f"{figure:.2f}" for queued in QUEUED for figure in measure(queued)))
        return
    found: defaultdict[Path, list[list[float]]] = defaultdict(list)
    checkouts = [HERE, *(Path(each).resolve() for each in sys.argv[1:])]
    for _ in range(ROUNDS):
        for checkout in checkouts:
            command = [sys.executable, __file__, "--once"]
            told = subprocess.run(command, cwd=checkout, env={"PYTHONPATH": str(checkout)}, stdout=-1, check=True)
            found[checkout].append([float(each) for each in told.stdout.split()])
    print("queued:", *(f"{queued:,} submit, finish, turn;" for queued in QUEUED))
    for checkout, rounds in found.items():
        print(checkout, *(f"{median(figures):.1f}" for figures in zip(*rounds, strict=True)))


def measure(queued: int) -> tuple[float, float, float]:
    """Medians of a submit, a finish and both, with so many queued."""
    keys = [Key(f"k{n}", "up", "", frozenset({"openai"}), frozenset({"m"}), SLOTS) for n in range(KEYS)]
    pool = Pool(keys, QueueLimits(total=10**9, per_person=10**9))
    persons = max(10, queued // EACH)
    running: deque[Grant] = deque()
    for number in range(queued + (KEYS * SLOTS if queued else 0)):
        running += _asked(pool, number, persons, 0.0)
    submits, finishes = [], []
    for number in range(TURNS):
        now = 1.0 + number / 5
        start = perf_counter()
        grants = _asked(pool, -1 - number, persons, now)
        middle = perf_counter()
        running += grants
        ticket = running.popleft().ticket
        before = perf_counter()
        decisions = pool.finish(ticket, Tokens(100, 0, 300), now)
        end = perf_counter()
        running += (each for each in decisions if isinstance(each, Grant))
        submits.append((middle - start) * 1e6)
        finishes.append((end - before) * 1e6)
    both = [one + other for one, other in zip(submits, finishes, strict=True)]
    return median(submits), median(finishes), median(both)


def _asked(pool: Pool, number: int, persons: int, now: float) -> list[Grant]:
    ask = Ask(str(number), f"p{number % persons}", "m", "openai", 100, None, 1e9)
    return [each for each in pool.submit(ask, now)[1] if isinstance(each, Grant)]


if __name__ == "__main__":
    main()
