"""When the next requests start: a table of waits by place in the queue, the usual ones and the longest.

Every slot is a renewal process: what runs there ends when the rest of it is over, and each that starts takes as long as
answers take. That has no closed form for a distribution with two humps, such as titles that take a fifth of a second
and essays that take a minute, and there a mean says nothing. So the table is a small simulation: `SCENARIOS` courses of
the same slots, whose durations are drawn from the distribution in strata, so that each place meets all of it. It rolls
no dice: arithmetic permutes the strata, as in a Latin hypercube (McKay, Beckman and Conover 1979).

A place costs `SCENARIOS` heap operations, when it is first asked for. Behind the first `PLACES` the table goes on at
the pace of its second half, while its spread grows like the square root of the places.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from heapq import heapify, heapreplace
from math import sqrt
from typing import NamedTuple

from keypool.durations import Strata

SCENARIOS = 31  # a prime, so that every multiplier permutes the strata
PLACES = 128
LATEST = 0.9  # of the scenarios


class Wait(NamedTuple):
    """Seconds: in one half of all cases it is no longer than `usual`, in nine of ten no longer than `latest`."""

    usual: float
    latest: float


class Departures:
    """The table. `answers`: how long an answer takes; `slots`: in how many seconds each slot is free. At least one."""

    def __init__(self, answers: Strata, slots: Sequence[Strata]) -> None:
        self._answers, self._drawn = answers, len(slots)
        rows = [_strata_of(number) for number in range(len(slots))]
        self._courses = [
            [slot[row[scenario]] for slot, row in zip(slots, rows, strict=True)] for scenario in range(SCENARIOS)
        ]
        for course in self._courses:
            heapify(course)
        self._waits: list[Wait] = []

    def wait(self, place: int) -> Wait:
        """The wait of a request before which so many others start."""
        while len(self._waits) <= min(place, PLACES - 1):
            self._waits.append(self._next())
        return self._waits[place] if place < PLACES else self._beyond(place)

    def _next(self) -> Wait:
        starts = sorted(course[0] for course in self._courses)
        answers = self._answers
        for course, stratum in zip(self._courses, _strata_of(self._drawn), strict=True):
            heapreplace(course, course[0] + answers[stratum])
        self._drawn += 1
        return Wait(starts[SCENARIOS // 2], starts[round(LATEST * (SCENARIOS - 1))])

    def _beyond(self, place: int) -> Wait:
        middle, last = self._waits[PLACES // 2], self._waits[-1]
        pace = (last.usual - middle.usual) / (PLACES - 1 - PLACES // 2)
        usual = last.usual + pace * (place - PLACES + 1)
        return Wait(usual, usual + (last.latest - last.usual) * sqrt((place + 1) / PLACES))


def _strata_of(draw: int) -> tuple[int, ...]:
    """The stratum from which each scenario draws: for each draw another permutation of all of them."""
    return _permutation(draw % (SCENARIOS * (SCENARIOS - 1)))


@cache
def _permutation(draw: int) -> tuple[int, ...]:
    return tuple(
        ((scenario + 1) * (1 + draw * 7 % (SCENARIOS - 1)) + draw * 11) % SCENARIOS for scenario in range(SCENARIOS)
    )
