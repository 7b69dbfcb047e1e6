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

The counters are this process's own. Where several workers of a machine serve one person, each says what it takes, and
`note`s what the others take (`server/accounting/announced_rates.py`): soon where much is left, at once where it is not.
So a limit may be exceeded by what is taken within the time of one message, a fraction of a millisecond, by requests
that come at the same instant to several workers.
Between gateways it is a heartbeat or two (`server/cluster/rates.py`). Times are seconds, monotonic.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from server.ledger.holds import HoldEntry
from server.ledger.limits import Limit, Unit

SECONDS = 60
_REMAINING = attrgetter("remaining")
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
    most: int = 0  # as who took last was limited

    def slide(self, now: float) -> None:
        while self.marks and self.marks[0].last + SECONDS <= now:
            gone = self.marks.popleft()
            gone.counts = False
            self.total -= gone.amount

    def add(self, amount: int, now: float) -> _Mark:
        self.total += amount
        newest = self.marks[-1] if len(self.marks) >= MARKS else None
        if newest is None or (now - newest.first) * MARKS >= SECONDS:
            newest = _Mark(now, now, amount)
            self.marks.append(newest)
            return newest
        newest.last = now
        newest.amount += amount
        return newest

    def insert(self, amount: int, first: float, last: float) -> None:
        """Add what was taken at instants that others may have followed; if it is joined, to what is no earlier."""
        place = len(self.marks)
        while place and self.marks[place - 1].last > last:
            place -= 1
        if len(self.marks) < MARKS:
            self.marks.insert(place, _Mark(first, last, amount))
            self.total += amount
        elif place == len(self.marks):
            self.add(amount, last)
        else:
            self.change(self.marks[place], amount)

    def lower(self, at: float, by: int) -> None:
        """Take so much away of what was taken until that instant, the latest first; what has left the window stays."""
        for mark in reversed(self.marks):
            if mark.first <= at and by > 0:
                less = min(by, mark.amount)
                self.change(mark, -less)
                by -= less

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
        if over <= 0:
            return 0
        marks, free_at = iter(self.marks), now
        while over > 0:
            mark = next(marks)
            over, free_at = over - mark.amount, mark.last + SECONDS
        return free_at - now


@dataclass(slots=True)
class _Share:
    """The amount that one request took from one counter, at that instant."""

    unit: Unit
    sliding: _Sliding
    mark: _Mark
    amount: int
    counter: str
    at: float

    def becomes(self, amount: int) -> None:
        self.sliding.change(self.mark, amount - self.amount)
        self.amount = amount


@dataclass(slots=True)
class Taken:
    """The amounts that one request took, until its usage is known."""

    shares: list[_Share]


class Wait(NamedTuple):
    """Nothing was taken: there is room under this limit in so many seconds; None if there never will be."""

    seconds: float | None
    limit: Limit


class Left(NamedTuple):
    """How much there may be in a minute, how much of it is left, and in how many seconds all of it will be."""

    limit: int
    remaining: int
    reset: float


