"""How long answers take, learnt also from those that are still running.

The latest answers are a sample of durations. An answer that has run for `a` seconds says that its own duration is
longer than `a`: it is censored, and the estimator of Kaplan and Meier (1958) counts it as far as it goes. So a model
whose answers take a minute is known to be slow before the first of them has ended, and two hundred quick answers do not
hide eight that run.

Beyond all that was seen the tail is Pareto's with index 1: of what has run for `a` seconds one half goes on for another
`a` (Gott 1993). That is the usual guess where nothing is known, and it is wide on purpose.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from functools import cache

USUAL_ANSWER = 10.0  # seconds, before any was seen
LONGEST = 86_400.0  # seconds
SHORTEST = 0.001

Strata = Sequence[float]  # the quantiles of a distribution of seconds at equal distances, in order


class Durations:
    """The latest `remembered` durations, in seconds."""

    def __init__(self, remembered: int) -> None:
        self._latest: deque[float] = deque(maxlen=remembered)
        self._ended: SurvivalCurve | None = None  # of what has ended alone, until more has

    def __len__(self) -> int:
        return len(self._latest)

    def learn(self, seconds: float) -> None:
        """An answer has ended after so long."""
        self._latest.append(max(SHORTEST, seconds))
        self._ended = None

    def curve(self, running: Iterable[float]) -> SurvivalCurve:
        """What they say, together with the ages of answers that run now."""
        return SurvivalCurve(self._latest, running)

    def of_ended(self) -> SurvivalCurve:
        """What they say by themselves."""
        if self._ended is None:
            self._ended = SurvivalCurve(self._latest, ())
        return self._ended


class SurvivalCurve:
    """The probability that an answer takes longer than so many seconds."""

    def __init__(self, ended: Collection[float], running: Iterable[float]) -> None:
        events = sorted(
            [(seconds, False) for seconds in ended]
            + [(seconds if seconds > SHORTEST else SHORTEST, True) for seconds in running]
        )
        self._at: list[float] = []  # where the curve steps down
        self._gone: list[float] = []  # its value behind each step, negative, so that it rises
        # Before anything has ended half of the answers are thought to take twice this.
        self._end = max(events[-1][0] if events else 0.0, 0.0 if ended else USUAL_ANSWER / 2.0)
        left, alive = 1.0, len(events)
        for seconds, censored in events:
            if not censored:
                left *= 1.0 - 1.0 / alive
                self._at.append(seconds)
                self._gone.append(-left)
            alive -= 1

    def quantile(self, part: float, age: float = 0.0) -> float:
        """The duration that `part` of the answers do not exceed, of those that take longer than `age` seconds."""
        return self._quantiles((part,), age)[0]

    def strata(self, count: int, age: float = 0.0) -> Strata:
        """The seconds that are left of an answer of this age, in so many strata."""
        found = self._quantiles(_middles(count), age)
        return [seconds - age if seconds > age else 0.0 for seconds in found]

    def _quantiles(self, parts: Sequence[float], age: float) -> list[float]:
        """The same for several parts, which rise."""
        at, gone, found = self._at, self._gone, []
        step = steps = bisect_right(at, age)
        alive = -gone[steps - 1] if steps else 1.0
        for part in parts:
            step = bisect_left(gone, alive * (part - 1.0), lo=step)
            found.append(at[step] if step < len(at) else self._beyond(part, age, steps, alive))
        return found

    def _beyond(self, part: float, age: float, steps: int, alive: float) -> float:
        """A quantile that lies behind all that was seen."""
        end = max(self._end, age)
        tail = (
            alive * (1.0 - part) / -self._gone[-1]
            if self._gone and alive > 0.0 and steps < len(self._at)
            else 1.0 - part
        )
        return min(LONGEST, end / max(tail, end / LONGEST))


@cache
def _middles(count: int) -> tuple[float, ...]:
    return tuple((step + 0.5) / count for step in range(count))


def mixed(parts: Iterable[Strata], count: int) -> Strata:
    """The strata of a mixture to which all parts contribute alike; there is at least one."""
    pool = sorted(seconds for part in parts for seconds in part)
    return [pool[int((step + 0.5) / count * len(pool))] for step in range(count)]
