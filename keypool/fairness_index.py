"""Is it fair, seen from outside? Jain's index over the persons who had to wait.

    J = (sum x)^2 / (n * sum x^2)        1 when all had the same, 1/n when one had everything

x is what a person was served, by weight, per second in which that person waited: a person who asks for little waits
little, and so is not counted as treated worse. The window slides in two halves of five minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

HALF = 300.0  # seconds
LEAST = 60.0  # seconds of waiting below which a person says nothing about fairness: several answers' time


def jain(values: Iterable[float]) -> float:
    """Jain's fairness index; 1 for fewer than two values."""
    values = list(values)
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if len(values) > 1 and squares else 1.0


@dataclass(slots=True)
class Share:
    """One person's: cost served per weight while waiting, and the seconds of waiting."""

    served: float = 0.0
    seconds: float = 0.0


class Shares:
    """The waits of each person, and the cost served meanwhile, in the last five to ten minutes."""

    def __init__(self) -> None:
        self._now: dict[str, Share] = {}
        self._before: dict[str, Share] = {}
        self._turned = 0.0
        self._waiting: dict[str, float] = {}  # since when each person waits

    def waits(self, person: str, now: float) -> None:
        self._waiting.setdefault(person, now)

    def content(self, person: str, now: float) -> None:
        """A person has nothing waiting any more."""
        since = self._waiting.pop(person, None)
        if since is None:
            return
        self._turn(now)
        if since < now:
            self._share(person, now).seconds += now - since

    def served(self, person: str, cost: float, weight: float, now: float) -> None:
        """A person was served. It counts for one who has waited until now; who got it at once was content."""
        if self._waiting.get(person, now) < now:
            self._share(person, now).served += cost / weight

    def index(self, now: float) -> float:
        """Jain's index of the window."""
        self._turn(now)
        for person, since in self._waiting.items():
            self._share(person, now).seconds += now - since
            self._waiting[person] = now
        people = self._now.keys() | self._before.keys()
        both = [(self._now.get(each, Share()), self._before.get(each, Share())) for each in people]
        sums = [(new.served + old.served, new.seconds + old.seconds) for new, old in both]
        return jain(served / seconds for served, seconds in sums if seconds >= LEAST)

    def _share(self, person: str, now: float) -> Share:
        self._turn(now)
        return self._now.setdefault(person, Share())

    def _turn(self, now: float) -> None:
        if now - self._turned >= HALF:
            self._before = self._now if now - self._turned < 2 * HALF else {}
            self._now, self._turned = {}, now - (now - self._turned) % HALF