class RateLimits:
    """The windows of all counters. `rates` are those of a request's claim.

    `most`: so many counters are remembered; those that were used longest ago are forgotten first. `say` hears what is
    taken here: the counter, by how much more, and the instant at which it was taken. `name`: by which name others know
    a counter. `spare`: in how many seconds a counter that has so much left may be asked for so much, for others' sake.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self.say: Callable[[str, int, float], None] | None = None
        self.name: Callable[[str], str] = str
        self.spare: Callable[[str, int, int], float] | None = None
        self._slidings: OrderedDict[str, _Sliding] = OrderedDict()  # the one that was used last is the last

    def __len__(self) -> int:
        """How many counters are remembered."""
        return len(self._slidings)

    def take(self, rates: Iterable[HoldEntry], now: float) -> Taken | Wait:
        """Take from all, or from none and say how long it takes until that is possible."""
        self._forget(now)
        chosen, waits = [], []
        for entry in rates:
            sliding = self._sliding(entry, now)
            chosen.append((entry, sliding))
            if (seconds := self._wait(entry, sliding, now)) != 0:
                waits.append(Wait(seconds, entry.limit))
        if waits:
            return _longest(waits)
        return Taken([self._share(entry, sliding, now) for entry, sliding in chosen])

    def give_back(self, taken: Taken) -> None:
        """As if it had not been taken. Twice is once."""
        for share in taken.shares:
            self._becomes(share, 0)

    def correct(self, taken: Taken, tokens: int) -> None:
        """So many tokens it really was."""
        for share in taken.shares:
            if share.unit is Unit.TOKENS:
                self._becomes(share, tokens)

    def note(self, counter: str, amount: int, at: float, now: float, first: float | None = None) -> None:
        """Another worker has taken so much at that instant, or since `first`; less than 0: it has given that back."""
        self._forget(now)
        sliding = self._slidings.get(counter) or _Sliding()
        sliding.slide(now)
        if amount < 0:
            sliding.lower(at, -amount)
        elif at + SECONDS > now:
            sliding.insert(amount, at if first is None else first, at)
            self._slidings[counter] = sliding
            self._slidings.move_to_end(counter)

    def room(self, counter: str) -> int:
        """How much is left of a counter, as who took last was limited: at least that much since then."""
        sliding = self._slidings.get(counter)
        return 0 if sliding is None else sliding.most - sliding.total

    def counting(self, now: float) -> list[tuple[str, int, float]]:
        """All that counts now, as `note` takes it: for another worker, which has just begun."""
        self._forget(now)
        found = [(name, mark) for name, sliding in self._slidings.items() for mark in sliding.marks if mark.amount]
        return [(name, mark.amount, mark.last) for name, mark in found if mark.last + SECONDS > now]

    def left(self, rates: Iterable[HoldEntry], unit: Unit, now: float) -> Left | None:
        """The tightest limit of a unit as it stands; None if there is none."""
        found = [self._left(entry, now) for entry in rates if entry.limit.unit is unit]
        return min(found, key=_REMAINING) if found else None

    def _left(self, entry: HoldEntry, now: float) -> Left:
        sliding = self._sliding(entry, now)
        reset = sliding.marks[-1].last + SECONDS - now if sliding.total else 0
        return Left(entry.most, max(0, entry.most - sliding.total), reset)

    def _wait(self, entry: HoldEntry, sliding: _Sliding, now: float) -> float | None:
        seconds = sliding.wait(entry, now)
        if seconds != 0 or self.spare is None:
            return seconds
        return self.spare(self.name(entry.counter), entry.needs, entry.most - sliding.total)

    def _sliding(self, entry: HoldEntry, now: float) -> _Sliding:
        sliding = self._slidings.get(self.name(entry.counter)) or _Sliding()
        sliding.slide(now)
        return sliding

    def _share(self, entry: HoldEntry, sliding: _Sliding, now: float) -> _Share:
        name = self.name(entry.counter)
        self._slidings[name] = sliding
        self._slidings.move_to_end(name)
        sliding.most = entry.most
        share = _Share(entry.limit.unit, sliding, sliding.add(entry.needs, now), entry.needs, name, now)
        if self.say is not None:
            self.say(name, entry.needs, now)
        return share

    def _becomes(self, share: _Share, amount: int) -> None:
        more = amount - share.amount
        share.becomes(amount)
        if self.say is not None and more:
            self.say(share.counter, more, share.at)

    def _forget(self, now: float) -> None:
        """Those that were last used a window ago are at the front."""
        while self._slidings:
            oldest = next(iter(self._slidings.values()))
            too_many = self._most is not None and len(self._slidings) >= self._most
            if oldest.marks and oldest.marks[-1].last + SECONDS > now and not too_many:
                return
            self._slidings.popitem(last=False)


def _longest(waits: list[Wait]) -> Wait:
    """The wait that all others are over in. Never is longer than any time."""
    return max(waits, key=lambda wait: (wait.seconds is None, wait.seconds or 0))
