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

USUAL_ANSWER = 10.0  # seconds, before any was seen
LONGEST = 86_400.0  # seconds
SHORTEST = 0.001

Strata = Sequence[float]  # the quantiles of a distribution of seconds at equal distances, in order


class Durations:
    """The latest `remembered` durations, in seconds."""

    def __init__(self, remembered: int) -> None:
        self._latest: deque[float] = deque(maxlen=remembered)

    def __len__(self) -> int:
        return len(self._latest)

    def learn(self, seconds: float) -> None:
        """An answer has ended after so long."""
        self._latest.append(max(SHORTEST, seconds))

    def curve(self, running: Iterable[float] = ()) -> SurvivalCurve:
        """What they say, together with the ages of answers that run now."""
        return SurvivalCurve(self._latest, running)


class SurvivalCurve:
    """The probability that an answer takes longer than so many seconds."""

    def __init__(self, ended: Collection[float], running: Iterable[float]) -> None:
        events = [(seconds, False) for seconds in ended] + [(max(SHORTEST, age), True) for age in running]
        events.sort()
        self._at: list[float] = []  # where the curve steps down
        self._left: list[float] = []  # its value behind each step
        # Before anything has ended half of the answers are thought to take twice this.
        self._end = max(events[-1][0] if events else 0.0, 0.0 if ended else USUAL_ANSWER / 2.0)
        left = 1.0
        for number, (seconds, censored) in enumerate(events):
            if not censored:
                left *= 1.0 - 1.0 / (len(events) - number)
                self._at.append(seconds)
                self._left.append(left)

    def quantile(self, part: float, age: float = 0.0) -> float:
        """The duration that `part` of the answers do not exceed, of those that take longer than `age` seconds."""
        steps = bisect_right(self._at, age)
        alive = self._left[steps - 1] if steps else 1.0
        wanted = alive * (1.0 - part)
        step = bisect_left(self._left, -wanted, lo=steps, key=float.__neg__)
        if step < len(self._at):
            return self._at[step]
        end = max(self._end, age)
        tail = wanted / self._left[-1] if self._left and alive > 0.0 and steps < len(self._at) else 1.0 - part
        return min(LONGEST, end / max(tail, end / LONGEST))

    def strata(self, count: int, age: float = 0.0) -> Strata:
        """The seconds that are left of an answer of this age, in so many strata."""
        return [max(0.0, self.quantile((step + 0.5) / count, age) - age) for step in range(count)]


def mixed(parts: Iterable[Strata], count: int) -> Strata:
    """The strata of a mixture to which all parts contribute alike; there is at least one."""
    pool = sorted(seconds for part in parts for seconds in part)
    return [pool[int((step + 0.5) / count * len(pool))] for step in range(count)]
