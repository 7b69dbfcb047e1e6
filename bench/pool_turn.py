"""`python -m bench.pool_turn [CHECKOUT ...]`: what one request costs the pool, in microseconds, at growing queues.

Each checkout's core lives in a process of its own. They take turns, many short ones, and of each the quickest counts:
what disturbs the machine disturbs all, and makes nothing faster. A turn is a submit, and the finish of the longest
running request, which grants a key to the next one.
"""

from __future__ import annotations

import gc
import subprocess
import sys
from collections import defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter

from keypool.estimates import Tokens
from keypool.keys import Key
from keypool.pool import Ask, Grant, Pool, QueueLimits

QUEUED = (0, 1_000, 100_000)
ROUNDS = 20
TURNS = 200  # of a round
KEYS, SLOTS = 4, 8
EACH = 10  # requests that a person has waiting
HERE = Path(__file__).resolve().parents[1]


def main() -> None:
    """Let the checkouts take turns; or, as a child, measure this one whenever asked."""
    if sys.argv[1:] == ["--child"]:
        pools = [measured(queued) for queued in QUEUED]
        for _ in sys.stdin:
            print(*(f"{figure:.2f}" for pool in pools for figure in next(pool)), flush=True)
        return
    found: defaultdict[Path, list[list[float]]] = defaultdict(list)
    children = {each: _child(each) for each in [HERE, *(Path(name).resolve() for name in sys.argv[1:])]}
    for _ in range(ROUNDS):
        for checkout, child in children.items():
            assert child.stdin is not None
            assert child.stdout is not None
            print(file=child.stdin, flush=True)
            found[checkout].append([float(each) for each in child.stdout.readline().split()])
    for child in children.values():
        child.communicate()
    print("queued:", *(f"{queued:,} submit, finish, turn;" for queued in QUEUED))
    for checkout, rounds in found.items():
        print(checkout, *(f"{min(figures):.1f}" for figures in zip(*rounds, strict=True)))


def _child(checkout: Path) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--child"]
    environment = {"PYTHONPATH": str(checkout)}
    return subprocess.Popen(command, cwd=checkout, env=environment, stdin=-1, stdout=-1, text=True)


def measured(queued: int) -> Iterator[tuple[float, float, float]]:
    """Medians of a submit, a finish and both, with so many queued: one round after the other."""
    keys = [Key(f"k{n}", "up", frozenset({"openai"}), frozenset({"m"}), SLOTS) for n in range(KEYS)]
    pool = Pool(keys, QueueLimits(total=10**9, per_person=10**9))
    persons = max(10, queued // EACH)
    running: deque[Grant] = deque()
    for number in range(queued + (KEYS * SLOTS if queued else 0)):
        running += _asked(pool, number, persons, 0.0)
    gc.freeze()
    number = 0
    while True:
        submits, finishes = [], []
        for _ in range(TURNS):
            number += 1
            now = 1.0 + number / 5
            start = perf_counter()
            grants = _asked(pool, -number, persons, now)
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
        yield median(submits), median(finishes), median(both)


def _asked(pool: Pool, number: int, persons: int, now: float) -> list[Grant]:
    ask = Ask(str(number), f"p{number % persons}", "m", "openai", 100, None, 1e9)
    return [each for each in pool.submit(ask, now)[1] if isinstance(each, Grant)]


if __name__ == "__main__":
    main()
