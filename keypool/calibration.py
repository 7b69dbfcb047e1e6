"""How far forecasts were off, and what that says of the next ones.

The model of the queue leaves things out: who comes later and goes first, how long a guess of an answer was. So each
forecast is scored against what happened, and the quantiles of actual over predicted correct the next ones: the median
the usual wait, and the ninth decile the longest, which makes its promise true whatever the model does (split conformal
prediction, Vovk 2005, over the latest waits).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

REMEMBERED = 100  # waits
ENOUGH = 5
LEAST_LEARNT = 1.0  # seconds: a shorter prediction says nothing about the model
LEAST, MOST = 0.1, 10.0  # of a ratio
NEAR = 0.25  # of the true wait, or
NEAR_SECONDS = 1.0


class WaitKind(Enum):
    """What a forecast rests on."""

    SLOTS = "slots"  # when the slots are free that others hold
    LIMITS = "limits"  # how fast limits let requests through
    PACE = "pace"  # how fast this very flow is served


class Foreseen(NamedTuple):
    """What a forecast rested on, the model's own word, and the longest wait that was made of it, in seconds."""

    kind: WaitKind
    modelled: float
    latest: float


class Calibration:
    """The latest ratios of actual waits over predicted ones."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque()
        self._sorted: list[float] = []

    def learn(self, predicted: float, actual: float) -> None:
        """A wait has ended. `predicted` is the model's own word, without any correction, in seconds as `actual`."""
        if predicted < LEAST_LEARNT:
            return
        ratio = min(MOST, max(LEAST, actual / predicted))
        self._latest.append(ratio)
        insort(self._sorted, ratio)
        if len(self._latest) > REMEMBERED:
            del self._sorted[bisect_left(self._sorted, self._latest.popleft())]

    def quantile(self, part: float, unknown: float) -> float:
        """The ratio that `part` of the waits did not exceed; `unknown` before enough were seen."""
        count = len(self._sorted)
        return unknown if count < ENOUGH else self._sorted[min(count - 1, int(part * count))]


@dataclass(frozen=True, slots=True)
class ForecastScore:
    """How good forecasts were: of `made` ones whose wait has ended, how many were `near` and how many `exceeded`.

    Near is within a quarter of the true wait, or within a second. Exceeded is one whose longest wait was too short, by
    more than a second.
    """

    made: int = 0
    near: int = 0
    exceeded: int = 0

    def with_one(self, usual: float, latest: float, actual: float) -> ForecastScore:
        """The score when one more wait has ended, after `actual` seconds, for which these had been forecast."""
        near = abs(usual - actual) <= max(NEAR * actual, NEAR_SECONDS)
        exceeded = actual > latest + NEAR_SECONDS
        return ForecastScore(self.made + 1, self.near + near, self.exceeded + exceeded)

    def __add__(self, other: ForecastScore) -> ForecastScore:
        return ForecastScore(self.made + other.made, self.near + other.near, self.exceeded + other.exceeded)


NONE_MADE = ForecastScore()
