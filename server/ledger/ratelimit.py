"""Limits per minute: requests and tokens, in a window that slides.

An amount that is taken counts for sixty seconds from that moment. So no interval of sixty seconds, wherever it begins,
holds more than the limit, and there is no burst of twice as much around the full minute. A request takes from all of
its counters or from none.

Tokens are taken as estimated and corrected when the real number is known, as of the moment they were taken. If that was
more than estimated, the window is over its limit and the next one waits. The amount of a request that was
refused later, or that no key served, is given back.

Memory is bounded: a counter is forgotten sixty seconds after its last use; a thousand marks in one window are
kept apart, beyond that marks within a thousandth of it become one and count from the later moment. That is never in
anybody's favour, and late by 60 ms at most.

The counters are this process's own. Times are seconds, monotonic.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from server.ledger.holds import HoldEntry
from server.ledger.limits import Limit, Unit

SECONDS = 60
MARKS = 1000  # in one window, before they are joined


@dataclass(slots=True)
class _Mark:
    """So much was taken from `first` to `last`."""

    first: float
    last: float
    amount: int
    counts: bool = True


@dataclass(slots=True)
class _Sliding:
    """The amounts that one counter took in the last sixty seconds."""

    total: int = 0
    marks: deque[_Mark] = field(default_factory=deque)

    def slide(self, now: float) -> None:
        while self.marks and self.marks[0].last + SECONDS <= now:
            gone = self.marks.popleft()
            gone.counts = False
            self.total -= gone.amount

    def add(self, amount: int, now: float) -> _Mark:
        newest = self.marks[-1] if len(self.marks) >= MARKS else None
        if newest is None or (now - newest.first) * MARKS >= SECONDS:
            newest = _Mark(now, now, 0)
            self.marks.append(newest)
        newest.last = now
        self.change(newest, amount)
        return newest

    def change(self, mark: _Mark, by: int) -> None:
        """Change the amount of a mark; one that has left the window stays."""
        if mark.counts:
            mark.amount += by
            self.total += by

    def wait(self, entry: HoldEntry, now: float) -> float | None:
        """Seconds until the entry's need fits; 0 when it does now, None if it never will."""
        if entry.needs > entry.most:
            return None
        over = self.total + entry.needs - entry.most if entry.needs else 0
        marks, free_at = iter(self.marks), now
        while over > 0:
            mark = next(marks)
            over, free_at = over - mark.amount, mark.last + SECONDS
        return free_at - now


@dataclass(slots=True)
class _Share:
    """The amount that one request took from one counter."""

    unit: Unit
    sliding: _Sliding
    mark: _Mark
    amount: int

    def becomes(self, amount: int) -> None:
        self.sliding.change(self.mark, amount - self.amount)
        self.amount = amount


@dataclass(slots=True)
class Taken:
    """The amounts that one request took, until its usage is known."""

    shares: list[_Share]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing was taken: there is room under this limit in so many seconds; None if there never will be."""

    seconds: float | None
    limit: Limit


@dataclass(frozen=True, slots=True)
class Left:
    """How much there may be in a minute, how much of it is left, and in how many seconds all of it will be."""

    limit: int
    remaining: int
    reset: float


class RateLimits:
    """The windows of all counters. `rates` are those of a request's claim.

    `most`: so many counters are remembered; those that were used longest ago are forgotten first.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._slidings: OrderedDict[str, _Sliding] = OrderedDict()  # the one that was used last is the last

    def __len__(self) -> int:
        """How many counters are remembered."""
        return len(self._slidings)

    def take(self, rates: Iterable[HoldEntry], now: float) -> Taken | Wait:
        """Take from all, or from none and say how long it takes until that is possible."""
        self._forget(now)
        chosen = [(entry, self._sliding(entry, now)) for entry in rates]
        wait = _longest(Wait(sliding.wait(entry, now), entry.limit) for entry, sliding in chosen)
        if wait is not None and wait.seconds != 0:
            return wait
        return Taken([self._share(entry, sliding, now) for entry, sliding in chosen])

    def give_back(self, taken: Taken) -> None:
        """As if it had not been taken. Twice is once."""
        for share in taken.shares:
            share.becomes(0)

    def correct(self, taken: Taken, tokens: int) -> None:
        """So many tokens it really was."""
        for share in taken.shares:
            if share.unit is Unit.TOKENS:
                share.becomes(tokens)

    def left(self, rates: Iterable[HoldEntry], unit: Unit, now: float) -> Left | None:
        """The tightest limit of a unit as it stands; None if there is none."""
        found = (self._left(entry, now) for entry in rates if entry.limit.unit is unit)
        return min(found, key=lambda left: left.remaining, default=None)

    def _left(self, entry: HoldEntry, now: float) -> Left:
        sliding = self._sliding(entry, now)
        reset = sliding.marks[-1].last + SECONDS - now if sliding.total else 0
        return Left(entry.most, max(0, entry.most - sliding.total), reset)

    def _sliding(self, entry: HoldEntry, now: float) -> _Sliding:
        sliding = self._slidings.get(entry.counter) or _Sliding()
        sliding.slide(now)
        return sliding

    def _share(self, entry: HoldEntry, sliding: _Sliding, now: float) -> _Share:
        self._slidings[entry.counter] = sliding
        self._slidings.move_to_end(entry.counter)
        return _Share(entry.limit.unit, sliding, sliding.add(entry.needs, now), entry.needs)

    def _forget(self, now: float) -> None:
        """Those that were last used a window ago are at the front."""
        while self._slidings:
            oldest = next(iter(self._slidings.values()))
            too_many = self._most is not None and len(self._slidings) >= self._most
            if oldest.marks and oldest.marks[-1].last + SECONDS > now and not too_many:
                return
            self._slidings.popitem(last=False)


def _longest(waits: Iterable[Wait]) -> Wait | None:
    """The wait that all others are over in. Never is longer than any time."""
    found = sorted(waits, key=lambda wait: (wait.seconds is None, wait.seconds or 0))
    return found[-1] if found else None
